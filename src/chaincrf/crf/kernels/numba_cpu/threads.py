"""Workers: the threads of PyTorch's own operations, since two pools would take the cores from one another.

They are those of OpenMP, where PyTorch brings GNU's; elsewhere threads of Python, as kernels hold no GIL.
Numba's own are not used: its OpenMP layer kills a forked child, its ``workqueue`` layer does not stand two
threads that call at once. Workers take the next tile until there is none, and a tile is computed from
beginning to end by one, alone; so no result depends on their number.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

__all__ = ["memory", "share", "workers"]

ENOUGH = 20_000
"""Multiply-adds of registers (about 15 us) below which a worker does not pay, as measured."""
_KEPT = 2**21


class _Memory(threading.local):
    """Memory that each thread keeps: to get it anew for each call takes longer than to compute in it."""

    def __init__(self) -> None:
        doubles = np.empty(_KEPT)  # which the system gives as they are touched
        self.kept = doubles, doubles.ctypes.data


_memory = _Memory()
_forked = False


def workers(work: int, tiles: int) -> int:
    """How many workers share some work: as many as PyTorch has threads, if each has enough to do.

    Args:
        work: multiply-adds of registers.
        tiles: how many parts it has.
    """
    if work < 2 * ENOUGH or _forked:
        return 1
    return max(1, min(torch.get_num_threads(), tiles, work // ENOUGH))


def memory(size: int) -> tuple[np.ndarray, int]:
    """Doubles to compute in, and their address; what is large is not kept."""
    if size <= _KEPT:
        return _memory.kept
    doubles = np.empty(size)
    return doubles, doubles.ctypes.data


def share(number: int, code: Any, arguments: ctypes.Array) -> None:
    """Have some workers call a function at the same time, and wait for them.

    Args:
        number: how many; one is this thread.
        code: a compiled function.
        arguments: its arguments, the same for all.
    """
    openmp = _openmp() if number > 1 else None
    if openmp is not None:
        openmp(code, arguments, number, 0)
        return
    others = [_pool().submit(code, arguments) for _ in range(1, number)]
    code(arguments)
    for other in others:
        other.result()


@cache
def _openmp() -> Callable[..., None] | None:
    """``GOMP_parallel`` of the library that PyTorch has loaded."""
    root = Path(torch.__file__).parent
    for folder in (root / "lib", root.parent / "torch.libs"):
        for path in sorted(folder.glob("libgomp*.so*")):
            function = ctypes.CDLL(str(path)).GOMP_parallel
            function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
            function.restype = None
            return function
    return None


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="chaincrf")


def _after_fork() -> None:
    """A forked child has none of its parent's threads; it stays serial, as it is one of many."""
    global _forked  # noqa: PLW0603 (a process is forked once)
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
