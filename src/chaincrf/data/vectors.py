"""Pretrained word vectors on disk: a safetensors table and its words, one a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import DataError

__all__ = ["WordVectors", "load_vectors"]


@dataclass(frozen=True)
class WordVectors:
    """A table of pretrained vectors.

    Attributes:
        words: the word of each row.
        vectors: the rows, in the precision of the file.
    """

    words: tuple[str, ...]
    vectors: Float[Tensor, "N D"]
    _index: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {word: row for row, word in enumerate(self.words)})

    def row(self, word: str) -> int | None:
        """The row of a word, None if the table does not have it."""
        return self._index.get(word)


def load_vectors(path: Path, words_path: Path) -> WordVectors:
    """Read a table: a safetensors file with one matrix named ``vectors``, and a text file with its words.

    Raises:
        DataError: if a file is missing or damaged, or if the two do not have the same number of rows.
    """
    try:
        words = tuple(words_path.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
        with safe_open(path, framework="pt") as file:
            if "vectors" not in file.keys():  # noqa: SIM118 (a safetensors file is not iterable)
                raise DataError(f"expected a tensor named 'vectors', found {list(file.keys())}", path=path)
            vectors = file.get_tensor("vectors")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read word vectors: {error}", path=path) from None
    except SafetensorError as error:
        raise DataError(f"not a safetensors file: {error}", path=path) from None
    if vectors.ndim != 2 or len(vectors) != len(words):
        raise DataError(
            f"expected a matrix with a row for each of the {len(words)} words of {words_path.name}, "
            f"found shape {tuple(vectors.shape)}",
            path=path,
        )
    return WordVectors(words, vectors)
