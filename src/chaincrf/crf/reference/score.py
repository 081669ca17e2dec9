"""The score of given paths."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...errors import ArgumentError
from .forward_backward import at_most, backward, forward, logsumexp
from .potentials import Potentials

__all__ = ["UNKNOWN", "agreeing", "check_range", "complete", "path_score", "token_log_likelihood"]

UNKNOWN = -100
"""The gold tag of a token that counts but whose tag is not known: all tags are summed over."""


def agreeing(tags: Int[Tensor, "B T"], num_tags: int) -> Bool[Tensor, "B T K"]:
    """The tags that agree with the gold ones: all of them where it is unknown."""
    every = torch.arange(num_tags, device=tags.device)
    return (tags.unsqueeze(2) == every) | (tags == UNKNOWN).unsqueeze(2)


def check_range(chain: Potentials, tags: Int[Tensor, "B T"]) -> None:
    """Look for a gold tag that is none; waits for the device.

    Args:
        chain: the potentials.
        tags: the gold tags, at the left.

    Raises:
        ArgumentError: there is one; the first is named by sentence, position and tag.
    """
    K = chain.emissions.shape[2]
    wrong = chain.counts() & (tags != UNKNOWN) & ((tags < 0) | (tags >= K))
    if bool(wrong.any()):
        b, t = wrong.nonzero()[0].tolist()
        position = t if chain.order is None else int(chain.order[b, t])
        expected = f"expected a tag from 0 to {K - 1}, or {UNKNOWN}"
        raise ArgumentError(f"sentence {b}, token {position}: {expected}, got {int(tags[b, t])}")


def complete(chain: Potentials, tags: Int[Tensor, "B T"]) -> bool:
    """True where one can see, without waiting for a device, that all tags are known (and are tags).

    Args:
        chain: the potentials.
        tags: the gold tags, at the left.

    Raises:
        ArgumentError: one can see a tag out of range.
    """
    if tags.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    check_range(chain, tags)
    return not bool((tags == UNKNOWN).any())


def path_score(chain: Potentials, tags: Int[Tensor, "B T"]) -> Float[Tensor, " B"]:
    """start[y_1] + sum_t u_t[y_t] + sum_t A[y_{t-1}, y_t] + end[y_T]; 0 for an empty row.

    ``-inf`` with gradient zero for a path that is forbidden.

    Args:
        chain: the potentials.
        tags: a complete path at the left of its row; what stands beyond the last token must be a tag too.
    """
    counts = chain.counts()
    K = chain.emissions.shape[2]
    emitted = chain.emissions.gather(2, tags.unsqueeze(2)).squeeze(2)
    move = tags[:, :-1] * K + tags[:, 1:]
    if chain.per_position:
        moved = chain.transitions.flatten(2).gather(2, move.unsqueeze(2)).squeeze(2)
    else:
        moved = chain.transitions.flatten()[move]
    inner = torch.where(counts, emitted, 0.0).sum(1) + torch.where(counts[:, 1:], moved, 0.0).sum(1)
    last = tags.gather(1, chain.last().unsqueeze(1)).squeeze(1)
    score = torch.where(chain.lengths > 0, chain.start[tags[:, 0]] + inner + chain.end[last], 0.0)
    return torch.where(score == -torch.inf, -torch.inf, score)


def token_log_likelihood(chain: Potentials, agree: Bool[Tensor, "B T K"]) -> Float[Tensor, "B T"]:
    """log p(y_t agrees | y_1 .. y_{t-1} agree), the chain rule's terms; they sum to the log-likelihood.

    With alpha' over the beginnings that agree and beta over all continuations, the mass of the paths that
    agree up to token t is M_t = sum_j exp(alpha'_t[j] + beta_t[j]), M_0 = Z, and the term log M_t / M_{t-1}.
    Its value is -inf from the first token on where no path agrees.

    Args:
        chain: the potentials.
        agree: the tags that agree with the gold ones; its tokens stand at the left.
    """  # noqa: D403
    beta = backward(chain)
    mass = logsumexp(forward(chain.restrict(agree)) + beta, dim=2)
    first = chain.start + chain.emissions[:, 0] + beta[:, 0]
    before = torch.cat([logsumexp(first, dim=1).unsqueeze(1), mass[:, :-1]], dim=1)
    terms = torch.where(mass == -torch.inf, -torch.inf, mass - before)
    return torch.where(chain.counts(), at_most(terms, 0.0), 0.0)
