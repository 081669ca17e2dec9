"""What every launch needs."""

from collections.abc import Hashable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

__all__ = ["alignment", "launch", "on_device", "options", "plain"]

_compiled: dict[tuple[Hashable, ...], Any] = {}
MOST_KEPT = 10_000


def launch(
    kernel: Any,
    key: Hashable,
    grid: tuple[int, int, int],
    *arguments: object,
    warps: int,
    **constants: object,
) -> None:
    """Launch a kernel on the current device.

    What it was compiled to is kept: for Triton to look for it takes longer than the whole launch otherwise.

    Args:
        kernel: the function.
        key: what its code depends on besides the constants: device, dtypes, alignments, sizes.
        grid: the programs.
        *arguments: tensors and numbers, in order.
        warps: threads of a program, by 32.
        **constants: those that the code is compiled for, in the order of its parameters.
    """
    place = id(kernel), key, warps, *constants.values()
    compiled = _compiled.get(place)
    if compiled is not None:
        compiled[grid](*arguments, *constants.values())
        return
    compiled = kernel[grid](*arguments, **constants, **options(warps))
    if len(_compiled) >= MOST_KEPT:
        _compiled.clear()
    if compiled is not None:  # not in the interpreter
        _compiled[place] = compiled


def alignment(*tensors: Tensor | None) -> tuple[int, ...]:
    """What the compiler makes use of."""
    return tuple(x.data_ptr() & 15 for x in tensors if x is not None)


def on_device(x: Tensor) -> AbstractContextManager[object]:
    """Launch where the tensor is."""
    there = not x.is_cuda or x.device.index == torch.cuda.current_device()
    return nullcontext() if there else torch.cuda.device(x.device)


def options(warps: int) -> dict[str, int | bool]:
    """How a kernel is compiled: multiply and add at once, as few threads as hold its numbers.

    What a product reads is fetched one step ahead: two, as is usual, do not fit the shared memory of every
    device.
    """
    return {"num_warps": warps, "num_stages": 2, "enable_fp_fusion": True}


def plain(*tensors: Tensor | None) -> list[Tensor | None]:
    """The tensors as the kernels read them; bits as bytes."""
    held = [
        x if x is None or (x.is_contiguous() and not x.is_neg()) else x.resolve_neg().contiguous()
        for x in tensors
    ]
    return [x.view(torch.uint8) if x is not None and x.dtype == torch.bool else x for x in held]
