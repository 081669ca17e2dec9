"""``chaincrf corpus``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="The corpora that come with the package.\n\nFor example: `chaincrf corpus export ncbi-disease data`",
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
