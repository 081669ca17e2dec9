"""Command-line options made from the fields of a pydantic model."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from ..training.named import recipe_values
from ..training.recipe import Recipe
from .config import load_config, starts_from_its_task

__all__ = ["configured"]


def configured(model: type[BaseModel], **panels: type[BaseModel]) -> Callable[[Callable[..., None]], Any]:
    """Give a command the fields of a model as options.

    The decorated function takes the configuration first; ``--config FILE.toml`` fills what the command line
    leaves open. An option that is not given stays out of the way of the file, so every default is None here
    and the model's default is only shown; for training that of the recipe ``ner``.

    Args:
        model: the configuration.
        **panels: models whose fields are shown together in the help, by the panel's name.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        fields = [_option(model, name, panels) for name in model.model_fields]
        file = inspect.Parameter(
            "config",
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                Path | None,
                typer.Option(
                    help="a TOML file with these settings as keys (with _ for -); options win over it"
                ),
            ],
        )

        extra = [file]
        if issubclass(model, Recipe):
            annotation = Annotated[
                str | None,
                typer.Option(
                    metavar="NAME|FILE.toml",
                    help="the recipe that fills what is not said: ner, pos or chunk ('chaincrf recipe show' "
                    "prints them), or a TOML file, such as 'chaincrf tune' writes",
                    show_default="that of the task" if starts_from_its_task(model) else False,
                ),
            ]
            kind = inspect.Parameter.KEYWORD_ONLY
            extra.append(inspect.Parameter("recipe", kind, default=None, annotation=annotation))

        @functools.wraps(function)
        def command(**values: Any) -> None:
            path = values.pop("config")
            rest = {parameter.name: values.pop(parameter.name) for parameter in own}
            given = {name: value for name, value in values.items() if value is not None and value != []}
            function(load_config(model, path, given), **rest)

        command.__signature__ = inspect.Signature([*own, *fields, *extra])  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in (*own, *fields, *extra)}
        return command

    return decorate


def _option(model: type[BaseModel], name: str, panels: dict[str, type[BaseModel]]) -> inspect.Parameter:
    field = model.model_fields[name]
    default = None if field.default in (None, PydanticUndefined) else str(field.default)
    if starts_from_its_task(model) and name in (recipe := recipe_values("ner")):
        default = str(recipe[name])
    panel = next((title for title, part in panels.items() if name in part.model_fields), None)
    spelled = name.replace("_", "-")
    option = typer.Option(
        f"--{spelled}/--no-{spelled}" if field.annotation is bool else f"--{spelled}",
        help=field.description,
        show_default=default or False,
        rich_help_panel=panel.replace("_", " ") if panel else None,
    )
    lists = [part for part in get_args(field.annotation) if get_origin(part) is list]
    annotation = lists[0] if lists else field.annotation  # one or several: an option to be said again
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[annotation | None, option],  # type: ignore[operator]
    )
