"""A text file line by line, in bounded memory, with its defects as values rather than exceptions."""

from __future__ import annotations

import gzip
import hashlib
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from difflib import get_close_matches
from io import BufferedIOBase
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, cast

from ...errors import DataError

__all__ = ["MAX_SENTENCE", "MAX_TOKEN", "Line", "Lines", "blocks", "open_lines"]

MAX_SENTENCE = 2**20
"""A line, and all lines of one sentence together, may not be longer (bytes, characters)."""

MAX_TOKEN = 1_000
"""A token may not be longer (characters)."""

_HEAD = 2_000  # lines from which format and columns are guessed


class Line(NamedTuple):
    """One line without its end; ``problem`` says why the text is not known."""

    number: int
    text: str
    problem: DataError | None = None


class Lines:
    """The lines of an open file, once.

    Attributes:
        path: the file, for messages.
        head: the first lines, read ahead to guess from; iteration begins with them all the same.
        consumed: the bytes read so far.
    """

    def __init__(self, path: Path, stream: BufferedIOBase, head: int = _HEAD) -> None:
        self.path = path
        self._stream = stream
        self._hash = hashlib.sha256()
        self.consumed = 0
        self._rest = self._read()
        self.head: list[Line] = []
        for line in islice(self._rest, head):
            self.head.append(line)
            # After a line that is too long the next one may be far away.
            if line.problem:
                break

    def __iter__(self) -> Iterator[Line]:
        return chain(self.head, self._rest)

    @property
    def sha256(self) -> str:
        """The hash of all bytes read so far, in hexadecimal."""
        return self._hash.hexdigest()

    def _readline(self) -> bytes:
        try:
            raw = self._stream.readline(MAX_SENTENCE + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"the file cannot be read: {error}", path=self.path) from error
        self._hash.update(raw)
        self.consumed += len(raw)
        return raw

    def _read(self) -> Iterator[Line]:
        number = 0
        while raw := self._readline():
            number += 1
            if len(raw) > MAX_SENTENCE and not raw.endswith(b"\n"):
                problem = f"expected lines of at most {MAX_SENTENCE:,} bytes, found a longer one"
                yield Line(number, "", DataError(problem, path=self.path, line=number))
                while raw and not raw.endswith(b"\n"):
                    raw = self._readline()
            else:
                yield self._decode(number, raw)

    def _decode(self, number: int, raw: bytes) -> Line:
        if number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        raw = raw.rstrip(b"\r\n")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            column = len(raw[: error.start].decode("utf-8")) + 1
            utf16 = number == 1 and raw.startswith((b"\xff\xfe", b"\xfe\xff"))
            problem = f"expected UTF-8, found the byte 0x{raw[error.start]:02x} at character {column}"
            problem += " (is the file UTF-16?)" if utf16 else ""
        else:
            column = text.find("\0") + 1
            if not column:
                return Line(number, text)
            problem = f"expected text, found a NUL at character {column} (is the file binary, or UTF-16?)"
        return Line(number, "", DataError(problem, path=self.path, line=number, column=column))


@contextmanager
def open_lines(path: Path, head: int = _HEAD) -> Iterator[Lines]:
    """Open a text file, plain or compressed with gzip; ``-`` is standard input.

    Args:
        path: the file.
        head: how many lines to read ahead.

    Raises:
        DataError: if the path is missing, a directory or not readable.
    """
    if path == Path("-"):
        yield Lines(Path("<stdin>"), cast("BufferedIOBase", sys.stdin.buffer), head)
        return
    try:
        if path.is_dir():
            raise DataError("expected a file, found a directory", path=path)
        raw = path.open("rb")
        zipped = raw.peek(2)[:2] == b"\x1f\x8b"
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"no such file{_near(path)}", path=path) from None
    except (OSError, ValueError) as error:
        raise DataError(f"the file cannot be opened: {error}", path=path) from error
    with raw, gzip.GzipFile(fileobj=raw) if zipped else nullcontext(raw) as stream:
        yield Lines(path, stream, head)


def _near(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f"; nor is there a directory {path.parent}"
    near = get_close_matches(path.name, names, n=1)
    return f"; there is {near[0]}" if near else ""


def blocks(
    lines: Iterable[Line], is_border: Callable[[str], bool], path: Path | None = None
) -> Iterator[list[Line]]:
    """Group the lines between borders; a block that grows too long ends in a line with that problem."""
    block: list[Line] = []
    size = 0
    for line in lines:
        if line.problem is None and is_border(line.text):
            if block:
                yield block
            block, size = [], 0
        elif size <= MAX_SENTENCE:
            size += len(line.text) + 1
            if size > MAX_SENTENCE:
                problem = (
                    f"expected a blank line between sentences, found none in {MAX_SENTENCE:,} characters"
                )
                line = Line(line.number, "", DataError(problem, path=path, line=line.number))  # noqa: PLW2901
            block.append(line)
    if block:
        yield block
