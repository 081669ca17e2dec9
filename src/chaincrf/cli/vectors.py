"""``chaincrf vectors``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Pretrained word vectors.\n\n"
    "For example: `chaincrf vectors convert glove.6B.100d.txt glove.safetensors`",
)


@app.callback()
def _commands() -> None:
    """Keep ``convert`` a command of its own while it is the only one."""


@app.command()
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="text of GloVe, word2vec or fastText, word2vec's .bin, or .safetensors"
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="the .safetensors file to write")],
    limit: Annotated[
        int | None, typer.Option(min=1, help="keep so many words, the first ones; all by default")
    ] = None,
    dtype: Annotated[Literal["float16", "float32"], typer.Option(help="the precision to keep")] = "float16",
    overwrite: Annotated[bool, typer.Option(help="replace a file that is there")] = False,
) -> None:
    """Make a file of word vectors that opens at once, for `chaincrf train --vectors OUT`.

    For example: `chaincrf vectors convert cc.de.300.vec.gz german.safetensors --limit 500000`
    """
    from ..data.vectors import convert_vectors
    from .console import note, stdout

    table = convert_vectors(source, target, limit=limit, dtype=dtype, overwrite=overwrite)
    if table.nameless:
        note(f"{source}: left out {table.nameless:,} rows without a word")
    stdout().print(f"{target}: {len(table.words):,} words, {table.vectors.shape[1]} numbers each, {dtype}")
