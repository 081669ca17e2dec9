"""What a search may change: settings of a recipe, each with a range or with a list of values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import ConfigError
from ..training.named import read_toml
from ..training.recipe import Recipe

__all__ = ["Range", "Space", "check_space", "contains", "default_space", "plain", "read_space", "rounded"]

_NOT_SEARCHED = {
    "seed": "a search trains each recipe with the seeds of --seed and --seeds",
    "task": "it says what the data are",
    "device": "it says where to train",
}


@dataclass(frozen=True)
class Range:
    """The numbers from low to high, both included; with log their logarithms are drawn evenly."""

    low: int | float
    high: int | float
    log: bool = False


Value = str | int | float | bool
Space = Mapping[str, Range | tuple[Value, ...]]
"""For each setting of a recipe a range, or the values to choose from."""


def default_space(recipe: Recipe) -> Space:
    """Around a recipe: learning rate, batch size, both dropouts and the size of the BiLSTM."""
    batch = "batch_tokens" if recipe.batch_tokens else "batch_size"
    sizes = {name: getattr(recipe, name) for name in ("hidden", batch)}
    choices = {name: tuple(sorted({max(n // 2, 1), n, 2 * n})) for name, n in sizes.items()}
    return {
        "learning_rate": Range(recipe.learning_rate / 4, min(recipe.learning_rate * 4, 100.0), log=True),
        "dropout": Range(min(0.2, recipe.dropout), max(0.6, recipe.dropout)),
        "word_dropout": Range(0.0, max(0.2, recipe.word_dropout)),
        **choices,
    }


def read_space(path: Path) -> Space:
    """A space from a TOML file: ``hidden = [50, 100]``, ``dropout = { low = 0.2, high = 0.6 }``.

    Raises:
        ConfigError: if the file cannot be read, or a line is neither a list nor a range.
    """
    content = read_toml(path)
    try:
        return {name: _dimension(name, value) for name, value in content.items()}
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _dimension(name: str, value: Any) -> Range | tuple[Value, ...]:
    if isinstance(value, list) and value and all(isinstance(one, Value) for one in value):
        return tuple(value)
    if isinstance(value, dict) and {"low", "high"} <= value.keys() <= {"low", "high", "log"}:
        numbers = [value["low"], value["high"]]
        if all(type(number) in (int, float) for number in numbers) and isinstance(
            value.get("log", False), bool
        ):
            return Range(**value)
    raise ConfigError(
        f"{name}: expected a list of values or {{ low = ..., high = ..., log = true }}, got {value!r}"
    )


def check_space(space: Space, recipe: Recipe) -> None:
    """Make sure that a recipe can take every value, one setting at a time.

    Raises:
        ConfigError: an unknown setting, one that is not searched, or a value that does not fit.
    """
    if not space:
        raise ConfigError("space: expected at least one setting to search, got none")
    for name, dimension in space.items():
        if name not in Recipe.model_fields:
            raise ConfigError(f"space: {name}: no such setting")
        if name in _NOT_SEARCHED:
            raise ConfigError(f"space: {name}: not to be searched: {_NOT_SEARCHED[name]}")
        if isinstance(dimension, Range):
            if not is_number(name):
                raise ConfigError(f"space: {name}: expected a list of values, got a range")
            if not dimension.low < dimension.high:
                ends = f"{dimension.low} to {dimension.high}"
                raise ConfigError(f"space: {name}: expected a range from low to high, got {ends}")
            if dimension.log and dimension.low <= 0:
                raise ConfigError(f"space: {name}: expected a low above 0 with log, got {dimension.low}")
        for value in (dimension.low, dimension.high) if isinstance(dimension, Range) else dimension:
            _check_value(name, value, recipe)


def _check_value(name: str, value: Value, recipe: Recipe) -> None:
    """A value that fits by itself; what fits only together with others is for the search to find out."""
    values: dict[str, Any] = recipe.model_dump() | {name: value}
    try:
        Recipe(**values)
    except ValidationError as error:
        for problem in error.errors():
            if problem["loc"] == (name,):
                raise ConfigError(f"space: {name}: {problem['msg']}, got {value!r}") from None


def is_number(name: str) -> bool:
    """Whether a setting is a number."""
    return Recipe.model_fields[name].annotation in (int, float)


def is_whole(name: str) -> bool:
    """Whether a setting is a whole number."""
    return Recipe.model_fields[name].annotation is int


def contains(space: Space, recipe: Recipe) -> bool:
    """Whether a recipe's own values lie in the space."""

    def inside(name: str, dimension: Range | tuple[Value, ...]) -> bool:
        value = getattr(recipe, name)
        if isinstance(dimension, Range):
            return dimension.low <= value <= dimension.high
        return value in dimension

    return all(inside(name, dimension) for name, dimension in space.items())


def rounded(value: Value) -> Value:
    """A number as one would write it: three digits that count."""
    return float(f"{value:.3g}") if isinstance(value, float) else value


def plain(space: Space) -> dict[str, Any]:
    """The space in JSON's types, to be kept and compared."""
    return {
        name: asdict(dimension) if isinstance(dimension, Range) else list(dimension)
        for name, dimension in space.items()
    }
