"""``chaincrf``: the commands, and how they end."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from .. import __version__
from ..errors import ChainCRFError, ConfigError
from . import (
    calibrate,
    compare,
    corpus,
    evaluate,
    export,
    inspect,
    recipe,
    select,
    serve,
    tag,
    train,
    tune,
    vectors,
)
from .console import fail

__all__ = ["app", "main"]

app = typer.Typer(
    name="chaincrf",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Sequence labelling with BiLSTM-CRF taggers, and an answer to: does a CRF layer pay on my data?\n\n"
    "Begin with `chaincrf compare --corpus ncbi-disease --seeds 2`, or with your own files: "
    "`chaincrf train --train train.tsv --dev dev.tsv --out model`.",
)


def _version(value: bool) -> bool:
    if value:
        typer.echo(f"chaincrf {__version__}")
        raise typer.Exit
    return value


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    del version


app.command("train")(train.train)
app.command("tune")(tune.tune)
app.command("eval")(evaluate.evaluate)
app.command("tag")(tag.tag)
app.command("select")(select.select)
app.command("calibrate")(calibrate.calibrate)
app.command("inspect")(inspect.inspect)
app.command("export")(export.export)
app.command("compare")(compare.compare)
app.command("serve")(serve.serve)
app.add_typer(corpus.app, name="corpus")
app.add_typer(vectors.app, name="vectors")
app.add_typer(recipe.app, name="recipe")


def main() -> None:
    """Run the command line: exit status 0, 1 (failure), 2 (usage) or 130 (interrupted)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")
    try:
        app(prog_name="chaincrf")
    except ConfigError as error:
        fail(error)
        sys.exit(2)
    except ChainCRFError as error:
        fail(error)
        sys.exit(1)
    except BrokenPipeError:  # the reader of our output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        fail(error)
        sys.exit(1)
