"""All that is measured of predicted tags, in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..labels import REPAIRS
from .span_f1 import (
    Accuracy,
    InvalidRate,
    Score,
    SpanScores,
    evaluate_tags,
    invalid_sequences,
    token_accuracy,
)

__all__ = ["Measurement", "measure"]


@dataclass(frozen=True)
class Measurement:
    """Scores of predicted tags.

    Attributes:
        accuracy: of tokens.
        spans: scores of spans under each repair policy; empty for POS.
        invalid: how often the predictions break the scheme; None for POS.
    """

    accuracy: Accuracy
    spans: Mapping[str, SpanScores]
    invalid: InvalidRate | None

    @property
    def scores(self) -> dict[str, float]:
        """The headline figures, 0..1: span F1 by repair policy, for POS ``"accuracy"``."""
        if not self.spans:
            return {"accuracy": self.accuracy.accuracy}
        return {repair: scores.overall.f1 for repair, scores in self.spans.items()}

    @property
    def per_label(self) -> dict[str, Score]:
        """By span label under the first repair policy, for POS by tag; in alphabetical order."""
        found = self.spans[REPAIRS[0]].per_label if self.spans else self.accuracy.per_tag
        return dict(sorted(found.items()))


def measure(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], scheme: str | None
) -> Measurement:
    """Compare predicted tags with gold tags.

    Args:
        gold: for each sentence its tags, well-formed in the scheme.
        predicted: the same number of tags for each sentence.
        scheme: the scheme of both; None for POS.

    Raises:
        ArgumentError: if the numbers of sentences or tokens differ.
        LabelError: if a gold sentence is ill-formed, or a tag is not of the scheme.
    """
    accuracy = token_accuracy(gold, predicted)
    if scheme is None:
        return Measurement(accuracy, {}, None)
    spans = {repair: evaluate_tags(gold, predicted, scheme, repair) for repair in REPAIRS}
    return Measurement(accuracy, spans, invalid_sequences(predicted, scheme))
