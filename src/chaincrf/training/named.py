"""The named recipes, a task each, and a recipe as a TOML file that says what its settings mean."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from textwrap import wrap
from typing import Any

from pydantic import BaseModel

from ..errors import ConfigError
from .recipe import RECIPES, Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

__all__ = ["named_recipe", "read_settings", "read_toml", "recipe_toml", "recipe_values"]


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        ConfigError: if it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def read_settings(path: Path, model: type[BaseModel]) -> dict[str, Any]:
    """The content of a TOML file whose keys are fields of a model.

    Raises:
        ConfigError: if it cannot be read, or says true or false of what is no switch.
    """
    values = read_toml(path)
    for name, value in sorted(values.items()):
        field = model.model_fields.get(name)
        if isinstance(value, bool) and (field is None or field.annotation is not bool):
            # to Python, true is the number 1
            raise ConfigError(f"{path}: {name}: expected a number or a text, got true or false")
    return values


def recipe_values(name: str) -> dict[str, Any]:
    """What a recipe says, a named one or that of a TOML file; every other setting has its default.

    Raises:
        ConfigError: if there is no recipe of this name, or the file cannot be read or says something else.
    """
    if isinstance(name, str) and name.endswith(".toml"):
        values = read_settings(Path(name), Recipe)
        if unknown := values.keys() - Recipe.model_fields.keys():
            raise ConfigError(f"{name}: {min(unknown)}: no setting of a recipe")
        return values
    if not isinstance(name, str) or name not in RECIPES:
        raise ConfigError(f"recipe: expected one of {', '.join(RECIPES)} or a TOML file, got {name!r}")
    return {"task": "pos" if name == "pos" else "ner"} | dict(RECIPES[name].values)


def named_recipe(name: str, **changes: Any) -> Recipe:
    """The recipe of a name, with changes.

    Raises:
        ConfigError: if there is no recipe of this name.
    """
    return Recipe(**(recipe_values(name) | changes))


def recipe_toml(recipe: str | Recipe, title: str = "") -> str:
    """A recipe, by its name or itself, as a TOML file: every setting, under its description.

    Args:
        recipe: the recipe.
        title: the first line; by default a named recipe's name and version.

    Raises:
        ConfigError: if there is no recipe of this name.
    """
    if isinstance(recipe, str):
        name, recipe = recipe, named_recipe(recipe)
        title = title or f"chaincrf recipe {name}, version {RECIPES[name].version}"
    lines = [f"# {title}"] if title else []
    for key, value in recipe.model_dump(mode="json").items():
        description = Recipe.model_fields[key].description or ""
        lines += ["", *wrap(description, 98, initial_indent="# ", subsequent_indent="# ")]
        # JSON's texts, numbers and lists are TOML's; TOML has no null: such a setting is left open.
        lines.append(f"# {key} =" if value is None else f"{key} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"
