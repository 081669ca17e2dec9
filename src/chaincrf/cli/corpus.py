"""``chaincrf corpus``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="The corpora that come with the package, and corpora larger than memory.\n\n"
    "For example: `chaincrf corpus export ncbi-disease data`",
)


@app.command("list")
def show(json: Annotated[bool, typer.Option("--json", help="print as JSON")] = False) -> None:
    """List the built-in corpora: `chaincrf corpus list`."""
    from ..data import list_corpora
    from .console import print_json, stdout

    corpora = list_corpora()
    if json:
        print_json(
            [
                {
                    "name": corpus.name,
                    "task": corpus.task,
                    "title": corpus.title,
                    "licence": corpus.licence,
                    "origin": corpus.origin,
                }
                for corpus in corpora
            ]
        )
        return
    for corpus in corpora:
        stdout().print(f"{corpus.name} ({corpus.task}): {corpus.title}; {corpus.licence}")


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="the corpus")],
    folder: Annotated[Path, typer.Argument(help="where to write it")],
    overwrite: Annotated[bool, typer.Option(help="replace files that are there")] = False,
) -> None:
    """Copy a corpus with its licence into a folder: `chaincrf corpus export ncbi-disease data`."""
    from ..data import export_corpus
    from .console import stdout

    for path in export_corpus(name, folder, overwrite=overwrite):
        stdout().print(str(path))


@app.command()
def convert(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="labelled files, of one scheme")],
    out: Annotated[Path, typer.Option(help="the folder of shards to make")],
    task: Annotated[Literal["ner", "pos"], typer.Option(help="'ner': spans; 'pos': a tag a token")] = "ner",
    format: Annotated[
        Literal["auto", "conll", "conllu", "jsonl"], typer.Option(help="the files' format")
    ] = "auto",
    input_scheme: Annotated[
        str, typer.Option(help="the tagging scheme of the files; by default that of the first sentences")
    ] = "auto",
    token_column: Annotated[int | None, typer.Option(min=1, help="the column of the tokens, from 1")] = None,
    tag_column: Annotated[int | None, typer.Option(min=1, help="the column of the tags, from 1")] = None,
    tagset: Annotated[Literal["upos", "xpos"], typer.Option(help="the column of a CoNLL-U file")] = "upos",
    on_error: Annotated[
        Literal["raise", "skip"], typer.Option(help="a malformed sentence ends all, or is skipped")
    ] = "raise",
    shard_size: Annotated[
        int, typer.Option(min=1, max=10_000_000, help="sentences in a shard, which are held in memory")
    ] = 50_000,
) -> None:
    """Make shards for `chaincrf train --train OUT`: for a corpus larger than memory.

    One pass over the files, in bounded memory. While training, the shards are mapped into memory and their
    sentences encoded when a batch wants them.

    For example: `chaincrf corpus convert part1.tsv part2.tsv.gz --out shards`
    """
    from ..data import Corpus, stream_corpus, write_shards
    from .console import note, stdout

    scheme = input_scheme

    def pieces() -> Iterator[Corpus]:
        nonlocal scheme
        for file in files:
            for corpus in stream_corpus(
                file,
                piece=shard_size,
                format=format,
                task=task,
                scheme=scheme,
                token_column=token_column,
                tag_column=tag_column,
                tagset=tagset,
                on_error=on_error,
            ):
                scheme = corpus.report.scheme or scheme
                note(corpus.report.describe())
                yield corpus

    shards = write_shards(pieces(), out, shard_size=shard_size)
    stdout().print(f"{shards.report.describe()}, in {len(shards.sizes)} shards")
