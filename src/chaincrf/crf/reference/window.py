"""The probability that a window of tokens carries tags from given sets."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .forward_backward import at_most, backward, finite, forward, log_partition, logsumexp
from .potentials import Potentials

__all__ = ["window_log_probability"]


def window_log_probability(
    chain: Potentials,
    rows: Int[Tensor, " N"],
    starts: Int[Tensor, " N"],
    allowed: Bool[Tensor, "N W K"],
    widths: Sequence[int],
) -> Float[Tensor, " N"]:
    """log p(y_s in S_0, .., y_{s+W-1} in S_{W-1}) of N windows.

    O(B T K^2), and K^2 for each token of a window: the widest come first, and step w takes those that are
    wider than w. NaN where a start or a row is out of range.

    alpha brings the mass to the first token of the window, the recursion goes on within the window over the
    allowed tags alone, and beta takes it from the last one to the end.

    Args:
        chain: the potentials.
        rows: the sequence of each window.
        starts: the first token of each window, counted among the tokens that count.
        allowed: the sets; those beyond the end of the sequence, or the width, are not looked at.
        widths: how many sets each window has, at least 1, never increasing.
    """  # noqa: D403
    B, T, _ = chain.emissions.shape
    nowhere = (starts < 0) | (rows < 0) | (rows >= B)
    starts, rows = starts.clamp(min=0), torch.where(nowhere, 0, rows)
    alpha, beta = forward(chain), backward(chain)
    log_z = log_partition(chain, alpha)[rows]
    lengths, last = chain.lengths[rows], chain.last()[rows]

    def at(x: Tensor, t: Tensor) -> Tensor:
        return x[rows[: len(t)], torch.minimum(t, last[: len(t)])]

    mass = torch.where(allowed[:, 0], at(alpha, starts), -torch.inf)
    done = []  # the windows that have come to their end, the narrowest first
    for w in range(1, min(allowed.shape[1], T)):
        n = sum(width > w for width in widths)
        done.append(mass[n:])
        mass, t = mass[:n], starts[:n] + w
        moves = at(chain.transitions, (t - 1).clamp(max=T - 2)) if chain.per_position else chain.transitions
        onward = logsumexp(mass.unsqueeze(2) + moves, dim=1) + at(chain.emissions, t)
        onward = torch.where(allowed[:n, w], onward, -torch.inf)
        mass = torch.where((t < lengths[:n]).unsqueeze(1), onward, mass)
    ends = starts + torch.tensor(widths, dtype=torch.int64, device=starts.device) - 1
    log_p = logsumexp(torch.cat([mass, *done[::-1]]) + at(beta, ends), dim=1) - finite(log_z)
    log_p = torch.where(starts < lengths, log_p, torch.where(log_z == -torch.inf, -torch.inf, 0.0))
    return torch.where(nowhere, torch.nan, at_most(log_p, 0.0))
