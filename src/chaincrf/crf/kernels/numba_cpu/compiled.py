"""How functions are compiled: to machine code that needs no Python, kept on disk if that can be written."""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from numba import float32, float64, njit, types
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys
from numba.extending import register_jitable

__all__ = ["compiled", "entry", "named", "plain"]

NOTICE = "chaincrf: compiling for this processor, once (ten to twenty seconds)"
_OPTIONS = {"nogil": True, "error_model": "numpy"}
_LIKE = {torch.float32: float32, torch.float64: float64}
_CALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def compiled(function: Callable[..., Any], *, contract: bool = False) -> Any:
    """For what is called by compiled functions only; ``contract``: may round a product and a sum once."""
    return njit(**_OPTIONS, fastmath={"contract"} if contract else False)(inspect.unwrap(function))


def named(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function with a name of its own.

    Code on disk is linked by names. Numba tells functions of one name and one type apart by the order in
    which a process compiled them, so in the code of another process the same name may be another function.
    """
    function = inspect.unwrap(
        function
    )  # else what checks types takes the name, and the function keeps its own
    function.__name__ = function.__qualname__ = name
    return function


def plain(function: Callable[..., Any]) -> Any:
    """For what both Python and compiled functions call."""
    return register_jitable(inspect.unwrap(function))


class entry:  # noqa: N801 (a decorator)
    """For what is called from Python: a function of the address of its arguments, kept on disk.

    That is in ``NUMBA_CACHE_DIR`` or beside the source, for each type of potentials in a file of its own: two
    processes that write to one at the same time would each take the same place in it, and one would read the
    other's code, of another type. It says so where compiling takes a while. The function holds no GIL, so
    that any thread may call it, also one that Python does not know. Its second parameter is there for its
    type, that of the potentials; nobody passes it.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self.function = inspect.unwrap(function)
        self.lock = threading.Lock()
        self.of = cache(self._of)

    def _of(self, dtype: torch.dtype) -> Any:
        """The compiled function for potentials of a type, to be called with an address."""
        with self.lock:
            signature = (types.CPointer(types.int64), _LIKE[dtype]), types.void
            source = FunctionType(self.function.__code__, self.function.__globals__)
            source = named(source, f"{self.function.__name__}_{_LIKE[dtype]}")
            function = CFunc(source, signature, {}, {"nopython": True, **_OPTIONS})
            try:
                function.enable_caching()
                # Numba looks at the file of the function alone, yet others are compiled into it.
                function._cache._cache_file._source_stamp = _sources(inspect.getfile(self.function))
            except RuntimeError:  # no folder can be written: compile in each process
                pass
            address = _kept(function) or _fresh(function)
            code = _CALL(address)
            code.owner = function
            return code


def _kept(function: CFunc) -> int | None:
    """The address of a function that lies compiled on disk, if one does.

    Numba's own way there, ``compile``, first loads all that it needs for compiling: a third of a second.
    """
    context = cpu_target.target_context
    try:
        with global_compiler_lock:
            rtsys.initialize(context)  # what the code is linked with
            found = function._cache._load_overload(function._sig, context)
    except (AttributeError, OSError):  # no folder, a broken file, another Numba
        return None
    if found is None:
        return None
    function._library = found.library  # lives as long as the function
    return found.library.get_pointer_to_function(found.fndesc.llvm_cfunc_wrapper_name)


def _fresh(function: CFunc) -> int:
    """The address of a function that is compiled now."""
    notice = threading.Timer(1.0, print, [NOTICE], {"file": sys.stderr})
    notice.daemon = True
    notice.start()
    try:
        function.compile()
    finally:
        notice.cancel()
    return function.address


@cache
def _sources(file: str) -> str:
    """A hash of a file and of those here, any of which may be compiled into it."""
    files = sorted({Path(file), *Path(__file__).parent.glob("*.py")})
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
