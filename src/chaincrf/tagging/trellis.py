"""What a chain makes of one sentence, laid open: scores, marginals, and the paths through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..crf import LinearChain
from ..data.batching import encode
from ..data.sentence import Sentence
from ..errors import ArgumentError
from ..labels import Constraints, constraints_from_tags
from .document import read_document
from .tagger import Tagger

__all__ = ["Edge", "Explanation", "Path", "Trellis", "explain", "trellis"]


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


class Explanation(NamedTuple):
    """The trellis of one sentence of a text, with what its numbers mean.

    Attributes:
        sentences: the place of each sentence of the text, in characters, half-open.
        tokens, offsets: those of the sentence; offsets in characters of the whole text.
        tags: the K tags.
        legal: the moves that the tagging scheme allows; None for parts of speech.
        trellis: the numbers.
    """

    sentences: tuple[tuple[int, int], ...]
    tokens: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    tags: tuple[str, ...]
    legal: Constraints | None
    trellis: Trellis


def explain(
    tagger: Tagger,
    text: str | Sequence[str] | Sentence,
    sentence: int = 0,
    *,
    allowed: Mapping[int, Sequence[str]] | None = None,
    k: int = 1,
    max_cells: int | None = None,
) -> Explanation:
    """Lay one sentence of a text open: its trellis under the chain that the tagger decodes.

    Args:
        tagger: the model.
        text: as :meth:`Tagger.tag` takes it.
        sentence: which sentence of it.
        allowed: the tags that are left to some tokens of the sentence.
        k: number of best paths.
        max_cells: tokens times tags of the sentence, at most; None: no limit.

    Raises:
        ArgumentError: no such sentence, token or tag, no tag left to a token, or more cells than that.

    Cost: the text is cut into sentences; one of them is computed: see :func:`trellis`.
    """
    document = read_document(text, tagger.tokenizer, tagger.splitter)
    if not 0 <= sentence < len(document.borders):
        raise ArgumentError(f"sentence: the text has {len(document.borders)} of them, got {sentence}")
    begin, end = document.borders[sentence]
    config, vocabulary = tagger.bundle.config, tagger.bundle.vocabulary
    tags = tuple(vocabulary.tags)
    if max_cells is not None and (end - begin) * len(tags) > max_cells:
        size = f"{end - begin} tokens times {len(tags)} tags"
        raise ArgumentError(f"text: expected at most {max_cells} cells in sentence {sentence}, got {size}")
    tokens, model = document.tokens[begin:end], tagger.bundle.model
    batch = encode([Sentence(tokens)], vocabulary).batch(np.zeros(1, dtype=np.int64))
    batch = batch.to(model.projection.weight.device)
    legal = None if config.scheme is None else constraints_from_tags(tags, config.scheme)
    with torch.inference_mode():
        chain = model.head.chain(model.emissions(**batch.inputs), constrained=True)
        chain = chain.scaled(1 / config.calibration.temperature) if config.calibration else chain
        found = trellis(chain, _allowed(allowed or {}, tags, len(tokens)), k=k, legal=legal)
    places = tuple((document.offsets[i][0], document.offsets[j - 1][1]) for i, j in document.borders)
    return Explanation(places, tokens, document.offsets[begin:end], tags, legal, found)


def _allowed(given: Mapping[int, Sequence[str]], tags: Sequence[str], length: int) -> Bool[Tensor, "T K"]:
    mask = torch.ones(length, len(tags), dtype=torch.bool)
    for token, names in given.items():
        if not 0 <= token < length:
            raise ArgumentError(f"allowed: the sentence has {length} tokens, got token {token}")
        unknown = sorted(set(names) - set(tags))
        if unknown or not names:
            found = f"{unknown[0]!r}" if unknown else "none"
            raise ArgumentError(f"allowed: expected tags of the model for token {token}, got {found}")
        mask[token] = torch.tensor([tag in names for tag in tags])
    return mask
