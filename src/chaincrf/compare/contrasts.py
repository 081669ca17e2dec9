"""What the figures of a comparison allow one to say: paired differences, and the sentences on them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal, NamedTuple

from ..errors import ArgumentError
from .results import Comparison, Run

__all__ = [
    "Contrast",
    "Verdict",
    "contrast",
    "contrasts",
    "invalid_rates",
    "judge",
    "readings",
    "signed",
    "verdict",
]

Outcome = Literal["higher", "lower", "unclear"]

PAIRS = (
    ("crf", "softmax"),
    ("softmax-constrained", "softmax"),
    ("crf", "softmax-constrained"),
    ("crf-constrained", "softmax-constrained"),
)
"""The differences a report shows: the first variant minus the second."""

SCORES = {"higher": "scores above", "lower": "scores below"}

FEW = 5
"""With fewer seeds the verdict speaks of these seeds alone."""


@dataclass(frozen=True)
class Contrast:
    """One variant minus another on the test set, paired by seed, in points of 0..100."""

    first: str
    second: str
    repair: str
    differences: dict[int, float]
    """Points by seed, for the seeds that both variants have."""
    spread: float | None
    """The larger of the two variants' standard deviations over these seeds, None for a single seed."""

    @property
    def mean(self) -> float:
        """Mean difference over the seeds."""
        return fmean(self.differences.values())

    @property
    def wins(self) -> int:
        """Seeds on which the first variant scores more."""
        return sum(difference > 0 for difference in self.differences.values())

    @property
    def outcome(self) -> Outcome:
        """Whether the seeds separate the two variants, and which way.

        ``"unclear"`` when there is one seed, when the signs disagree, when the mean difference is smaller
        than the spread between seeds, or when it rounds to 0.0 points. No significance test.
        """
        values = self.differences.values()
        one_sign = all(value > 0 for value in values) or all(value < 0 for value in values)
        if self.spread is None or not one_sign or abs(self.mean) < max(self.spread, 0.05):
            return "unclear"
        return "higher" if self.mean > 0 else "lower"


class Verdict(NamedTuple):
    """The parts of the verdict; ``str()`` joins them to one or two sentences."""

    headline: str
    figures: str
    limits: str = ""

    def __str__(self) -> str:
        return f"{self.headline}: {self.figures}." + (f" {self.limits}." if self.limits else "")


def contrast(comparison: Comparison, first: str, second: str, repair: str) -> Contrast:
    """The difference ``first - second`` under one repair policy, over the seeds both variants have.

    Raises:
        ArgumentError: when the two variants have no seed in common.
    """
    pairs = _paired(comparison, first, second)
    if not pairs:
        raise ArgumentError(f"expected {first!r} and {second!r} to have a seed in common, they have none")
    points = {
        seed: (100 * one.test_scores[repair], 100 * other.test_scores[repair])
        for seed, (one, other) in pairs.items()
    }
    spread = max(stdev(column) for column in zip(*points.values(), strict=True)) if len(points) > 1 else None
    differences = {seed: one - other for seed, (one, other) in points.items()}
    return Contrast(first, second, repair, differences, spread)


def contrasts(comparison: Comparison) -> list[tuple[Contrast, ...]]:
    """Every difference worth showing among the variants present, each under every reading of `readings`."""
    return [
        tuple(contrast(comparison, first, second, repair) for repair in readings(comparison))
        for first, second in PAIRS
        if _paired(comparison, first, second)
    ]


def readings(comparison: Comparison) -> list[str]:
    """The repair policies that a verdict rests on: repaired and dropped; for POS the accuracy alone."""
    return [name for name in ("conlleval", "drop") if name in comparison.repairs] or comparison.repairs[:1]


def invalid_rates(runs: list[Run]) -> list[float]:
    """Percentage of test sentences with an invalid move, a run each."""
    return [100 * run.invalid_sentences / run.sentences if run.sentences else 0.0 for run in runs]


def signed(points: float) -> str:
    """A difference with its sign and one decimal; one that rounds to zero has no sign."""
    text = f"{points:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def verdict(comparison: Comparison) -> str:
    """One or two sentences that answer: does a CRF layer pay on this data?

    They say the difference CRF minus softmax (F1 with ill-formed spans repaired and with them dropped;
    accuracy for POS), how much of it constrained decoding alone gives, the invalid sequences, the cost
    in training time, and what the number of seeds allows one to claim.
    """
    return str(judge(comparison))


def judge(comparison: Comparison) -> Verdict:
    """The verdict in its parts."""
    pairs = _paired(comparison, "crf", "softmax")
    if not pairs:
        return Verdict("No verdict", "it takes the variants 'softmax' and 'crf' with a seed in common")
    names = readings(comparison)
    against_softmax = [contrast(comparison, "crf", "softmax", name) for name in names]
    constrained = bool(_paired(comparison, "crf", "softmax-constrained"))
    against_decoding = (
        [contrast(comparison, "crf", "softmax-constrained", name) for name in names] if constrained else []
    )
    seeds = len(pairs)
    if seeds == 1:
        headline = "One seed cannot separate the CRF from softmax"
    else:
        headline = _headline(against_softmax, against_decoding)
        if seeds < FEW:  # a handful of runs that agree is a coin that fell the same way a few times
            headline = f"In these {seeds} seeds, {headline[0].lower()}{headline[1:]}"
    over = f"the mean over {seeds} paired seeds" if seeds > 1 else f"seed {next(iter(pairs))} alone"
    if comparison.task == "pos":
        figures = f"CRF minus softmax is {_points(against_softmax)} points of accuracy, {over}"
    else:
        repaired, *dropped = (signed(reading.mean) for reading in against_softmax)
        figures = f"CRF minus softmax is {repaired} points of F1 with ill-formed spans repaired"
        figures += f" and {dropped[0]} with them dropped, {over}" if dropped else f", {over}"
    if against_decoding:
        gains = [contrast(comparison, "softmax-constrained", "softmax", name) for name in names]
        figures += (
            f"; constrained decoding alone gives softmax {_points(gains)},"
            f" and against that the CRF is {_points(against_decoding)}"
        )
    return Verdict(headline, figures, _limits(comparison, list(pairs.values())))


def _headline(against_softmax: list[Contrast], against_decoding: list[Contrast]) -> str:
    outcomes = [item.outcome for item in against_softmax]
    first = outcomes[0]
    if len(set(outcomes)) > 1:
        first = None
        repaired, dropped = (
            "the data do not separate the two"
            if outcome == "unclear"
            else f"the CRF {SCORES[outcome]} softmax"
            for outcome in outcomes
        )
        text = f"With ill-formed spans repaired {repaired}, but with them dropped {dropped}"
    elif first == "unclear":
        text = "The data do not separate the CRF from softmax"
    else:
        text = f"The CRF {SCORES[first]} softmax"
    rest = {item.outcome for item in against_decoding}
    if not rest:
        return text
    if len(rest) > 1:
        return f"{text}; against softmax with constrained decoding the two readings disagree"
    second = rest.pop()
    if first == second == "unclear":
        return f"{text}, nor from softmax with constrained decoding"
    if second == "unclear":
        end = "the data do not separate it from softmax with constrained decoding"
    else:
        end = f"it {SCORES[second]} softmax with constrained decoding"
    if first is None:
        return f"{text}; {end}"
    return f"{text}, and {end.removeprefix('it scores ')}" if first == second else f"{text}, but {end}"


def _limits(comparison: Comparison, pairs: list[tuple[Run, Run]]) -> str:
    crf, softmax = (list(runs) for runs in zip(*pairs, strict=True))
    parts = []
    if comparison.scheme is not None:
        parts.append(
            f"softmax leaves invalid sequences in {fmean(invalid_rates(softmax)):.1f}% of the test sentences"
            f" and the CRF in {fmean(invalid_rates(crf)):.1f}%"
        )
    seconds = fmean(run.train_seconds for run in softmax)
    if seconds > 0:
        ratio = fmean(run.train_seconds for run in crf) / seconds
        parts.append(f"training the CRF takes {ratio:.1f} times as long")
    count = len(pairs)
    seeds = "one seed supports" if count == 1 else f"{count} seeds support"
    if count >= FEW:
        seeds = f"{count} seeds without a significance test support"
    claim = f"{seeds} no claim of significance"
    text = ", ".join([*parts, f"and {claim}"]) if parts else claim
    return text[0].upper() + text[1:]


def _paired(comparison: Comparison, first: str, second: str) -> dict[int, tuple[Run, Run]]:
    """The runs of two variants by seed, in the order of the comparison's seeds; empty when one is absent."""
    runs = {variant.name: {run.seed: run for run in variant.runs} for variant in comparison.variants}
    one, other = runs.get(first, {}), runs.get(second, {})
    return {seed: (one[seed], other[seed]) for seed in comparison.seeds if seed in one and seed in other}


def _points(items: list[Contrast]) -> str:
    texts = [signed(item.mean) for item in items]
    return f"{texts[0]} either way" if len(items) > 1 and len(set(texts)) == 1 else " and ".join(texts)
