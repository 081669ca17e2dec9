"""Names and libraries that load when first used, so that an import costs only what it needs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from .errors import MissingExtra

__all__ = ["lazy_names", "require"]


def lazy_names(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    Args:
        package: ``__name__`` of the package.
        homes: for each public name the submodule that defines it.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f".{homes[name]}", package), name)
        setattr(sys.modules[package], name, value)  # also where a submodule has the same name
        return value

    return get, lambda: sorted({*vars(sys.modules[package]), *homes})


def require(module: str, extra: str) -> ModuleType:
    """Import a library that one of the package's extras brings.

    Args:
        module: its import name.
        extra: the extra in ``pyproject.toml`` that has it.

    Raises:
        MissingExtra: it is not installed; says the line that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        problem = f"{module} is needed for this and cannot be imported ({error})"
        raise MissingExtra(f"{problem}; say: pip install 'chaincrf[{extra}]'", name=error.name) from error
