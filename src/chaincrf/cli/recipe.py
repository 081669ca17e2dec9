"""``chaincrf recipe``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="The named recipes.\n\nFor example: `chaincrf recipe show ner > recipe.toml`",
)


@app.callback()
def _commands() -> None:
    """Keep ``show`` a command of its own while it is the only one."""


@app.command()
def show(name: Annotated[Literal["ner", "pos", "chunk"], typer.Argument(help="the recipe")] = "ner") -> None:
    """Print a recipe as a TOML file for `--config`, with what each setting means.

    For example: `chaincrf recipe show chunk > recipe.toml`
    """
    from ..training.named import recipe_toml

    print(recipe_toml(name), end="")  # noqa: T201
