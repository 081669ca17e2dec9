"""The named recipes, a task each, and a recipe as a TOML file that says what its settings mean."""

from __future__ import annotations

import json
from textwrap import wrap
from typing import Any

from ..errors import ConfigError
from .recipe import RECIPES, Recipe

__all__ = ["named_recipe", "recipe_toml", "recipe_values"]


def recipe_values(name: str) -> dict[str, Any]:
    """What a named recipe says; every other setting has its default.

    Raises:
        ConfigError: if there is no recipe of this name.
    """
    if not isinstance(name, str) or name not in RECIPES:
        raise ConfigError(f"recipe: expected one of {', '.join(RECIPES)}, got {name!r}")
    return {"task": "pos" if name == "pos" else "ner"} | dict(RECIPES[name].values)


def named_recipe(name: str, **changes: Any) -> Recipe:
    """The recipe of a name, with changes.

    Raises:
        ConfigError: if there is no recipe of this name.
    """
    return Recipe(**(recipe_values(name) | changes))


def recipe_toml(name: str) -> str:
    """A named recipe as a TOML file: every setting, under its description.

    Raises:
        ConfigError: if there is no recipe of this name.
    """
    recipe = named_recipe(name)
    lines = [f"# chaincrf recipe {name}, version {RECIPES[name].version}"]
    for key, value in recipe.model_dump(mode="json").items():
        description = Recipe.model_fields[key].description or ""
        lines += ["", *wrap(description, 98, initial_indent="# ", subsequent_indent="# ")]
        # JSON's texts, numbers and lists are TOML's; TOML has no null: such a setting is left open.
        lines.append(f"# {key} =" if value is None else f"{key} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"
