"""What a step gives back to the C library, the next one gets."""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_SET = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> None:
    """Let glibc keep up to 512 MiB of freed memory at its heap's top, and take blocks up to 32 MiB from it.

    Otherwise much goes back to the system after many a step, and has to be fetched anew, page by page, in the
    next: some percent of the time, and of processes that train together one waits for the other meanwhile. It
    holds for the whole process, and for good (``malloc_trim(0)`` of the C library gives back what is free).
    Whoever has set one of these in the environment keeps it; other C libraries are left alone.
    """
    if sys.platform != "linux" or any(name in os.environ for name in _SET):
        return
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return
    library.mallopt(_MMAP_THRESHOLD, 32 << 20)  # the most that glibc allows, and would come to by itself
    library.mallopt(_TRIM_THRESHOLD, 512 << 20)
