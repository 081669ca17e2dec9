"""Word vectors as others publish them: text (GloVe, word2vec, fastText), and the binary form of word2vec."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from io import BufferedIOBase
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Float

from ..errors import DataError
from .readers.lines import MAX_TOKEN, open_lines

__all__ = ["MAX_DIM", "MAX_WORDS", "read_binary", "read_text"]

MAX_WORDS = 50_000_000
"""A table may not have more words."""

MAX_DIM = 4096
"""Nor may its vectors be longer."""

_BLOCK = 4096  # rows
_CHUNK = 2**20  # bytes
_FASTTEXT = (793712314).to_bytes(4, "little")  # the first bytes of a fastText model


class _Table:
    """Words and their rows as they come; of a word that comes twice the first row counts."""

    def __init__(self, path: Path, dim: int, limit: int | None, dtype: type[np.floating]) -> None:
        self.path, self.dim = path, dim
        self.words: dict[str, None] = {}
        self.nameless = 0
        self._limit = limit
        self._largest = float(np.finfo(dtype).max)
        self._dtype = dtype
        self._blocks: list[np.ndarray] = []

    @property
    def full(self) -> bool:
        return len(self.words) == self._limit

    def add(self, word: str, row: np.ndarray, place: dict[str, int], name: str = "") -> None:
        """Append a row; ``place`` and ``name`` say for messages where it was."""
        if not word.strip(" "):  # the token was a blank, or nothing: nobody will look it up
            self.nameless += 1
            return
        if "\n" in word or len(word) > MAX_TOKEN:
            problem = f"expected a word of 1 to {MAX_TOKEN:,} characters, found {word[:40]!r}"
            raise DataError(name + problem, path=self.path, **place)
        if not np.abs(row).max() <= self._largest:  # NaN is not
            wrong = row[~(np.abs(row) <= self._largest)][0]
            problem = f"expected numbers up to {self._largest:g}, found {wrong}"
            raise DataError(name + problem, path=self.path, **place)
        if word in self.words:
            return
        if len(self.words) == MAX_WORDS:
            raise DataError(f"expected at most {MAX_WORDS:,} words, found more", path=self.path, **place)
        number = len(self.words) % _BLOCK
        if number == 0:
            self._blocks.append(np.empty((_BLOCK, self.dim), self._dtype))
        self._blocks[-1][number] = row
        self.words[word] = None

    def finish(self) -> tuple[tuple[str, ...], Float[np.ndarray, "N D"], int]:
        if not self.words:
            raise DataError("expected word vectors, found none", path=self.path)
        return tuple(self.words), np.concatenate(self._blocks)[: len(self.words)], self.nameless


def read_text(
    path: Path, *, limit: int | None = None, dtype: type[np.floating] = np.float32
) -> tuple[tuple[str, ...], Float[np.ndarray, "N D"], int]:
    """Read a word and its numbers a line, separated by single blanks, plain or compressed with gzip.

    A first line of two whole numbers is the header of word2vec and fastText: words, and numbers a word. A
    word may hold blanks itself, as a few of GloVe's do.

    Args:
        path: the file.
        limit: read so many words, the first ones.
        dtype: the precision to keep.

    Returns:
        The words, their rows, and how many rows were left out because their word is empty.

    Raises:
        DataError: if a line is malformed, the file ends before the header's number of words, or a size is
            out of bounds.
    """
    with open_lines(path, head=1) as lines:
        first = next(iter(lines.head), None)
        if first is None:
            raise DataError("expected word vectors, found nothing", path=path)
        if first.problem:
            raise first.problem
        said, dim = _header(path, first.text, line=1) or (None, first.text.rstrip(" ").count(" "))
        if not 1 <= dim <= MAX_DIM:
            problem = f"expected a word and 1 to {MAX_DIM:,} numbers, separated by blanks, found {dim}"
            raise DataError(problem, path=path, line=1)
        table, seen = _Table(path, dim, limit, dtype), 0
        for line in lines:
            if line.problem:
                raise line.problem
            if not line.text or (said is not None and line.number == 1):
                continue
            if table.full:
                break
            word, *fields = line.text.rstrip(" ").rsplit(" ", dim)
            table.add(word, _numbers(path, line.number, fields, dim), {"line": line.number})
            seen += 1
    if said is not None and seen < said and not table.full:
        raise DataError(f"expected {said:,} words, as the header says, found {seen:,}", path=path)
    return table.finish()


def read_binary(
    path: Path, *, limit: int | None = None, dtype: type[np.floating] = np.float32
) -> tuple[tuple[str, ...], Float[np.ndarray, "N D"], int]:
    """Read the binary form of word2vec: a header line, then each word, a blank, and its numbers in 32 bits.

    Args, results and errors are those of :func:`read_text`; there are no lines, so words are counted.
    """
    with _open(path) as stream:
        head = stream.readline(64)
        if head.startswith(_FASTTEXT):
            problem = "expected word2vec's format, found a fastText model: take its .vec file"
            raise DataError(problem, path=path)
        sizes = _header(path, head.decode("ascii", "replace").rstrip("\r\n"), line=1)
        if sizes is None:
            problem = "expected a first line with the numbers of words and of dimensions"
            raise DataError(problem, path=path, line=1)
        said, dim = sizes
        table, rest, at = _Table(path, dim, limit, dtype), b"", 0
        for number in range(1, said + 1):
            if table.full:
                break
            while (blank := rest.find(b" ", at)) < 0 or len(rest) < blank + 1 + 4 * dim:
                more = stream.read(_CHUNK)
                if not more or (blank < 0 and len(rest) - at > 4 * MAX_TOKEN):
                    raise DataError(f"word {number:,}: expected it and {dim} numbers of 32 bits", path=path)
                rest, at = rest[at:] + more, 0
            try:
                word = rest[at:blank].lstrip(b"\n").decode("utf-8")
            except UnicodeDecodeError as error:
                raise DataError(f"word {number:,}: expected UTF-8: {error}", path=path) from None
            row = np.frombuffer(rest, "<f4", dim, blank + 1)
            table.add(word, row, {}, f"word {number:,}: ")
            at = blank + 1 + 4 * dim
    return table.finish()


def _header(path: Path, text: str, line: int) -> tuple[int, int] | None:
    """The two numbers of a header; None if the line is something else."""
    fields = text.rstrip(" ").split(" ")
    if len(fields) != 2 or not all(field.isascii() and field.isdigit() for field in fields):
        return None
    words, dim = (int(field[:20]) for field in fields)
    if not (1 <= words <= MAX_WORDS and 1 <= dim <= MAX_DIM):
        problem = f"expected 1 to {MAX_WORDS:,} words of 1 to {MAX_DIM:,} numbers, found {words:,} of {dim:,}"
        raise DataError(problem, path=path, line=line)
    return words, dim


def _numbers(path: Path, line: int, fields: list[str], dim: int) -> np.ndarray:
    if len(fields) != dim:
        raise DataError(f"expected a word and {dim} numbers, found {len(fields)}", path=path, line=line)
    try:
        return np.array([float(field) for field in fields])
    except ValueError as error:
        raise DataError(f"expected a word and {dim} numbers: {error}", path=path, line=line) from None


@contextmanager
def _open(path: Path) -> Iterator[BufferedIOBase]:
    try:
        with path.open("rb") as raw:
            zipped = raw.peek(2)[:2] == b"\x1f\x8b"
            with gzip.GzipFile(fileobj=raw) if zipped else nullcontext(raw) as stream:
                yield cast("BufferedIOBase", stream)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"the file cannot be read: {error}", path=path) from None
