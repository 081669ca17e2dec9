"""Tagged texts as files, written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from .._lazy import require
from ..errors import ArgumentError, DataError
from .result import Tagged, TaggedSentence

__all__ = ["OUTPUT_FORMATS", "SUFFIXES", "open_output", "render"]

SUFFIXES = {"text": ".txt", "jsonl": ".jsonl", "conll": ".conll", "conllu": ".conllu", "parquet": ".parquet"}
OUTPUT_FORMATS = tuple(SUFFIXES)
_ROWS = 1024

_JSON = json.JSONEncoder(ensure_ascii=False).encode

Write = Callable[[Tagged], None]


def render(tagged: Tagged, form: str, spans: bool) -> str:
    """A tagged text as lines of a file.

    Args:
        tagged: the text.
        form: ``"text"``: spans in brackets, ``[Ann]PER left.``, or for parts of speech ``She/PRON``;
            ``"jsonl"``; ``"conll"``: a token and its tag a line, and an empty line after a sentence;
            ``"conllu"``: part of speech as UPOS, or the tag of a span as ``NER=`` in MISC.
        spans: whether the tagger finds spans (or parts of speech).

    Raises:
        DataError: a token that does not fit into a column.
        ArgumentError: no such format.
    """
    if form == "jsonl":
        return _JSON(tagged.to_json()) + "\n"
    if form == "text":
        return (
            _marked(tagged)
            if spans
            else " ".join(map("/".join, zip(tagged.tokens, tagged.tags, strict=True)))
        ) + "\n"
    if form == "conll":
        return "".join(map(_columns, tagged.sentences)) or "\n"
    if form == "conllu":
        return "".join(_conllu(tagged, number, spans) for number in range(len(tagged.sentences)))
    raise ArgumentError(f"format: expected one of {', '.join(OUTPUT_FORMATS)}, got {form!r}")


@contextmanager
def open_output(path: Path | None, form: str, spans: bool) -> Iterator[Write]:
    """A function that writes tagged texts; the file has its name once all were written.

    Args:
        path: the file; None: standard output.
        form: see :func:`render`; or ``"parquet"``, to files only.
        spans: see :func:`render`.

    Raises:
        DataError: the file cannot be written.
        ArgumentError: Parquet to standard output.
        MissingExtra: for Parquet without pyarrow.
    """
    if path is None:
        if form == "parquet":
            raise ArgumentError("output: expected a file for Parquet, got standard output")
        yield lambda tagged: print(render(tagged, form, spans), end="")  # noqa: T201
        return
    with _whole(path) as temporary:
        if form == "parquet":
            with _parquet(temporary) as write:
                yield write
            return
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            yield lambda tagged: _put(file, render(tagged, form, spans))


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A name beside the file, which becomes the file's if the block ends well."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise DataError(f"cannot be written: {error}", path=path) from None
    os.close(handle)
    temporary = Path(name)
    try:
        temporary.chmod(0o666 & ~_umask())
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _put(file: IO[str], text: str) -> None:
    file.write(text)


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    pyarrow, parquet = require("pyarrow", "datasets"), require("pyarrow.parquet", "datasets")
    span = {
        "start": pyarrow.int64(),
        "end": pyarrow.int64(),
        "label": pyarrow.string(),
        "text": pyarrow.string(),
        "probability": pyarrow.float64(),
        "token_start": pyarrow.int64(),
        "token_end": pyarrow.int64(),
    }
    texts = pyarrow.list_(pyarrow.string())
    schema = pyarrow.schema(
        {
            "id": pyarrow.string(),
            "text": pyarrow.string(),
            "tokens": texts,
            "tags": texts,
            "spans": pyarrow.list_(pyarrow.struct(list(span.items()))),
        }
    )
    rows: list[dict[str, Any]] = []
    with parquet.ParquetWriter(path, schema) as writer:

        def flush() -> None:
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
            rows.clear()

        def write(tagged: Tagged) -> None:
            content = tagged.to_json()
            rows.append({name: content.get(name) for name in schema.names})
            if len(rows) == _ROWS:
                flush()

        yield write
        flush()


def _marked(tagged: Tagged) -> str:
    """The text with its spans in brackets, on one line."""
    pieces, last = [], 0
    for span in tagged.spans:
        pieces.append(f"{tagged.text[last : span.start]}[{span.text}]{span.label}")
        last = span.end
    return "".join([*pieces, tagged.text[last:]])


def _columns(sentence: TaggedSentence) -> str:
    for token in sentence.tokens:
        if set(token) & set("\t\r\n"):
            raise DataError(f"the token {token!r} does not fit into a column; take --output-format jsonl")
    return (
        "".join(f"{token}\t{tag}\n" for token, tag in zip(sentence.tokens, sentence.tags, strict=True)) + "\n"
    )


def _conllu(tagged: Tagged, number: int, spans: bool) -> str:
    sentence = tagged.sentences[number]
    _columns(sentence)
    start, end = sentence.offsets[0][0], sentence.offsets[-1][1]
    lines = [
        f"# sent_id = {tagged.id or 'text'}-{number + 1}",
        "# text = " + " ".join(tagged.text[start:end].split()),
    ]
    borders = [*pairwise(sentence.offsets), (sentence.offsets[-1], (end + 1, end + 1))]
    for i, (token, tag, (this, following)) in enumerate(
        zip(sentence.tokens, sentence.tags, borders, strict=True), start=1
    ):
        misc = [f"NER={tag}"] * spans + ["SpaceAfter=No"] * (this[1] == following[0])
        upos = "_" if spans else tag
        lines.append(f"{i}\t{token}\t_\t{upos}\t_\t_\t_\t_\t_\t{'|'.join(misc) or '_'}")
    return "\n".join(lines) + "\n\n"
