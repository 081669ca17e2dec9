"""One run at a time writes a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ModelError

try:
    import fcntl
except ImportError:  # Windows: a file that is open there cannot be replaced anyway
    fcntl = None

__all__ = ["locked"]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock while the block runs; the system lets it go when the process ends, however that happens.

    Args:
        path: a file that is made, and stays empty.

    Raises:
        ModelError: if another process holds it.
    """
    with path.open("a") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ModelError(
                    f"{path.parent}: another process is training here; take another --out, or wait for it"
                ) from None
            except OSError:  # a file system without locks
                pass
        yield
