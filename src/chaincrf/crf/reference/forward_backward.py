"""The forward-backward algorithm in log space.

Over all tag sequences y of a sentence, with u = emissions and A = transitions::

    score(y)   = start[y_1] + u_1[y_1] + sum_t (A[y_{t-1}, y_t] + u_t[y_t]) + end[y_T]
    Z          = sum_y exp score(y)                             p(y) = exp(score(y)) / Z

    alpha_1[j] = start[j] + u_1[j]
    alpha_t[j] = log sum_i exp(alpha_{t-1}[i] + A[i, j]) + u_t[j]
    beta_T[i]  = end[i]
    beta_t[i]  = log sum_j exp(A[i, j] + u_{t+1}[j] + beta_{t+1}[j])

    log Z                     = log sum_j exp(alpha_T[j] + end[j])
    p(y_t = j)                = exp(alpha_t[j] + beta_t[j] - log Z)
    p(y_{t-1} = i, y_t = j)   = exp(alpha_{t-1}[i] + A[i, j] + u_t[j] + beta_t[j] - log Z)

Rabiner (1989), "A tutorial on hidden Markov models"; Lafferty, McCallum, Pereira (2001), "Conditional random
fields". Everything here is differentiable, any number of times, and costs O(T K^2) a sequence.

This is the textbook form, for what needs alpha and beta themselves or logarithms of probabilities. The loss,
its gradient and the marginals come from ``smoothing``, which takes one exponential a move where this takes
two, and loses no digits to the size of the scores.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from .potentials import Potentials

__all__ = [
    "at_most",
    "backward",
    "edge_log_marginals",
    "finite",
    "forward",
    "log_marginals",
    "log_partition",
    "logsumexp",
]


def forward(chain: Potentials) -> Float[Tensor, "B T K"]:
    """alpha: the log of the summed exp score of all beginnings that end in tag j at token t."""
    emissions = chain.emissions.unbind(1)
    alpha = [chain.start + emissions[0]]
    for t in range(1, len(emissions)):
        alpha.append(logsumexp(alpha[-1].unsqueeze(2) + chain.moves_into(t), dim=1) + emissions[t])
    return torch.stack(alpha, dim=1)


def backward(chain: Potentials) -> Float[Tensor, "B T K"]:
    """beta: the log of the summed exp score of all continuations after tag i at token t."""
    emissions = chain.emissions.unbind(1)
    last, end = chain.last().unsqueeze(1), chain.end.expand_as(emissions[0])
    beta = [end]
    for t in reversed(range(1, len(emissions))):
        onward = logsumexp(chain.moves_into(t) + (emissions[t] + beta[-1]).unsqueeze(1), dim=2)
        beta.append(torch.where(last < t, end, onward))
    return torch.stack(beta[::-1], dim=1)


def log_partition(chain: Potentials, alpha: Float[Tensor, "B T K"]) -> Float[Tensor, " B"]:
    """log Z: 0 for an empty row (its one path is the empty one), -inf if every path is forbidden."""  # noqa: D403
    return torch.where(chain.lengths > 0, logsumexp(chain.at_last(alpha) + chain.end, dim=1), 0.0)


def log_marginals(
    chain: Potentials,
    alpha: Float[Tensor, "B T K"],
    beta: Float[Tensor, "B T K"],
    log_z: Float[Tensor, " B"],
) -> Float[Tensor, "B T K"]:
    """log p(y_t = j), -inf beyond the last token and where there is no path at all."""  # noqa: D403
    log_p = alpha + beta - finite(log_z)[:, None, None]
    return torch.where(chain.counts().unsqueeze(2), log_p, -torch.inf)


def edge_log_marginals(
    chain: Potentials,
    alpha: Float[Tensor, "B T K"],
    beta: Float[Tensor, "B T K"],
    log_z: Float[Tensor, " B"],
) -> Float[Tensor, "B T-1 K K"]:
    """log p(y_{t-1} = i, y_t = j) at ``[:, t-1, i, j]``, -inf where ``log_marginals`` is."""  # noqa: D403
    arrive = (chain.emissions + beta)[:, 1:] - finite(log_z)[:, None, None]
    log_p = alpha[:, :-1].unsqueeze(3) + chain.transitions + arrive.unsqueeze(2)
    return torch.where(chain.counts()[:, 1:, None, None], log_p, -torch.inf)


def logsumexp(x: Float[Tensor, " ..."], dim: int) -> Float[Tensor, " ..."]:
    """log sum exp, whose gradient over a slice that is all -inf is zero, not NaN."""  # noqa: D403
    if not torch.is_grad_enabled():
        return torch.logsumexp(x, dim)
    dead = (x == -torch.inf).all(dim, keepdim=True)
    return torch.where(dead.squeeze(dim), -torch.inf, torch.logsumexp(torch.where(dead, 0.0, x), dim))


def at_most(x: Float[Tensor, " ..."], bound: float) -> Float[Tensor, " ..."]:
    """What cannot be above the bound but for rounding; the gradient is as if it had not been."""
    return torch.where(x > bound, x - x.detach() + bound, x)


def finite(log_z: Float[Tensor, " ..."]) -> Float[Tensor, " ..."]:
    """0 for -inf: so that what is -inf itself stays so when this is taken from it."""
    return torch.where(log_z == -torch.inf, 0.0, log_z)
