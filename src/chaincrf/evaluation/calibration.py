"""Whether a confidence means what it says: of the answers given with 0.8, are 80 % right?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError

__all__ = ["Bin", "Operating", "expected_calibration_error", "operating_points", "reliability"]


Numbers = Sequence[float] | Sequence[bool] | np.ndarray


class Bin(NamedTuple):
    """The answers whose confidence lies between two borders.

    Attributes:
        lower, upper: the borders; the upper one belongs to the bin, the lower one only where it is 0.
        answers: how many there are.
        confidence: their mean confidence.
        accuracy: the share of them that is right; both 0 where there is none.
    """

    lower: float
    upper: float
    answers: int
    confidence: float
    accuracy: float


class Operating(NamedTuple):
    """What is had by keeping the answers from a confidence on.

    Attributes:
        threshold: the confidence.
        precision: the share of those kept that is right.
        kept: how many are kept.
    """

    threshold: float
    precision: float
    kept: int


def reliability(confidences: Numbers, correct: Numbers, bins: int = 10) -> list[Bin]:
    """The reliability diagram: confidence against accuracy in bins of equal width.

    Args:
        confidences: of each answer, 0 to 1.
        correct: whether it was right.
        bins: number of bins, at least 1.

    Raises:
        ArgumentError: the numbers differ, a confidence is no probability, or no bins.

    Source: Niculescu-Mizil & Caruana (2005).
    """
    p, right = _checked(confidences, correct)
    if bins < 1:
        raise ArgumentError(f"bins: expected at least 1, got {bins}")
    borders = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(borders, p, side="left") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    some = np.maximum(count, 1)
    confidence = np.bincount(place, weights=p, minlength=bins) / some
    accuracy = np.bincount(place, weights=right, minlength=bins) / some
    rows = zip(borders[:-1], borders[1:], count, confidence, accuracy, strict=True)
    return [Bin(float(a), float(b), int(n), float(c), float(r)) for a, b, n, c, r in rows]


def expected_calibration_error(confidences: Numbers, correct: Numbers, bins: int = 10) -> float:
    """``ECE = sum_b n_b / n |accuracy_b - confidence_b|`` over bins of equal width; 0 of no answers.

    Args:
        confidences: of each answer, 0 to 1.
        correct: whether it was right.
        bins: number of bins, at least 1.

    Raises:
        ArgumentError: the numbers differ, a confidence is no probability, or no bins.

    Source: Naeini, Cooper & Hauskrecht (2015); Guo et al. (2017).
    """
    found = reliability(confidences, correct, bins)
    total = sum(part.answers for part in found)
    return sum(part.answers * abs(part.accuracy - part.confidence) for part in found) / max(total, 1)


def operating_points(confidences: Numbers, correct: Numbers) -> list[Operating]:
    """The thresholds worth choosing: each buys more precision than all lower ones, which keep more.

    Args:
        confidences: of each answer, 0 to 1.
        correct: whether it was right.

    Returns:
        By ascending threshold and precision. The first that reaches a precision keeps the most answers.

    Raises:
        ArgumentError: the numbers differ, or a confidence is no probability.
    """
    p, right = _checked(confidences, correct)
    order = np.argsort(-p, kind="stable")
    p, right = p[order], right[order]
    last_of_its_kind = np.append(p[1:] != p[:-1], True)[: len(p)]  # equal confidences are kept together
    kept = np.flatnonzero(last_of_its_kind) + 1
    precision = np.cumsum(right)[kept - 1] / kept
    points: list[Operating] = []
    for n, value in zip(kept[::-1].tolist(), precision[::-1].tolist(), strict=True):
        if not points or value > points[-1].precision:
            points.append(Operating(float(p[n - 1]), value, n))
    return points


def _checked(confidences: Numbers, correct: Numbers) -> tuple[np.ndarray, np.ndarray]:
    p, right = np.asarray(confidences, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if p.shape != right.shape or p.ndim != 1:
        raise ArgumentError(f"correct: expected one for each of {p.shape} confidences, got {right.shape}")
    if not ((p >= 0) & (p <= 1)).all():
        raise ArgumentError("confidences: expected probabilities, 0 to 1")
    return p, right
