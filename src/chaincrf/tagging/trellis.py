"""What a chain makes of one sentence, laid open: scores, marginals, and the paths through them."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..crf import LinearChain
from ..errors import ArgumentError
from ..labels import Constraints

__all__ = ["Edge", "Path", "Trellis", "trellis"]


class Path(NamedTuple):
    """A tag sequence.

    Attributes:
        tags: the tag index of each token.
        score: the sum of the potentials along it; ``-inf`` if the chain forbids it.
        probability: exp(score) / Z.
    """

    tags: tuple[int, ...]
    score: float
    probability: float


class Edge(NamedTuple):
    """A move into ``token`` and its marginal: p(y_{token-1} = previous, y_token = tag)."""

    token: int
    previous: int
    tag: int
    probability: float


class Trellis(NamedTuple):
    """One sentence of T tokens under a chain of K tags.

    Attributes:
        emissions: ``(T, K)``, before anything is forbidden at a token.
        transitions, start_transitions, end_transitions: ``(K, K)`` and ``(K,)``; ``-inf`` is forbidden.
        allowed: ``(T, K)``, the tags that were allowed at each token.
        marginals: ``(T, K)``, p(y_t = j).
        edges: the moves of at least some probability, token after token.
        log_partition: log Z, of the paths that are allowed.
        best: the k best paths of the chain, best first; none if everything is forbidden.
        independent: the allowed tag of the highest emission at each token, whatever its neighbours; scored
            as a path of the chain.
        broken: the moves of ``independent`` that are invalid: t is the move into token t, 0 the start of the
            sentence and T its end.
    """

    emissions: Float[Tensor, "T K"]
    transitions: Float[Tensor, "K K"]
    start_transitions: Float[Tensor, " K"]
    end_transitions: Float[Tensor, " K"]
    allowed: Bool[Tensor, "T K"]
    marginals: Float[Tensor, "T K"]
    edges: tuple[Edge, ...]
    log_partition: float
    best: tuple[Path, ...]
    independent: Path
    broken: tuple[int, ...]


def trellis(
    chain: LinearChain,
    allowed: Bool[Tensor, "T K"] | None = None,
    *,
    k: int = 1,
    least: float = 0.01,
    legal: Constraints | None = None,
) -> Trellis:
    """Lay a chain open: ``p(y) = exp(score(y)) / Z`` as marginals, edges and best paths.

    Args:
        chain: of one sentence, B = 1, with ``(K, K)`` transitions and no mask.
        allowed: the tags allowed at each token; None: all.
        k: number of best paths.
        least: edges of a lower marginal are left out; at most 1 / least remain at a token.
        legal: the valid moves, for ``broken``; None: those that the chain does not forbid.

    Raises:
        ArgumentError: another kind of chain, ``allowed`` of another shape, or k below 1.

    Cost: O(T K^2 k log(K k)) time and O(T K^2) memory.
    """
    B, T, K = chain.emissions.shape
    if B != 1 or chain.mask is not None or chain.transitions.dim() != 2:
        raise ArgumentError(f"chain: expected one sentence with (K, K) transitions and no mask, got {chain}")
    if allowed is None:
        allowed = torch.ones(T, K, dtype=torch.bool, device=chain.emissions.device)
    with torch.no_grad():
        restricted = chain.restrict(allowed[None])
        log_z = restricted.log_partition()
        tags, scores, count = restricted.k_best(k)
        paths = zip(tags[0].tolist(), scores[0].tolist(), (scores - log_z).exp()[0].tolist(), strict=True)
        alone = restricted.emissions.argmax(2)
        score = restricted.score(alone)
        share = (score - log_z).exp() if log_z > -torch.inf else torch.zeros(1)
        return Trellis(
            emissions=chain.emissions[0],
            transitions=chain.transitions,
            start_transitions=chain.start_transitions,
            end_transitions=chain.end_transitions,
            allowed=allowed,
            marginals=restricted.marginals()[0],
            edges=_edges(restricted, least),
            log_partition=float(log_z),
            best=tuple(Path(tuple(path), *rest) for path, *rest in paths)[: int(count)],
            independent=Path(tuple(alone[0].tolist()), float(score), float(share)),
            broken=_broken(alone[0].tolist(), legal or _moves(chain)),
        )


def _edges(chain: LinearChain, least: float) -> tuple[Edge, ...]:
    if chain.emissions.shape[1] == 1:
        return ()
    mass = chain.edge_marginals()[0]
    places = (mass >= least).nonzero()
    values = mass[tuple(places.T)].tolist()
    return tuple(
        Edge(move + 1, previous, tag, value)
        for (move, previous, tag), value in zip(places.tolist(), values, strict=True)
    )


def _moves(chain: LinearChain) -> Constraints:
    """The moves that the chain itself does not forbid."""
    moves: list[list[bool]] = (chain.transitions > -torch.inf).tolist()
    start: list[bool] = (chain.start_transitions > -torch.inf).tolist()
    end: list[bool] = (chain.end_transitions > -torch.inf).tolist()
    return Constraints(tuple(start), tuple(map(tuple, moves)), tuple(end))


def _broken(path: list[int], legal: Constraints) -> tuple[int, ...]:
    inside = [legal.transitions[i][j] for i, j in pairwise(path)]
    valid = [legal.start[path[0]], *inside, legal.end[path[-1]]]
    return tuple(move for move, fine in enumerate(valid) if not fine)
