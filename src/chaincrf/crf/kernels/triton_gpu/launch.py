"""What every launch needs."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

__all__ = ["on_device", "options", "plain"]


def on_device(x: Tensor) -> AbstractContextManager[object]:
    """Launch where the tensor is."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def options(warps: int) -> dict[str, int | bool]:
    """How a kernel is compiled: multiply and add at once, as few threads as hold its numbers."""
    return {"num_warps": warps, "enable_fp_fusion": True}


def plain(*tensors: Tensor | None) -> list[Tensor | None]:
    """The tensors as the kernels read them; bits as bytes."""
    held = [x if x is None else x.resolve_neg().contiguous() for x in tensors]
    return [x.view(torch.uint8) if x is not None and x.dtype == torch.bool else x for x in held]
