"""Which code computes an operator: the reference, or a compiled kernel."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor

from ..errors import ArgumentError

__all__ = ["Backend", "backend", "installed", "kernels_for"]

Backend = Literal["auto", "reference", "numba", "triton"]
_INSTALL = {"numba": "pip install numba", "triton": "pip install 'chaincrf[gpu]'"}
_chosen: ContextVar[Backend] = ContextVar("chaincrf.backend", default="auto")


@contextmanager
def backend(name: Backend) -> Iterator[None]:
    """Choose what computes losses and best paths within a ``with`` block, in this thread.

    ``"auto"``, which holds everywhere else: compiled kernels where there are some for the device (on a CPU
    if Numba is installed, on a CUDA device if Triton is), and the reference for the rest. All give the same
    results up to rounding.

    Args:
        name: ``"auto"``, ``"reference"``: plain PyTorch, ``"numba"`` for CPUs, or ``"triton"`` for CUDA
            devices (and for CPUs where the environment has ``TRITON_INTERPRET=1``: its interpreter, to test).

    Raises:
        ArgumentError: there is no such backend, or it is not installed. If one that is asked for by name
            cannot serve a tensor, the operator raises it.
    """
    if name not in ("auto", "reference", "numba", "triton"):
        raise ArgumentError(f'backend must be "auto", "reference", "numba" or "triton", got {name!r}')
    if name in ("numba", "triton") and not installed(name):
        needed = f'backend "{name}" needs the package {name}, which is not installed'
        raise ArgumentError(f"{needed}; say: {_INSTALL[name]}")
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
    if chosen == "triton":
        why = _not_by_triton(emissions)
        if why:
            raise ArgumentError(f'backend "triton" {why}')
        return _kernels("triton_gpu")
    device = emissions.device.type
    if chosen == "numba" and device != "cpu":
        raise ArgumentError(f'backend "numba" computes on CPUs, got emissions on {emissions.device}')
    if device == "cpu":
        return _kernels("numba_cpu") if installed("numba") else _without("numba")
    if device != "cuda":
        return None
    if not installed("triton"):
        return _without("triton")
    return None if _not_by_triton(emissions) else _kernels("triton_gpu")


@cache
def installed(package: str) -> bool:
    """Whether a package can be imported."""
    return find_spec(package) is not None


@cache
def _kernels(name: str) -> ModuleType:
    return import_module(f"{__package__}.kernels.{name}")


@cache
def _without(package: str) -> None:
    warnings.warn(
        f"{package} is not installed: the CRF is computed by plain PyTorch, many times slower "
        f"({_INSTALL[package]})",
        RuntimeWarning,
        stacklevel=3,
    )


def _not_by_triton(emissions: Tensor) -> str:
    """Why Triton's kernels cannot compute on these emissions; empty where they can."""
    device, K = emissions.device, emissions.shape[-1]
    most = _kernels("triton_gpu").MOST_TAGS
    if device.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        return f"computes on CUDA devices, got emissions on {device}"
    if device.type not in ("cpu", "cuda"):
        return f"computes on CUDA devices, got emissions on {device}"
    if device.type == "cuda" and not _recent(device.index or 0):
        return "needs an NVIDIA device of compute capability 8.0 or later"
    return f"computes up to {most} tags, got {K}" if most < K else ""


@cache
def _recent(index: int) -> bool:
    return torch.version.cuda is not None and torch.cuda.get_device_capability(index) >= (8, 0)
