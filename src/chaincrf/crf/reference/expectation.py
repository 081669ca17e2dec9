"""Expectations over the paths of one chain: entropies.

By the chain rule a path's log-probability is a sum over its moves, and so is its expectation::

    log q(y_1 = j)               = start[j] + u_1[j] + beta_1[j] - log Z
    log q(y_t = j | y_{t-1} = i) = A[i, j] + u_t[j] + beta_t[j] - beta_{t-1}[i]

Each term is a logarithm of a probability, so nothing large is subtracted from something large.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from .forward_backward import (
    at_most,
    backward,
    edge_log_marginals,
    finite,
    forward,
    log_marginals,
    log_partition,
    logsumexp,
)
from .potentials import Potentials

__all__ = ["cross_entropy"]


def cross_entropy(p: Potentials, *others: Potentials) -> tuple[Float[Tensor, " B"], ...]:
    """-sum_y p(y) log q(y) for each q; O(T K^2).

    ``+inf`` where p gives some path a probability, however small, and q forbids it; 0 where p has no path.
    All chains must count the same tokens.
    """
    alpha, beta = forward(p), backward(p)
    log_z = log_partition(p, alpha)
    first = log_marginals(p, alpha, beta, log_z)[:, 0]
    edges = edge_log_marginals(p, alpha, beta, log_z)

    def under(q: Potentials) -> Tensor:
        q_first, q_edges = _log_conditionals(q)
        terms = [_expected(first, q_first), _expected(edges, q_edges)]
        forbidden = terms[0][1] | terms[1][1]
        return -torch.where(forbidden, -torch.inf, at_most(terms[0][0] + terms[1][0], 0.0))

    return tuple(under(q) for q in others)


def _log_conditionals(q: Potentials) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B moves K K"]]:
    """The two logarithms, the second at ``[:, t-1, i, j]``; -inf where there is no path."""
    beta = backward(q)
    arrive = q.emissions + beta
    first = q.start + arrive[:, 0]
    log_z = logsumexp(first, dim=1)
    leave = beta[:, :-1].unsqueeze(3)
    edges = q.transitions + arrive[:, 1:].unsqueeze(2) - finite(leave)
    return first - finite(log_z).unsqueeze(1), torch.where(leave == -torch.inf, -torch.inf, edges)


def _expected(log_p: Float[Tensor, "B ..."], log_q: Float[Tensor, " ..."]) -> tuple[Tensor, Tensor]:
    """Sum p log q in each row, and whether the row has some mass where q has none."""
    forbids = log_q == -torch.inf
    terms = torch.where(log_p == -torch.inf, 0.0, log_p.exp() * torch.where(forbids, 0.0, log_q))
    return terms.flatten(1).sum(1), ((log_p > -torch.inf) & forbids).flatten(1).any(1)
