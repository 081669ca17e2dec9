"""Run an exported tagger with numpy and onnxruntime alone: ``python run.py FOLDER < sentences.txt``.

This file is copied beside the graph, and knows nothing of chaincrf or PyTorch. A line of the input is a
sentence, its tokens separated by blanks.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["OnnxTagger", "Result"]

Run = Callable[[dict[str, np.ndarray]], Sequence[np.ndarray]]
"""From the inputs by name to tags, scores, log-partitions and marginals."""

OUTPUTS = ["tags", "score", "log_partition", "marginals"]
_DIGITS = str.maketrans("123456789", "000000000")
_SHAPES = ("lower", "upper", "title", "mixed", "digits", "alphanumeric", "marks")


class Result(NamedTuple):
    """A tagged sentence.

    Attributes:
        tags: one a token.
        score: of the path; with ``log_partition``, its probability is exp(score - log_partition).
        log_partition: the log of the summed exp scores of all paths.
        marginals: ``(T, K)``, the probability of each tag at each token.
    """

    tags: list[str]
    score: float
    log_partition: float
    marginals: np.ndarray


class OnnxTagger:
    """An exported tagger.

    Args:
        folder: what ``chaincrf export`` wrote.
        graph: the file of the graph in it.
    """

    def __init__(self, folder: str | Path, graph: str = "model.onnx") -> None:
        vocabulary = json.loads((Path(folder) / "vocabulary.json").read_text(encoding="utf-8"))
        self.tags: list[str] = vocabulary["tags"]
        self._words = {word: i for i, word in enumerate(vocabulary["words"], start=2)}
        self._chars = {char: i for i, char in enumerate(vocabulary["chars"], start=2)}
        self._inputs, self._run = self._open(Path(folder) / graph)

    def _open(self, path: Path) -> tuple[set[str], Run]:
        """The names of the graph's inputs, and what gives its outputs."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return {known.name for known in session.get_inputs()}, lambda given: session.run(OUTPUTS, given)

    def tag(self, sentences: list[list[str]]) -> list[Result]:
        """Tag sentences as one batch; an empty one has the empty path."""
        full = [i for i, tokens in enumerate(sentences) if tokens]
        results = [Result([], 0.0, 0.0, np.zeros((0, len(self.tags)))) for _ in sentences]
        if not full:
            return results
        found = self._run(self.encode([sentences[i] for i in full]))
        for i, tags, score, log_partition, marginals in zip(full, *found, strict=True):
            length = len(sentences[i])
            path = [self.tags[tag] for tag in tags[:length] if tag >= 0]
            results[i] = Result(path, float(score), float(log_partition), marginals[:length])
        return results

    def encode(self, sentences: list[list[str]]) -> dict[str, np.ndarray]:
        """The inputs of the graph for sentences that have tokens."""
        types: dict[str, int] = {}
        rows = [[types.setdefault(token, len(types)) for token in tokens] for tokens in sentences]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        places = np.arange(lengths.max()) < lengths[:, None]
        table = np.zeros(places.shape, dtype=np.int64)
        table[places] = [kind for row in rows for kind in row]
        word = np.array([self._word(token) for token in types], dtype=np.int64)
        spellings = [token if len(token) <= 48 else token[:24] + token[-24:] for token in types]
        chars = np.zeros((len(types), max(map(len, spellings))), dtype=np.int64)
        for row, spelling in zip(chars, spellings, strict=True):
            row[: len(spelling)] = [self._chars.get(char, 1) for char in spelling]
        shapes = np.array([word_shape(token) for token in types], dtype=np.int64)
        given = {
            "words": np.where(places, word[table], 0),
            "lengths": lengths,
            "chars": chars,
            "shapes": shapes,
            "types": table,
        }
        return {name: value for name, value in given.items() if name in self._inputs}

    def _word(self, token: str) -> int:
        lower = token.lower()
        for form in (token, lower, lower.translate(_DIGITS)):
            if form in self._words:
                return self._words[form]
        return 1


def word_shape(word: str) -> int:
    """The class of a word's casing, digits and marks."""
    letters = [char for char in word if char.isalpha()]
    if any(char.isdigit() for char in word):
        return _SHAPES.index("alphanumeric" if letters else "digits")
    if not letters:
        return _SHAPES.index("marks")
    capitals = [char.isupper() or char.istitle() for char in letters]
    if not any(capitals):
        return _SHAPES.index("lower")
    if capitals[0] and not any(capitals[1:]):
        return _SHAPES.index("title")
    return _SHAPES.index("upper" if all(capitals) else "mixed")


def main() -> None:
    """Tag standard input, a sentence a line."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    tagger = OnnxTagger(folder)
    for line in sys.stdin:
        tokens = line.split()
        (found,) = tagger.tag([tokens])
        print(" ".join(map("/".join, zip(tokens, found.tags, strict=True))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
