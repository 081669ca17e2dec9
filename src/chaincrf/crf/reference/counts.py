"""Expected and observed counts: the gradient of a loss, without differentiating a recursion.

The gradient of log Z is what the model expects to see, the gradient of a path's score is what the path has:
so the gradient of the negative log-likelihood is expected minus observed counts.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from .potentials import Potentials
from .score import agreeing, complete, path_score
from .smoothing import smooth

__all__ = ["Counts", "expected_counts", "negative_log_likelihood", "no_counts", "observed_counts"]


class Counts(NamedTuple):
    """How often each potential is used, a row a sequence; the tokens stand where they stood in the batch.

    Attributes:
        emissions: tag j at token t.
        transitions: moves i to j, over all positions ``(B, K, K)`` or at each one ``(B, T-1, K, K)``.
        start: tag j at the first token.
        end: tag j at the last token.
    """

    emissions: Float[Tensor, "B T K"]
    transitions: Float[Tensor, " ..."]
    start: Float[Tensor, "B K"]
    end: Float[Tensor, "B K"]


def no_counts(emissions: Float[Tensor, "B T K"]) -> Counts:
    """In the place of a gradient that nobody asked for."""
    return Counts(*(emissions.new_empty(0) for _ in range(4)))


def expected_counts(chain: Potentials) -> tuple[Float[Tensor, " B"], Counts]:
    """Log Z and its gradient, the marginals; all zero where there is no path."""
    log_z, unary, moves = smooth(chain)
    return log_z, _counts(chain, unary, moves)


def observed_counts(chain: Potentials, tags: Int[Tensor, "B T"]) -> Counts:
    """The gradient of the score of a complete path; ``tags`` stand at the left."""
    B, T, K = chain.emissions.shape
    counts = chain.counts().to(chain.emissions.dtype)
    unary = F.one_hot(tags, K) * counts.unsqueeze(2)
    move = tags[:, :-1] * K + tags[:, 1:]
    if chain.per_position:
        moves = counts.new_zeros(B, T - 1, K * K).scatter(2, move.unsqueeze(2), counts[:, 1:].unsqueeze(2))
    else:
        moves = counts.new_zeros(B, K * K).scatter_add(1, move, counts[:, 1:])
    return _counts(chain, unary, moves.unflatten(-1, (K, K)))


def negative_log_likelihood(
    chain: Potentials, tags: Int[Tensor, "B T"]
) -> tuple[Float[Tensor, " B"], Counts]:
    """-log p(tags) and its gradient: log Z less the log of the mass of all paths that agree with ``tags``.

    ``+inf`` with gradient zero where no path agrees. Unknown tags cost a second recursion; it is left out
    where one can see, without waiting for a device, that all tags are known.

    Args:
        chain: the potentials.
        tags: as given by the caller, at their tokens; ``UNKNOWN`` where the tag is not known.

    Raises:
        ArgumentError: on the CPU, a tag out of range.
    """
    log_z, expected = expected_counts(chain)
    tags = chain.to_left(tags, 0)
    if complete(chain, tags):
        score, observed = path_score(chain, tags), observed_counts(chain, tags)
    else:
        score, observed = expected_counts(chain.restrict(agreeing(tags, chain.emissions.shape[2])))
    impossible = score == -torch.inf  # NaN is not
    loss = torch.where(impossible, torch.inf, (log_z - score).clamp(min=0))  # rounding may leave it below
    rows = [impossible.reshape(-1, *(1,) * (x.dim() - 1)) for x in expected]
    difference = (torch.where(r, 0.0, e - o) for r, e, o in zip(rows, expected, observed, strict=True))
    return loss, Counts(*difference)


def _counts(chain: Potentials, unary: Float[Tensor, "B T K"], moves: Float[Tensor, " ..."]) -> Counts:
    if chain.per_position:
        moves = chain.moves_in_place(moves)
    return Counts(chain.in_place(unary, 0.0), moves, unary[:, 0], chain.at_last(unary))
