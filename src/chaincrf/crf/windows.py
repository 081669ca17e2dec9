"""The probability of windows as the ratio of two partition functions, where a kernel computes these.

The paths that keep to a window are those of a chain in which nothing else is allowed there, so
``p(window) = Z(restricted) / Z``. A copy of the whole sequence for each window: more arithmetic than
``reference.window``, which goes over the window alone, and far less time while windows are few, as spans are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd import forward_ad

from ..errors import ArgumentError
from . import ops
from .backends import kernels_for
from .reference.forward_backward import at_most, finite
from .reference.potentials import Potentials

__all__ = ["by_partition", "pays"]

MOST_COPIES = 16
"""Windows a sequence, in the mean, up to which copies are taken: they were the faster ones up to there."""


def pays(chain: Potentials, windows: int) -> bool:
    """Whether :func:`by_partition` can compute so many windows, and is the faster way."""
    if torch.compiler.is_compiling() or chain.per_position or windows > MOST_COPIES * len(chain.emissions):
        return False
    if torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        return False
    wanted = (chain.emissions, chain.transitions, chain.start, chain.end)
    if torch.is_grad_enabled() and any(x.requires_grad for x in wanted):
        return False
    try:
        return kernels_for(chain.emissions) is not None
    except ArgumentError:  # of a backend that was asked for by name: the reference always serves
        return False


def by_partition(
    chain: Potentials,
    rows: Int[Tensor, " N"],
    starts: Int[Tensor, " N"],
    allowed: Bool[Tensor, "N W K"],
    widths: Sequence[int],
) -> Float[Tensor, " N"]:
    """The same as ``reference.window.window_log_probability``, without a gradient.

    Cost: a forward recursion over the sequence of each window; memory for a copy of its emissions.
    """
    B, T, _ = chain.emissions.shape
    N, W, K = allowed.shape
    device = starts.device
    nowhere = (starts < 0) | (rows < 0) | (rows >= B)
    rows = torch.where(nowhere, 0, rows)
    places = starts.clamp(0, T).unsqueeze(1) + torch.arange(W, device=device)
    asked = torch.arange(W, device=device) < torch.tensor(widths, device=device).unsqueeze(1)
    kept = torch.ones(N, T + W, K, dtype=torch.bool, device=device)
    kept.scatter_(1, places.unsqueeze(2).expand(N, W, K), allowed | ~asked.unsqueeze(2))
    emissions = torch.where(kept[:, :T], chain.emissions[rows], -torch.inf)
    moves, counts = (chain.transitions, chain.start, chain.end), chain.counts()
    log_z = ops.log_partition(chain.emissions, *moves, counts)[rows]
    mass = ops.log_partition(emissions, *moves, counts[rows])
    value = at_most(mass - finite(log_z), 0.0)
    past = torch.where(log_z == -torch.inf, -torch.inf, 0.0)  # a window that asks nothing
    value = torch.where(starts < chain.lengths[rows], value, past)
    return torch.where(nowhere, torch.nan, value)
