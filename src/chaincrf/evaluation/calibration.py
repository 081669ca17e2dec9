"""Do confidences mean what they say? Of the spans with a confidence of 0.8, eight in ten should be right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError

__all__ = ["Bin", "expected_calibration_error", "reliability"]


class Bin(NamedTuple):
    """The predictions whose confidence lies in one interval.

    Attributes:
        low, high: the interval; each but the first leaves out its lower end.
        number: predictions in it.
        confidence: their mean confidence.
        accuracy: the fraction of them that is correct.
    """

    low: float
    high: float
    number: int
    confidence: float
    accuracy: float


def reliability(confidences: Sequence[float], correct: Sequence[bool], bins: int = 10) -> list[Bin]:
    """Group predictions by confidence, in intervals of one width from 0 to 1; empty ones are left out.

    Args:
        confidences: probabilities of being correct, 0 to 1.
        correct: for each, whether it is.
        bins: intervals.

    Raises:
        ArgumentError: the lengths differ, a confidence is no probability, or ``bins`` is below 1.
    """
    if len(confidences) != len(correct):
        raise ArgumentError(f"correct: expected {len(confidences)} values, got {len(correct)}")
    if bins < 1:
        raise ArgumentError(f"bins: expected at least 1, got {bins}")
    values, right = np.asarray(confidences, dtype=float), np.asarray(correct, dtype=bool)
    if len(values) and not ((values >= 0) & (values <= 1)).all():
        raise ArgumentError("confidences: expected probabilities from 0 to 1")
    places = np.clip(np.ceil(values * bins).astype(int) - 1, 0, bins - 1)
    result = []
    for place in range(bins):
        inside = places == place
        if count := int(inside.sum()):
            mean, accuracy = float(values[inside].mean()), float(right[inside].mean())
            result.append(Bin(place / bins, (place + 1) / bins, count, mean, accuracy))
    return result


def expected_calibration_error(
    confidences: Sequence[float], correct: Sequence[bool], bins: int = 10
) -> float:
    """The mean distance of confidence and accuracy over the bins, weighted by their counts; 0 for nothing.

    ``ECE = sum over bins of count / n * |accuracy - confidence|``.

    Raises:
        ArgumentError: as :func:`reliability`.

    Source: Naeini, Cooper & Hauskrecht (2015).
    """
    total = len(confidences)
    found = reliability(confidences, correct, bins)
    return math.fsum(bin.number / total * abs(bin.accuracy - bin.confidence) for bin in found)
