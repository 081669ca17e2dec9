"""What a reader returns: the sentences of a file, and a report of how it was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..labels import UNKNOWN_TAG, completed, tags_to_spans
from .sentence import Sentence

__all__ = ["Corpus", "ReadReport", "counts"]

_SHOWN_LABELS = 8


@dataclass(frozen=True)
class ReadReport:
    """How one file was read; ``describe()`` says it in words.

    Attributes:
        path: the file.
        format: "conll", "conllu" or "jsonl".
        task: "ner" or "pos".
        scheme: name of the scheme the tags are now well-formed in; None for POS and for untagged data.
        guessed: what was guessed rather than said, each as ``option=value``.
        sentences: number of sentences read.
        tokens: number of their tokens.
        labels: spans of each label (NER), tokens of each tag (POS), the most frequent first.
        skipped: one error for each malformed sentence left out.
        repair: name of the policy by which ill-formed gold tags were repaired.
        repaired_sentences: sentences that held at least one ill-formed move.
        repaired_moves: ill-formed moves before the repair.
        sha256: of the file's content (after decompression), in hexadecimal.
        unknown: tokens whose tag is not known, in partial labels.
    """

    path: Path
    format: str
    task: str
    scheme: str | None
    guessed: tuple[str, ...]
    sentences: int
    tokens: int
    labels: Mapping[str, int]
    skipped: tuple[DataError, ...]
    repair: str
    repaired_sentences: int
    repaired_moves: int
    sha256: str
    unknown: int = 0

    @property
    def shown_path(self) -> str:
        """The path for people: relative to the working directory where it lies below it."""
        path = self.path.absolute()
        return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else self.path)

    def describe(self) -> str:
        """Say in a few lines what was read, guessed, not known, repaired and skipped."""
        counts = f"{_count(self.sentences, 'sentence')}, {_count(self.tokens, 'token')}"
        lines = [f"{self.shown_path}: {counts}{self._describe_labels()}"]
        if self.guessed:
            lines.append(f"  guessed: {', '.join(self.guessed)}")
        if self.unknown:
            lines.append(f"  partial labels: the tags of {_count(self.unknown, 'token')} are not known")
        if self.repaired_moves:
            lines.append(
                f"  repaired: {_count(self.repaired_moves, 'move')} that {self.scheme} forbids, "
                f"in {_count(self.repaired_sentences, 'sentence')}, by the policy {self.repair}"
            )
        if self.skipped:
            skipped = _count(len(self.skipped), "malformed sentence")
            lines.append(f"  skipped: {skipped}; the first: {self.skipped[0]}")
        return "\n".join(lines)

    def _describe_labels(self) -> str:
        if self.task == "pos":
            return f", {_count(len(self.labels), 'tag')}" if self.labels else ""
        if self.scheme is None:
            return ""
        shown = [f"{label} {count:,}" for label, count in list(self.labels.items())[:_SHOWN_LABELS]]
        rest = len(self.labels) - len(shown)
        names = ", ".join(shown) + (f" and {_count(rest, 'more label')}" if rest else "")
        return f", {_count(sum(self.labels.values()), 'span')}" + (f" ({names})" if names else "")


def counts(sentences: Sequence[Sentence], scheme: str | None, *, partial: bool) -> dict[str, Any]:
    """The fields of a report that count: sentences, tokens, labels and unknown tags.

    Args:
        sentences: what is counted; tags, where present, are well-formed.
        scheme: the scheme of the tags; None: tags are counted, not spans.
        partial: ``?`` is a tag that is not known.
    """
    labels: Counter[str] = Counter()
    unknown = 0
    for sentence in sentences:
        tags = sentence.tags or ()
        if partial:
            unknown += tags.count(UNKNOWN_TAG)
            tags = completed(tags) if scheme else [tag for tag in tags if tag != UNKNOWN_TAG]
        labels.update(tags if scheme is None else (span.label for span in tags_to_spans(tags, scheme)))
    return {
        "sentences": len(sentences),
        "tokens": sum(map(len, sentences)),
        "labels": dict(labels.most_common()),
        "unknown": unknown,
    }


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


@dataclass(frozen=True)
class Corpus:
    """The sentences of one file and the report of its reading.

    Attributes:
        sentences: in the order of the file; tags, where present, are well-formed in ``report.scheme``.
        report: format, guesses, counts, repairs and skipped sentences.
    """

    sentences: tuple[Sentence, ...]
    report: ReadReport
