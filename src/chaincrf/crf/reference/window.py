"""The probability that a window of tokens carries tags from given sets."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .forward_backward import backward, finite, forward, log_partition, logsumexp
from .potentials import Potentials

__all__ = ["window_log_probability"]


def window_log_probability(
    chain: Potentials,
    rows: Int[Tensor, " N"],
    starts: Int[Tensor, " N"],
    allowed: Bool[Tensor, "N W K"],
) -> Float[Tensor, " N"]:
    """log p(y_s in S_0, .., y_{s+W-1} in S_{W-1}) of N windows, in O(B T K^2 + N W K^2).

    alpha brings the mass to the first token of the window, the recursion goes on within the window over the
    allowed tags alone, and beta takes it from the last one to the end.

    Args:
        chain: the potentials.
        rows: the sequence of each window.
        starts: the first token of each window, counted among the tokens that count.
        allowed: the sets; those beyond the end of the sequence are not looked at.
    """  # noqa: D403
    alpha, beta = forward(chain), backward(chain)
    log_z = log_partition(chain, alpha)[rows]
    lengths, last = chain.lengths[rows], chain.last()[rows]

    def at(x: Tensor, t: Tensor) -> Tensor:
        return x[rows, torch.minimum(t, last)]

    mass = torch.where(allowed[:, 0], at(alpha, starts), -torch.inf)
    T = chain.emissions.shape[1]
    for w in range(1, min(allowed.shape[1], T)):
        t = starts + w
        moves = at(chain.transitions, (t - 1).clamp(max=T - 2)) if chain.per_position else chain.transitions
        onward = logsumexp(mass.unsqueeze(2) + moves, dim=1) + at(chain.emissions, t)
        onward = torch.where(allowed[:, w], onward, -torch.inf)
        mass = torch.where((t < lengths).unsqueeze(1), onward, mass)
    log_p = logsumexp(mass + at(beta, starts + allowed.shape[1] - 1), dim=1) - finite(log_z)
    return torch.where(starts < lengths, log_p, torch.where(log_z == -torch.inf, -torch.inf, 0.0))
