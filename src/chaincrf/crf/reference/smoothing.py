"""Forward filtering, backward smoothing: loss and gradient in one pass, one exponential a move.

The forward recursion of ``forward_backward`` already knows which tag came before which::

    w_t[i, j] = p(y_{t-1} = i | y_t = j) = exp(alpha_{t-1}[i] + A[i, j]) / sum_k exp(alpha_{t-1}[k] + A[k, j])

(what comes after token t does not matter once y_t is known). So the marginals need no second recursion in
log space; they come from the last token back, by products of probabilities::

    p(y_T = j)              = exp(alpha_T[j] + end[j] - log Z)
    p(y_{t-1} = i, y_t = j) = w_t[i, j] p(y_t = j)
    p(y_{t-1} = i)          = sum_j p(y_{t-1} = i, y_t = j)

Each probability is at most 1, so none overflows, and one that underflows is zero to float64. Differentiable,
any number of times. It knows no beta: what needs alpha and beta themselves is in ``forward_backward``.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

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
    alpha, weights = [chain.start + emissions[0]], []
    for t in range(1, T):
        weight, total = _normalised(alpha[-1].unsqueeze(2) + chain.moves_into(t))
        weights.append(weight)
        alpha.append(total + emissions[t])

    p_last, log_z = _normalised(chain.at_last(torch.stack(alpha, dim=1)) + chain.end)
    log_z = torch.where(chain.lengths > 0, log_z, 0.0)
    is_last = chain.counts() & (torch.arange(T, device=log_z.device) == chain.last().unsqueeze(1))
    ends = torch.where(is_last.unsqueeze(2), p_last.unsqueeze(1), 0.0).unbind(1)

    p, edges = [ends[-1]], []  # p is 0 beyond the last token
    moves = log_z.new_zeros(B, K, K)
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


def _normalised(scores: Float[Tensor, " B K *to"]) -> tuple[Tensor, Float[Tensor, " B *to"]]:
    """The softmax over dimension 1, all zero where all is -inf, and the log of its denominator."""
    highest = scores.detach().amax(dim=1, keepdim=True)
    exp = (scores - highest.clamp(min=torch.finfo(torch.float64).min)).exp()
    total = exp.sum(dim=1, keepdim=True)  # at least exp(0), but for a tag that none leads to
    total = torch.where(total == 0, 1.0, total)
    return exp / total, (total.log() + highest).squeeze(1)
