"""The core of tagging: tokens in, paths and probabilities out, in batches of a number of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..crf import LinearChain
from ..data.batching import plan_batches
from ..errors import ArgumentError
from ..labels import Span, tags_to_spans
from .bundle import Bundle
from .span_probability import span_log_probability
from .types import TypeVectors

__all__ = ["BATCH_TOKENS", "Allowed", "Prediction", "Scored", "emissions_of", "predict", "predict_k_best"]

BATCH_TOKENS = 2048
"""Tokens in a batch: enough for several tiles of sentences, few enough to stay in a cache."""

Allowed = Sequence[np.ndarray | None]


class Prediction(NamedTuple):
    """The best path of a sentence; probabilities are None if none were asked for.

    Attributes:
        tags: one a token.
        spans: what the tags say, in tokens.
        probability: of the path.
        token_probabilities: of each tag.
        span_probabilities: of each span.
    """

    tags: tuple[str, ...]
    spans: tuple[Span, ...]
    probability: float | None = None
    token_probabilities: tuple[float, ...] | None = None
    span_probabilities: tuple[float, ...] | None = None


def predict(
    bundle: Bundle,
    sentences: Sequence[Sequence[str]],
    *,
    allowed: Allowed | None = None,
    batch_tokens: int = BATCH_TOKENS,
    probabilities: bool = True,
    temperature: float = 1.0,
    vectors: TypeVectors | None = None,
) -> list[Prediction]:
    """Decode sentences.

    Args:
        bundle: the model.
        sentences: the tokens of each.
        allowed: for each sentence the tags allowed at each token, ``(length, K)`` bool; None: all.
        batch_tokens: tokens in a batch at most, padding included; a longer sentence is a batch of its own.
            It changes the speed; of the results the rounding of probabilities alone.
        probabilities: compute them; forward-backward costs more than Viterbi.
        temperature: what all scores are divided by before they become probabilities.
        vectors: what earlier calls learned of the tokens; None: nothing.

    Returns:
        One for each sentence, in order.

    Raises:
        ArgumentError: no path is left in a sentence.
    """
    tags, scheme = bundle.vocabulary.tags, bundle.config.scheme
    results = [Prediction((), ())] * len(sentences)
    if probabilities:
        results = [Prediction((), (), 1.0, (), ())] * len(sentences)
    for batch in emissions_of(bundle, sentences, batch_tokens, vectors):
        chain = _chain(bundle, batch, allowed, temperature)
        with torch.inference_mode():
            best = chain.viterbi()[0]
            rows = best.tolist()
        index = batch.rows
        read = []
        for row, path in zip(index, rows, strict=True):
            path = path[: len(sentences[row])]  # noqa: PLW2901
            _check_path(path[0])
            named = tuple([tags[tag] for tag in path])
            read.append((named, tuple(tags_to_spans(named, scheme)) if scheme is not None else ()))
        if not probabilities:
            for row, (named, spans) in zip(index, read, strict=True):
                results[row] = Prediction(named, spans)
            continue
        whole, single, spanned = _probabilities(chain, best, [spans for _, spans in read], tags, scheme)
        first = 0
        for n, (row, (named, spans)) in enumerate(zip(index, read, strict=True)):
            of_spans = tuple(spanned[first : (first := first + len(spans))])
            results[row] = Prediction(named, spans, whole[n], tuple(single[n][: len(named)]), of_spans)
    return results


def predict_k_best(
    bundle: Bundle,
    sentences: Sequence[Sequence[str]],
    k: int,
    *,
    allowed: Allowed | None = None,
    batch_tokens: int = BATCH_TOKENS,
    temperature: float = 1.0,
    vectors: TypeVectors | None = None,
) -> list[list[tuple[tuple[str, ...], float]]]:
    """The k most probable paths of each sentence (fewer if there are not so many), the best first.

    Args:
        bundle: the model.
        sentences: the tokens of each.
        k: number of paths, at least 1.
        allowed: see :func:`predict`.
        batch_tokens: see :func:`predict`.
        temperature: see :func:`predict`.
        vectors: see :func:`predict`.

    Returns:
        For each sentence its paths, each with its probability.

    Raises:
        ArgumentError: k is below 1, or no path is left in a sentence.
    """
    if k < 1:
        raise ArgumentError(f"k: expected at least 1, got {k}")
    names = bundle.vocabulary.tags
    results: list[list[tuple[tuple[str, ...], float]]] = [[((), 1.0)] for _ in sentences]
    for batch in emissions_of(bundle, sentences, batch_tokens, vectors):
        chain = _chain(bundle, batch, allowed, temperature)
        with torch.inference_mode():
            paths, scores, counts = chain.k_best(k)
            p = (scores.double() - chain.log_partition().double().unsqueeze(1)).exp().clamp(max=1.0)
        for n, row in enumerate(batch.rows):
            count, length = int(counts[n]), len(sentences[row])
            _check_path(-1 if not count else 0)
            results[row] = [
                (tuple(names[tag] for tag in path[:length]), probability)
                for path, probability in zip(paths[n, :count].tolist(), p[n, :count].tolist(), strict=True)
            ]
    return results


class Scored(NamedTuple):
    """A batch with its scores.

    Attributes:
        rows: the position of each sentence.
        mask: True where there is a token.
        emissions: a score for every tag at every token.
    """

    rows: list[int]
    mask: Bool[Tensor, "B T"]
    emissions: Float[Tensor, "B T K"]


def emissions_of(
    bundle: Bundle,
    sentences: Sequence[Sequence[str]],
    batch_tokens: int,
    vectors: TypeVectors | None = None,
) -> Iterator[Scored]:
    """Batches of sentences of like length, with their scores; empty sentences are left out.

    Args:
        bundle: the model.
        sentences: the tokens of each.
        batch_tokens: see :func:`predict`.
        vectors: see :func:`predict`.

    Raises:
        ArgumentError: ``batch_tokens`` is below 1.
    """
    if batch_tokens < 1:
        raise ArgumentError(f"batch_tokens: expected at least 1, got {batch_tokens}")
    vectors = vectors or TypeVectors(bundle)
    rows, table = vectors.look_up(sentences)
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    for index in plan_batches(lengths, tokens=batch_tokens):
        counts = torch.from_numpy(np.arange(int(lengths[index[0]])) < lengths[index, None])
        types = np.zeros(tuple(counts.shape), dtype=np.int64)
        types[counts.numpy()] = np.concatenate([rows[i] for i in index])
        mask = counts.to(table.device)
        emissions = vectors.score(table, torch.from_numpy(types).to(table.device), mask)
        yield Scored(index.tolist(), mask, emissions)


def _chain(bundle: Bundle, batch: Scored, allowed: Allowed | None, temperature: float) -> LinearChain:
    """The distribution that is decoded, and whose probabilities are told."""
    with torch.inference_mode():
        chain = bundle.model.head.chain(batch.emissions, batch.mask, constrained=True)
        if temperature != 1.0:
            chain = chain.scaled(1 / temperature)
        masks = [None if allowed is None else allowed[row] for row in batch.rows]
        if any(mask is not None for mask in masks):
            kept = np.ones(tuple(batch.emissions.shape), dtype=bool)
            for row, mask in zip(kept, masks, strict=True):
                if mask is not None:
                    row[: len(mask)] = mask
            chain = chain.restrict(torch.from_numpy(kept).to(batch.emissions.device))
    return chain


def _probabilities(
    chain: LinearChain,
    best: Int[Tensor, "B T"],
    spans: Sequence[Sequence[Span]],
    tags: Sequence[str],
    scheme: str | None,
) -> tuple[list[float], list[list[float]], list[float]]:
    """Of the best paths, of their tags, and of their spans."""
    with torch.inference_mode(False), torch.enable_grad():  # the gradient of log Z is the marginals
        emissions = chain.emissions.clone().requires_grad_()
        moves = (chain.transitions, chain.start_transitions, chain.end_transitions)
        transitions, start, end = (move.detach().clone() for move in moves)
        mask = None if chain.mask is None else chain.mask.clone()
        log_z = LinearChain(emissions, transitions, start, end, mask).log_partition()
        (marginals,) = torch.autograd.grad(log_z.sum(), emissions)
    with torch.inference_mode():
        whole = chain.log_likelihood(best).exp().clamp(max=1.0)
        single = marginals.gather(2, best.clamp(min=0).unsqueeze(2)).squeeze(2).clamp(0.0, 1.0)
        spanned = []
        if scheme is not None:
            spanned = span_log_probability(chain, spans, tags, scheme).exp().tolist()
        return whole.tolist(), single.tolist(), spanned


def _check_path(tag: int) -> None:
    if tag < 0:
        raise ArgumentError("constraints: no path keeps them all in a sentence, with the scheme's own")
