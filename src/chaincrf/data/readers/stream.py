"""Files as streams of texts to be tagged: nothing is held but the text at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..._lazy import require
from ...errors import ArgumentError, DataError
from ..sentence import Sentence
from .conll import ConllReader
from .conllu import ConlluReader
from .jsonl import JsonlReader
from .lines import Lines, open_lines
from .options import Options

__all__ = ["STREAM_FORMATS", "Item", "guess_stream_format", "read_stream"]

STREAM_FORMATS = ("text", "conll", "conllu", "jsonl", "parquet")
_SUFFIXES = {
    ".conll": "conll",
    ".iob": "conll",
    ".bio": "conll",
    ".tsv": "conll",
    ".conllu": "conllu",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
_ROWS = 1024


class Item(NamedTuple):
    """One text of a file.

    Attributes:
        text: raw text, or the tokens of a sentence.
        id: the name that the file gives it.
    """

    text: str | Sequence[str]
    id: str | None = None


def guess_stream_format(path: Path) -> str:
    """The format of a file, by its name: ``"text"`` where it says nothing."""
    return _SUFFIXES.get(Path(path.name.removesuffix(".gz")).suffix.lower(), "text")


def read_stream(
    path: Path,
    form: str = "auto",
    *,
    token_column: int | None = None,
    on_skip: Callable[[DataError], None] | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[Item]:
    """The texts of a file, one by one, in constant memory.

    ``"text"`` has one text a line; ``"jsonl"`` an object a line with ``text``, or with ``tokens``, and
    perhaps ``id``; ``"parquet"`` these as columns; ``"conll"`` and ``"conllu"`` sentences. Tags are not
    looked at.

    Args:
        path: the file, plain or gzip; ``-`` is standard input.
        form: the format, or ``"auto"``: by the file's name.
        token_column: column of the token in CoNLL columns, counted from 1, or from the end with -1.
        on_skip: is told each malformed text, which is then left out; None: the first one raises.
        on_bytes: is told how many bytes were read (for Parquet rows, in proportion).

    Raises:
        DataError: if the file cannot be read, or a text is malformed; names file and line, or row.
        ArgumentError: no such format.
        MissingExtra: for Parquet without pyarrow.
    """
    form = guess_stream_format(path) if form == "auto" else form
    if form not in STREAM_FORMATS:
        raise ArgumentError(f"format: expected one of {', '.join(STREAM_FORMATS)}, got {form!r}")
    if form == "parquet":
        yield from _parquet(path, on_skip, on_bytes)
        return
    options = Options(path, "ner", tagged=False, scheme=None, token_column=token_column, tag_column=None,
                      tagset="upos", repair="conlleval")  # fmt: skip
    with open_lines(path, **({} if form == "conll" else {"head": 0})) as lines:
        if form == "conll" and not lines.head:
            return
        done = 0
        for block, parse in _blocks(form, lines, options):
            try:
                for line in block:
                    if line.problem:
                        raise line.problem
                item = parse(block)
            except DataError as error:
                if on_skip is None:
                    raise
                on_skip(error)
            else:
                if item is not None:
                    yield item
            if on_bytes is not None:
                on_bytes(lines.consumed - done)
                done = lines.consumed


def _blocks(form: str, lines: Lines, options: Options) -> Iterator[tuple[Sequence[Any], Callable[..., Any]]]:
    """The lines of each text, and what makes an item of them."""
    if form == "text":
        yield from (([line], lambda block: Item(block[0].text)) for line in lines)
        return
    if form == "conll":
        reader: Any = ConllReader(lines.head, options)
    else:
        reader = ConlluReader(options) if form == "conllu" else JsonlReader(options)

    def parse(block: Sequence[Any]) -> Item | None:
        sentence: Sentence | None = reader.parse(block)
        if sentence is None:
            return None
        return Item(sentence.tokens if sentence.text is None else sentence.text, sentence.id)

    yield from ((block, parse) for block in reader.blocks(lines))


def _parquet(
    path: Path, on_skip: Callable[[DataError], None] | None, on_bytes: Callable[[int], None] | None
) -> Iterator[Item]:
    parquet = require("pyarrow.parquet", "datasets")
    try:
        file = parquet.ParquetFile(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are these
        raise DataError(f"expected a Parquet file: {error}", path=path) from None
    with file:
        names = set(file.schema_arrow.names)
        key = next((name for name in ("text", "tokens") if name in names), None)
        if key is None:
            found = ", ".join(sorted(names)) or "none"
            raise DataError(f"expected a column text or tokens, found {found}", path=path)
        number, rows, size = 0, max(file.metadata.num_rows, 1), path.stat().st_size
        for batch in file.iter_batches(batch_size=_ROWS, columns=[key, *({"id"} & names)]):
            for row in batch.to_pylist():
                number += 1
                value, name = row[key], row.get("id")
                good = isinstance(value, str) or (
                    isinstance(value, list)
                    and all(isinstance(token, str) and token.strip() for token in value)
                )
                if good:
                    yield Item(value, None if name is None else str(name))
                    continue
                error = DataError(f"row {number}: {key}: expected text, found {str(value)[:80]!r}", path=path)
                if on_skip is None:
                    raise error
                on_skip(error)
            if on_bytes is not None:
                on_bytes(size * len(batch) // rows)
