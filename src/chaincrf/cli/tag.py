"""``chaincrf tag``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from ..data import Sentence
    from ..tagging import TaggedSentence

__all__ = ["tag"]


def tag(
    model: Annotated[Path, typer.Argument(help="a model folder")],
    file: Annotated[Path, typer.Argument(help="the text; - is standard input")] = Path("-"),
    input_format: Annotated[
        Literal["text", "conll", "conllu", "jsonl"],
        typer.Option(help="raw text with a sentence a line, or files of tokens"),
    ] = "text",
    output_format: Annotated[
        Literal["text", "jsonl", "conll"],
        typer.Option(help="text with the spans marked, JSON lines, or columns of tokens and tags"),
    ] = "text",
    json: Annotated[bool, typer.Option("--json", help="the same as --output-format jsonl")] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="sentences in a batch: speed, not results")] = 64,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads")] = 1,
) -> None:
    """Tag text, one sentence a line, as it streams through.

    For example:

    `echo "She was treated for breast cancer." | chaincrf tag model`

    `chaincrf tag model sentences.txt --json > tagged.jsonl`
    """
    from ..tagging import Tagger
    from .console import use_threads

    use_threads(threads)
    tagger = Tagger.load(model)
    form = "jsonl" if json else output_format
    for tagged in tagger.tag_all(_sentences(file, input_format), batch_size=batch_size):
        print(_render(tagged, form))  # noqa: T201


def _sentences(file: Path, form: str) -> Iterator[str | Sentence]:
    from ..data import read_corpus

    if form != "text":
        yield from read_corpus(file, format=form, tagged=False).sentences
    elif file == Path("-"):
        yield from (line.rstrip("\r\n") for line in sys.stdin)
    else:
        with file.open(encoding="utf-8-sig") as lines:
            yield from (line.rstrip("\r\n") for line in lines)


def _render(tagged: TaggedSentence, form: str) -> str:
    from json import dumps

    if form == "jsonl":
        return dumps(tagged.to_json(), ensure_ascii=False)
    if form == "conll":
        rows = zip(tagged.sentence.tokens, tagged.tags, strict=True)
        return "".join(f"{token}\t{name}\n" for token, name in rows)
    if not tagged.spans and any(name != "O" for name in tagged.tags):
        rows = zip(tagged.sentence.tokens, tagged.tags, strict=True)
        return " ".join(f"{token}/{name}" for token, name in rows)
    return _marked(tagged)


def _marked(tagged: TaggedSentence) -> str:
    """The text with its spans in brackets, such as ``[Ann]PER left [Oslo]LOC.``."""
    text, offsets = tagged.sentence.text, tagged.sentence.offsets
    if text is None or offsets is None:
        text, offsets, end = " ".join(tagged.sentence.tokens), [], -1
        for token in tagged.sentence.tokens:
            offsets.append((end + 1, end := end + 1 + len(token)))
    pieces, last = [], 0
    for span in tagged.spans:
        start, end = offsets[span.start][0], offsets[span.end - 1][1]
        pieces.append(f"{text[last:start]}[{text[start:end]}]{span.label}")
        last = end
    return "".join(pieces) + text[last:]
