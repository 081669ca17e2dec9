"""Which code computes an operator: the reference, or a compiled kernel."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Literal

from torch import Tensor

from ..errors import ArgumentError

__all__ = ["Backend", "backend", "kernels_for"]

Backend = Literal["auto", "reference", "numba"]
_chosen: ContextVar[Backend] = ContextVar("chaincrf.backend", default="auto")


@contextmanager
def backend(name: Backend) -> Iterator[None]:
    """Choose what computes losses and best paths within a ``with`` block, in this thread.

    ``"auto"``, which holds everywhere else: compiled kernels where there are some for the device (on a CPU,
    if Numba is installed), and the reference for the rest. All give the same results up to rounding.

    Args:
        name: ``"auto"``, ``"reference"``: plain PyTorch, or ``"numba"``.

    Raises:
        ArgumentError: there is no such backend, or it is not installed. If one that is asked for by name
            cannot serve a tensor, the operator raises it.
    """
    if name not in ("auto", "reference", "numba"):
        raise ArgumentError(f'backend must be "auto", "reference" or "numba", got {name!r}')
    if name == "numba" and not _installed():
        raise ArgumentError('backend "numba" needs the package numba, which is not installed')
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def kernels_for(emissions: Tensor) -> ModuleType | None:
    """The compiled kernels that compute on these emissions; None: the reference does.

    Raises:
        ArgumentError: they were asked for by name and cannot.
    """
    chosen = _chosen.get()
    if chosen == "reference":
        return None
    here = emissions.device.type == "cpu"
    if chosen == "numba" and not here:
        raise ArgumentError(f'backend "numba" computes on CPUs, got emissions on {emissions.device}')
    return _numba_cpu() if here else None


@cache
def _installed() -> bool:
    return find_spec("numba") is not None


@cache
def _numba_cpu() -> ModuleType | None:
    if not _installed():
        warnings.warn(
            "numba is not installed: the CRF is computed by plain PyTorch, many times slower "
            "(pip install numba)",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    from .kernels import numba_cpu

    return numba_cpu
