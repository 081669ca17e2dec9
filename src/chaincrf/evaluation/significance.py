"""Is a difference more than chance? The effect on new seeds *and* new sentences, from a crossed design.

Every seed is tested on the same sentences, so the differences d[s, i] of two taggers form a two-way layout:
``d = mean + seed effect + sentence effect + residual``. A test over the seeds alone holds the sentences
fixed, a test over all pairs takes the five looks at a sentence for five sentences; both raise false alarms.
Here seeds and sentences are both drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from ..errors import ArgumentError

__all__ = [
    "POWER",
    "CrossedEffect",
    "by_unit",
    "crossed_effect",
    "holm",
    "ratio_contributions",
    "unit_effect",
]

POWER = 0.8
"""The probability with which :attr:`CrossedEffect.detectable` would have been found."""


@dataclass(frozen=True)
class CrossedEffect:
    """A mean difference with what two-way random variation leaves certain of it.

    Attributes:
        mean: over all seeds and units.
        standard_error: of the mean, for new seeds and new units.
        df: Satterthwaite's degrees of freedom.
        low, high: the confidence interval.
        p: two-sided, of no difference.
        detectable: the smallest true effect that this design finds with a probability of ``POWER``.
        seed_variance, unit_variance, residual_variance: variance components, not negative.
    """

    mean: float
    standard_error: float
    df: float
    low: float
    high: float
    p: float
    detectable: float
    seed_variance: float
    unit_variance: float
    residual_variance: float


def ratio_contributions(
    numerator: Shaped[np.ndarray, " *S N"], denominator: Shaped[np.ndarray, " *S N"]
) -> Float[np.ndarray, " *S N"]:
    """What each unit contributes to a ratio of sums, linearised: ``R + (num - R den) / mean(den)``.

    Their mean is the ratio R itself, and their variance that of R to first order. F1 is the ratio of
    ``2 correct`` to ``predicted + gold``, accuracy that of ``correct`` to tokens.

    Args:
        numerator, denominator: by seed and unit (sentence or document).

    Raises:
        ArgumentError: the shapes differ.
    """
    if numerator.shape != denominator.shape:
        raise ArgumentError(
            f"denominator: expected the shape of the numerator, {numerator.shape}, got {denominator.shape}"
        )
    total = denominator.sum(-1, keepdims=True).astype(float)
    size = np.where(total > 0, total, 1.0)
    ratio = numerator.sum(-1, keepdims=True) / size
    return ratio + (numerator - ratio * denominator) / (size / denominator.shape[-1])


def crossed_effect(
    differences: Float[np.ndarray, "S N"], *, alpha: float = 0.05, comparisons: int = 1
) -> CrossedEffect:
    """The mean of a two-way layout whose rows (seeds) and columns (units) are both random.

    ``Var(mean) = (MS_seed + MS_unit - MS_residual) / (S N)``: variance components by the method of moments,
    none below zero, and a t distribution with Satterthwaite's degrees of freedom.

    Args:
        differences: one tagger's contributions minus the other's.
        alpha: one minus the confidence of the interval.
        comparisons: effects tested together; :attr:`CrossedEffect.detectable` is for the strictest of Holm's
            levels, ``alpha / comparisons``.

    Raises:
        ArgumentError: fewer than two seeds or units.

    Source: Satterthwaite (1946); Searle, Casella & McCulloch (1992), the two-way crossed classification
    without replication. Cost: linear in the size of the table.
    """
    from scipy import stats

    S, N = differences.shape
    if S < 2 or N < 2:
        raise ArgumentError(f"differences: expected at least 2 seeds and 2 units, got {S} and {N}")
    mean = float(differences.mean())
    rows, columns = differences.mean(1, keepdims=True), differences.mean(0, keepdims=True)
    residual = float(((differences - rows - columns + mean) ** 2).sum()) / ((S - 1) * (N - 1))
    # a component estimated below zero is zero: its mean square is then no less than the residual's
    seed = max(N * float(rows.var(ddof=1)), residual)
    unit = max(S * float(columns.var(ddof=1)), residual)
    variance = seed + unit - residual
    spread = seed**2 / (S - 1) + unit**2 / (N - 1) + residual**2 / ((S - 1) * (N - 1))
    df = variance**2 / spread if spread > 0 else float(S - 1)
    error = float(np.sqrt(variance / (S * N)))
    width = float(stats.t.ppf(1 - alpha / 2, df)) * error
    # without an error nothing varies at all
    p = float(2 * stats.t.sf(abs(mean) / error, df)) if error > 0 else float(mean == 0)
    strict = stats.t.ppf(1 - alpha / comparisons / 2, df) + stats.t.ppf(POWER, df)
    return CrossedEffect(
        mean,
        error,
        df,
        mean - width,
        mean + width,
        p,
        float(strict) * error,
        (seed - residual) / N,
        (unit - residual) / S,
        residual,
    )


def unit_effect(differences: Float[np.ndarray, " N"], *, alpha: float = 0.05) -> CrossedEffect:
    """The mean difference of two *given* taggers on new units: a paired t-test over the units.

    It says nothing of what another training of either would give; that takes several, see
    :func:`crossed_effect`.

    Raises:
        ArgumentError: fewer than two units.
    """
    from scipy import stats

    N = len(differences)
    if N < 2:
        raise ArgumentError(f"differences: expected at least 2 units, got {N}")
    mean, variance = float(differences.mean()), float(differences.var(ddof=1))
    error, df = float(np.sqrt(variance / N)), float(N - 1)
    width = float(stats.t.ppf(1 - alpha / 2, df)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, df)) if error > 0 else float(mean == 0)
    found = float(stats.t.ppf(1 - alpha / 2, df) + stats.t.ppf(POWER, df)) * error
    return CrossedEffect(mean, error, df, mean - width, mean + width, p, found, 0.0, variance, 0.0)


def by_unit(values: Int[np.ndarray, " *S N"], units: Sequence[int]) -> Int[np.ndarray, " *S U"]:
    """Sum what sentences count over the units (documents, numbered from 0) that they belong to."""
    member = np.zeros((len(units), max(units, default=-1) + 1), dtype=values.dtype)
    member[np.arange(len(units)), units] = 1
    return values @ member


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: reject where the adjusted p is below the level of the whole family.

    ``p'(k) = max over j <= k of min(1, (m - j + 1) p(j))`` over the m values in ascending order.

    Source: Holm (1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
