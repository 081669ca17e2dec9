"""One tree of exceptions: ``except ChainCRFError`` catches all that chaincrf raises on purpose.

::

    ChainCRFError
    ├── ArgumentError  (ValueError)    an argument that cannot be right: shape, dtype, range, combination
    ├── LabelError     (ValueError)    a tag, a scheme or a span that does not fit
    ├── DataError      (ValueError)    a file that cannot be read; knows path, line and column
    ├── ConfigError    (ValueError)    a configuration, option or TOML file that cannot be used
    ├── ModelError     (ValueError)    a model folder or checkpoint that is missing, damaged or too new
    ├── NotFiniteError (ArithmeticError)  a loss or a gradient that is infinite or not a number
    ├── BackendError   (RuntimeError)  a backend asked for by name that cannot serve the request
    └── MissingExtra   (ImportError)   a library that is not a core requirement, and is not installed

The command line prints the message of any of them without a traceback and exits with status 1.
"""

from __future__ import annotations

from os import PathLike, fspath

__all__ = [
    "ArgumentError",
    "BackendError",
    "ChainCRFError",
    "ConfigError",
    "DataError",
    "LabelError",
    "MissingExtra",
    "ModelError",
    "NotFiniteError",
]


class ChainCRFError(Exception):
    """The root of the tree; never raised itself."""


class ArgumentError(ChainCRFError, ValueError):
    """An argument that cannot be right: its shape, dtype, range or combination with another."""


class LabelError(ChainCRFError, ValueError):
    """A tag, a tagging scheme or a span that does not fit."""


class ConfigError(ChainCRFError, ValueError):
    """A configuration, an option or a TOML file that cannot be used."""


class ModelError(ChainCRFError, ValueError):
    """A model folder or checkpoint that is missing, damaged or of a newer format."""


class NotFiniteError(ChainCRFError, ArithmeticError):
    """A loss or a gradient that is infinite or not a number: training cannot go on."""


class BackendError(ChainCRFError, RuntimeError):
    """A backend asked for by name that cannot serve the request."""


class MissingExtra(ChainCRFError, ImportError):  # noqa: N818 (an ImportError by another name)
    """A library that an extra brings and that is not installed; the message says how to install it."""


class DataError(ChainCRFError, ValueError):
    """A file that cannot be read.

    The message begins with the place, as compilers print it: ``path:line:column: problem``.

    Args:
        problem: what was expected and what was there.
        path: the file.
        line: line number, counted from 1.
        column: column of fields (or character, where the format has no fields), counted from 1.
    """

    def __init__(
        self,
        problem: str,
        *,
        path: str | PathLike[str] | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.problem = problem
        self.path = None if path is None else fspath(path)
        self.line = line
        self.column = column
        place = ":".join(str(part) for part in (self.path, line, column) if part is not None)
        super().__init__(f"{place}: {problem}" if place else problem)
