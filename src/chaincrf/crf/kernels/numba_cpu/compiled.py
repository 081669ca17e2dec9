"""How functions are compiled: without the GIL, and kept on disk where that can be written."""

from __future__ import annotations

import hashlib
import inspect
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

__all__ = ["compiled", "entry"]

NOTICE = "chaincrf: compiling the CRF for this processor, once (ten to twenty seconds)"
_OPTIONS = {"nogil": True, "error_model": "numpy"}


def compiled(function: Callable[..., Any]) -> Any:
    """For what is called by compiled functions only."""
    return njit(**_OPTIONS)(inspect.unwrap(function))


class entry:  # noqa: N801 (a decorator)
    """For what is called from Python: kept on disk, in ``NUMBA_CACHE_DIR`` or beside the source.

    Says so where compiling takes a while. The first argument tells for which type of numbers that is.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        function = inspect.unwrap(function)
        self.compiled_for: set[type] = set()
        try:
            self.dispatcher: Any = njit(**_OPTIONS, cache=True)(function)
            # Numba looks at the file of the function alone, yet others are compiled into it.
            self.dispatcher._cache._cache_file._source_stamp = _sources()
        except RuntimeError:  # no folder can be written: compile in each process
            self.dispatcher = njit(**_OPTIONS)(function)

    def __call__(self, like: Any, *arguments: Any) -> int:
        """Call the compiled function."""
        if type(like) in self.compiled_for:
            return self.dispatcher(like, *arguments)
        notice = threading.Timer(1.0, print, [NOTICE], {"file": sys.stderr})
        notice.daemon = True
        notice.start()
        try:
            return self.dispatcher(like, *arguments)
        finally:
            notice.cancel()
            self.compiled_for.add(type(like))


def _sources() -> str:
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
