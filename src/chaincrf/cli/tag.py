"""``chaincrf tag``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import DataError
from .config import MAX_THREADS

if TYPE_CHECKING:
    from ..data import Sentence
    from ..tagging import Tagged

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
    batch_tokens: Annotated[int, typer.Option(min=1, help="tokens in a batch: speed, not results")] = 4096,
    threads: Annotated[int, typer.Option(min=1, max=MAX_THREADS, help="CPU threads")] = 1,
) -> None:
    """Tag text, one sentence a line.

    Files of any size stream through, some thousand sentences at a time; at a terminal every line is answered
    at once.

    For example:

    `echo "She was treated for breast cancer." | chaincrf tag model`

    `chaincrf tag model sentences.txt --json > tagged.jsonl`
    """
    from ..tagging import Tagger
    from ..tagging.tagger import AHEAD
    from .console import use_threads

    use_threads(threads)
    tagger = Tagger.load(model)
    marked = tagger.bundle.config.scheme is not None
    form = "jsonl" if json else output_format
    interactive = file == Path("-") and sys.stdin.isatty()
    texts = _sentences(file, input_format)
    ahead = 1 if interactive else AHEAD
    probabilities = form == "jsonl"
    for tagged in tagger.tag_all(texts, batch_tokens=batch_tokens, ahead=ahead, probabilities=probabilities):
        print(_render(tagged, form, marked), flush=interactive)  # noqa: T201


def _sentences(file: Path, form: str) -> Iterator[str | Sentence]:
    from ..data import read_corpus
    from ..data.readers.lines import open_lines

    if form != "text":
        yield from read_corpus(file, format=form, tagged=False).sentences
        return
    with open_lines(file, head=0) as lines:
        for line in lines:
            if line.problem:
                raise line.problem
            yield line.text


def _render(tagged: Tagged, form: str, marked: bool) -> str:
    from json import dumps

    if form == "jsonl":
        return dumps(tagged.to_json(), ensure_ascii=False)
    rows = list(zip(tagged.tokens, tagged.tags, strict=True))
    if form == "conll":
        for token, _ in rows:
            if set(token) & set("\t\r\n"):
                raise DataError(f"the token {token!r} does not fit into a column; take --output-format jsonl")
        return "".join(f"{token}\t{name}\n" for token, name in rows)
    return _marked(tagged) if marked else " ".join(f"{token}/{name}" for token, name in rows)


def _marked(tagged: Tagged) -> str:
    """The text with its spans in brackets, such as ``[Ann]PER left [Oslo]LOC.``."""
    pieces, last = [], 0
    for span in tagged.spans:
        pieces.append(f"{tagged.text[last : span.start]}[{span.text}]{span.label}")
        last = span.end
    return "".join(pieces) + tagged.text[last:]
