"""Which texts to annotate next: those that the model is least sure of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from ..crf import LinearChain
from ..errors import ArgumentError
from .document import Text, read_document
from .inference import emissions_of
from .tagger import Tagger

__all__ = ["Criterion", "Selected", "select"]

Criterion = Literal["entropy", "margin", "gain"]


class Selected(NamedTuple):
    """A text with its place in the ranking.

    Attributes:
        number: its place among the texts, from 0.
        value: the criterion, the higher the sooner to annotate.
        text: the text.
    """

    number: int
    value: float
    text: Text


def select(
    tagger: Tagger,
    texts: Iterable[Text],
    *,
    by: Criterion = "entropy",
    count: int | None = None,
    per_token: bool = False,
    batch_tokens: int = 4096,
) -> list[Selected]:
    """Rank texts, the one to annotate first at the top; equal ones keep their order.

    ``"entropy"``: of the distribution over all paths, ``-sum_y p(y) log p(y)``, in nats. ``"margin"``: how
    close the second best path comes to the best, ``1 - (p(y_1) - p(y_2))``. ``"gain"``: the number of tags of
    the best path that annotation is expected to correct, ``sum_t (1 - p(y_t = best_t))``. All are exact, and
    of the probabilities that the tagger tells: at its temperature, if it was calibrated. A text of several
    sentences has the sum of theirs, for the margin the largest.

    Args:
        tagger: the model.
        texts: raw texts, lists of tokens, or Sentences.
        by: the criterion.
        count: the most to return; None: all.
        per_token: divide entropy and gain by the number of tokens: else long texts come first.
        batch_tokens: tokens computed together.

    Raises:
        ArgumentError: an unknown criterion, a count below 1, or something that is no text.

    Source: Settles & Craven (2008) compares criteria for sequences.
    """
    if by not in get_args(Criterion):
        raise ArgumentError(f"by: expected one of {', '.join(get_args(Criterion))}, got {by!r}")
    if count is not None and count < 1:
        raise ArgumentError(f"count: expected at least 1, got {count}")
    listed = list(texts)
    documents = [read_document(text, tagger.tokenizer, tagger.splitter) for text in listed]
    sentences = [tokens for document in documents for tokens in document.sentences()]
    calibration = tagger.bundle.config.calibration
    scale = 1 / calibration.temperature if calibration else 1.0
    values = [0.0] * len(sentences)
    for batch in emissions_of(tagger.bundle, sentences, batch_tokens):
        with torch.inference_mode():
            chain = tagger.bundle.model.head.chain(batch.emissions, batch.mask, constrained=True).scaled(
                scale
            )
            found = _criterion(chain, by).tolist()
        for row, value in zip(batch.rows, found, strict=True):
            values[row] = value
    ranked, first = [], 0
    for index, (document, text) in enumerate(zip(documents, listed, strict=True)):
        own = values[first : (first := first + len(document.borders))]
        value = max(own, default=0.0) if by == "margin" else sum(own)
        if per_token and by != "margin" and document.tokens:
            value /= len(document.tokens)
        ranked.append(Selected(index, value, text))
    return sorted(ranked, key=lambda one: -one.value)[:count]


def _criterion(chain: LinearChain, by: Criterion) -> Tensor:
    if by == "entropy":
        return chain.entropy()
    if by == "margin":
        scores = chain.k_best(2)[1].double()
        p = (scores - chain.log_partition().double()[:, None]).exp()
        return (1 - (p[:, 0] - p[:, 1])).clamp(0, 1)
    best = chain.viterbi()[0]
    right = chain.marginals().gather(2, best.clamp(min=0)[:, :, None]).squeeze(2)
    return torch.where(best >= 0, 1 - right, 0.0).sum(1)
