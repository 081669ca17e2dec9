"""Pretrained word vectors: read from the formats they are published in, or opened from a file of our own.

Our own is one safetensors file with the matrix ``vectors`` and the bytes ``words`` (UTF-8, a word a line).
Its matrix is mapped into memory, so that a large table opens at once and only the rows in use are ever read.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import DataError
from .vector_formats import MAX_DIM, MAX_WORDS, read_binary, read_text
from .vocabulary import word_forms

__all__ = ["WordVectors", "convert_vectors", "load_vectors", "save_vectors"]


@dataclass(frozen=True)
class WordVectors:
    """A table of pretrained vectors.

    Attributes:
        words: the word of each row; of one that is there twice the first row counts.
        vectors: the rows, in the precision of the file.
        nameless: rows of the file that were left out because their word is empty.
    """

    words: tuple[str, ...]
    vectors: Float[Tensor, "N D"]
    nameless: int = 0
    _index: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rows = range(len(self.words) - 1, -1, -1)
        object.__setattr__(self, "_index", dict(zip(reversed(self.words), rows, strict=True)))

    def row(self, word: str) -> int | None:
        """The row of a word: of its exact form, else of its lower case, else with its digits 0; else None."""
        return next((self._index[form] for form in word_forms(word) if form in self._index), None)


def load_vectors(path: Path, words_path: Path | None = None, *, limit: int | None = None) -> WordVectors:
    """Read a table: ``.safetensors``, word2vec's binary ``.bin``, or text (GloVe, word2vec, fastText).

    Args:
        path: the file; text and binary may be compressed with gzip. Converting them once
            (:func:`convert_vectors`) makes a file that opens at once.
        words_path: the words of a safetensors file that does not hold them, a word a line; by default
            ``words.txt`` beside it.
        limit: read so many words, the first ones; all of a safetensors file.

    Raises:
        DataError: if a file is missing or damaged; a malformed line is named.
    """
    if path.suffix == ".safetensors":
        return _open_table(path, words_path or path.with_name("words.txt"))
    if zipfile.is_zipfile(path):
        inside = ", ".join(zipfile.ZipFile(path).namelist()[:3])
        raise DataError(f"expected a table, found a zip archive: unzip it, it holds {inside}", path=path)
    binary = path.name.removesuffix(".gz").endswith(".bin")
    words, vectors, nameless = (read_binary if binary else read_text)(path, limit=limit)
    return WordVectors(words, torch.from_numpy(vectors), nameless)


def convert_vectors(
    source: Path,
    target: Path,
    *,
    limit: int | None = None,
    dtype: Literal["float16", "float32"] = "float16",
    overwrite: bool = False,
) -> WordVectors:
    """Read a table in any format and write our own; see :func:`load_vectors` and :func:`save_vectors`.

    Rows without a word are left out; see ``nameless`` of the result.

    Args:
        source: the table to read.
        target: the file to write.
        limit: keep so many words, the first ones, which are the most frequent in most tables.
        dtype: the precision to keep. Half of it rounds by at most 1/2048 of a value, far below the noise of
            such vectors, and halves the file.
        overwrite: replace a file that is there.

    Raises:
        DataError: as of reading and of writing.
    """
    _check_target(target, overwrite)
    table = load_vectors(source, limit=limit)
    rows = slice(limit)
    vectors = table.vectors[rows].to(getattr(torch, dtype))
    table = WordVectors(table.words[rows], vectors, table.nameless)
    if not torch.isfinite(table.vectors).all():
        raise DataError(f"expected numbers that {dtype} can hold, found larger ones", path=source)
    save_vectors(table, target, overwrite=overwrite)
    return table


def save_vectors(table: WordVectors, path: Path, *, overwrite: bool = False) -> None:
    """Write a table as one safetensors file, whole or not at all.

    Raises:
        DataError: if there is a file and ``overwrite`` is False, or it cannot be written.
    """
    _check_target(path, overwrite)
    spelled = np.frombuffer("\n".join(table.words).encode("utf-8"), np.uint8)
    tensors = {"vectors": table.vectors.contiguous(), "words": torch.from_numpy(spelled.copy())}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            new, plain = Path(folder) / "new", Path(folder) / "plain"
            save_file(tensors, new)
            plain.touch()
            shutil.copymode(plain, new)  # safetensors keeps it from others
            new.replace(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"the vectors cannot be written: {error}", path=path) from None


def _check_target(path: Path, overwrite: bool) -> None:
    if path.suffix != ".safetensors":
        raise DataError("expected a name that ends in .safetensors", path=path)
    if path.exists() and not overwrite:
        raise DataError("expected no file here, found one; say --overwrite to replace it", path=path)


def _open_table(path: Path, words_path: Path) -> WordVectors:
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            if "vectors" not in names:
                raise DataError(f"expected a tensor named 'vectors', found {names}", path=path)
            vectors = file.get_tensor("vectors")
            spelled = file.get_tensor("words") if "words" in names else None
        if spelled is None:
            text, source = words_path.read_text(encoding="utf-8").removesuffix("\n"), words_path.name
        elif spelled.dtype == torch.uint8:
            text, source = spelled.numpy().tobytes().decode("utf-8"), "its tensor 'words'"
        else:
            raise DataError(f"expected the bytes of 'words', found {spelled.dtype}", path=path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read word vectors: {error}", path=path) from None
    except SafetensorError as error:
        raise DataError(f"not a safetensors file: {error}", path=path) from None
    words = tuple(text.split("\n"))
    if vectors.ndim != 2 or len(vectors) != len(words) or not vectors.is_floating_point():
        raise DataError(
            f"expected a matrix with a row for each of the {len(words)} words of {source}, "
            f"found shape {tuple(vectors.shape)} of {vectors.dtype}",
            path=path,
        )
    if len(words) > MAX_WORDS or not 1 <= vectors.shape[1] <= MAX_DIM:
        problem = f"expected at most {MAX_WORDS:,} words of 1 to {MAX_DIM:,} numbers"
        raise DataError(f"{problem}, found shape {tuple(vectors.shape)}", path=path)
    return WordVectors(words, vectors)
