"""Forward filtering, backward smoothing: loss and gradient in one pass, one exponential a move.

The forward recursion of ``forward_backward`` already knows which tag came before which::

    w_t[i, j] = p(y_{t-1} = i | y_t = j) = exp(alpha_{t-1}[i] + A[i, j]) / sum_k exp(alpha_{t-1}[k] + A[k, j])

(what comes after token t does not matter once y_t is known). So the marginals need no second recursion in
log space; they come from the last token back, by products of probabilities::

    p(y_T = j)              = exp(alpha_T[j] + end[j] - log Z)
    p(y_{t-1} = i, y_t = j) = w_t[i, j] p(y_t = j)
    p(y_{t-1} = i)          = sum_j p(y_{t-1} = i, y_t = j)

Each probability is at most 1, so none overflows, and one that underflows is zero to float64. Differentiable.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from .forward_backward import finite, log_partition
from .potentials import Potentials

__all__ = ["smooth"]


def smooth(
    chain: Potentials,
) -> tuple[Float[Tensor, " B"], Float[Tensor, "B T K"], Float[Tensor, " ..."]]:
    """Log Z; the marginals of the tags; and those of the moves, at each position if it has transitions of its
    own ``(B, T-1, K, K)``, else summed over the positions ``(B, K, K)``. All zero where there is no path.
    """
    emissions = chain.emissions.unbind(1)
    B, T, K = chain.emissions.shape
    lowest = torch.finfo(torch.float64).min

    alpha, weights = [chain.start + emissions[0]], []
    for t in range(1, T):
        scores = alpha[-1].unsqueeze(2) + chain.moves_into(t)
        highest = scores.detach().amax(dim=1, keepdim=True)
        exp = (scores - highest.clamp(min=lowest)).exp()
        total = exp.sum(dim=1, keepdim=True).clamp(min=1)  # at least exp(0), but for a tag that none leads to
        weights.append(exp / total)
        alpha.append((total.log() + highest).squeeze(1) + emissions[t])

    alpha = torch.stack(alpha, dim=1)
    log_z = log_partition(chain, alpha)
    p_last = (chain.at_last(alpha) + chain.end - finite(log_z).unsqueeze(1)).exp()
    is_last = chain.counts() & (torch.arange(T, device=alpha.device) == chain.last().unsqueeze(1))
    ends = torch.where(is_last.unsqueeze(2), p_last.unsqueeze(1), 0.0).unbind(1)

    p, edges = [ends[-1]], []  # p is 0 beyond the last token
    moves = alpha.new_zeros(B, K, K)
    for t in reversed(range(1, T)):
        edge = weights[t - 1] * p[-1].unsqueeze(1)
        p.append(ends[t - 1] + edge.sum(dim=2))
        if chain.per_position:
            edges.append(edge)
        else:
            moves = moves + edge
    if chain.per_position:
        moves = torch.stack(edges[::-1], dim=1) if edges else torch.zeros_like(chain.transitions)
    return log_z, torch.stack(p[::-1], dim=1), moves
