"""Workers: sequences are shared out to threads of Python, since kernels do not hold the GIL.

Numba's own threads are not used: its OpenMP layer kills a forked child, its ``workqueue`` layer does not
stand two Python threads that call at once. A sequence is computed by one worker from beginning to end, in a
tile that does not depend on their number; so neither does any result.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

__all__ = ["memory", "share", "workers"]

ENOUGH = 3000000
"""Multiply-adds of WIDTH numbers (about 1 ms) below which a worker does not pay.

With less, two workers on two cores were measured to be slower than one: PyTorch's own threads keep the other
core busy for a while after each operation.
"""


class _Memory(threading.local):
    """Memory that each thread keeps: to get it anew for each call takes longer than to compute in it."""

    def __init__(self) -> None:
        self.doubles = np.empty(2**20)  # 8 MiB, which the system gives as they are touched


_memory = _Memory()
_pool: ThreadPoolExecutor | None = None
_forked = False


def workers(work: int, tiles: int) -> int:
    """How many workers share some work: as many as PyTorch has threads, if each has enough to do.

    Args:
        work: multiply-adds of WIDTH numbers.
        tiles: how many parts it has.
    """
    if work < 2 * ENOUGH or _forked:
        return 1
    return max(1, min(torch.get_num_threads(), tiles, work // ENOUGH))


def memory() -> np.ndarray:
    """Doubles to compute in, of this thread."""
    return _memory.doubles


def share(number: int, work: Callable[[int], int]) -> list[int]:
    """The results of ``work(0)``, .., ``work(number - 1)``, called at the same time; the first one here.

    Args:
        number: how many workers, at least 2.
        work: must not hold the GIL for long.
    """
    global _pool  # noqa: PLW0603 (threads are made once in a process)
    if _pool is None:
        _pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="chaincrf")
    others = [_pool.submit(work, n) for n in range(1, number)]
    return [work(0), *(other.result() for other in others)]


def _after_fork() -> None:
    """A forked child has none of its parent's threads; it stays serial, as it is one of many."""
    global _pool, _forked
    _pool, _forked = None, True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
