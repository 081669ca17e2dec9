"""The sentence that the figures of a comparison carry, and nothing more."""

from __future__ import annotations

from statistics import fmean
from typing import NamedTuple

from .effects import CLAIM
from .results import Comparison, Effect, Run, VariantResult

__all__ = [
    "Verdict",
    "invalid_rates",
    "judge",
    "p_text",
    "plus_minus",
    "readings",
    "signed",
    "training_ratio",
    "verdict",
]


class Verdict(NamedTuple):
    """The parts of the verdict; ``str()`` joins them to a few sentences."""

    headline: str
    figures: str
    limits: str = ""

    def __str__(self) -> str:
        return f"{self.headline}. {self.figures}." + (f" {self.limits}." if self.limits else "")


def verdict(comparison: Comparison) -> str:
    """A few sentences that answer: does a CRF layer pay on this data?

    They say what the CRF adds to softmax with its 95 % interval, for new seeds and new sentences, under the
    declared repair policy; how much of that constrained decoding alone gives; what the other reading of
    ill-formed spans makes of it; what it costs; and, below five seeds, that nothing is claimed.
    """
    return str(judge(comparison))


def judge(comparison: Comparison) -> Verdict:
    """The verdict in its parts."""
    effect = comparison.effect("crf", "softmax")
    if effect is None:
        return Verdict("No verdict", "It takes the variants 'softmax' and 'crf'")
    return Verdict(_headline(comparison, effect), _figures(comparison, effect), _limits(comparison))


def _headline(comparison: Comparison, effect: Effect) -> str:
    score = "points of accuracy" if comparison.task == "pos" else "F1"
    seeds = len(effect.differences)
    if effect.significant:
        verb = "adds" if effect.mean > 0 else "costs"
        text = f"On this data the CRF {verb} {plus_minus(effect, absolute=True)} {score}"
        text += f" {'over' if effect.mean > 0 else 'against'} softmax ({p_text(effect.p_adjusted)})"
    elif seeds >= CLAIM:
        text = (
            f"On this data no difference between the CRF and softmax is shown ({p_text(effect.p_adjusted)})"
        )
        text += f": it is {plus_minus(effect)} {score}"
    elif seeds == 1:
        text = f"With one seed nothing is claimed: there the CRF scores {signed(effect.mean)} {score}"
        text += " against softmax"
    else:
        text = f"With {seeds} seeds nothing is claimed: in these the CRF scores {plus_minus(effect)} {score}"
        text += " against softmax"
    decoding = comparison.effect("softmax-constrained", "softmax")
    if decoding is None:
        return text
    shown = decoding.significant or decoding.p_adjusted is None
    gives = "gives" if shown else "is not shown to change it:"
    p = "" if decoding.p_adjusted is None else f" ({p_text(decoding.p_adjusted)})"
    return f"{text}; constrained decoding alone {gives} {plus_minus(decoding)}{p}"


def _figures(comparison: Comparison, effect: Effect) -> str:
    parts = []
    rest = comparison.effect("crf", "softmax-constrained")
    if rest is not None:
        if rest.significant:
            verb = "scores above" if rest.mean > 0 else "scores below"
            parts.append(
                f"Against constrained decoding the CRF {verb} by {plus_minus(rest, absolute=True)} "
                f"({p_text(rest.p_adjusted)})"
            )
        else:
            shown = " is not shown to differ: it scores" if rest.p_adjusted is not None else " scores"
            p = f" ({p_text(rest.p_adjusted)})" if rest.p_adjusted is not None else ""
            parts.append(f"Against constrained decoding the CRF{shown} {plus_minus(rest)}{p}")
    both = comparison.effect("crf-constrained", "softmax-constrained")
    if both is not None:
        parts.append(
            f"With the constraints in its training, too, it scores {plus_minus(both)} against that "
            "(exploratory)"
        )
    dropped = comparison.effect("crf", "softmax", "drop")
    if dropped is not None:
        parts.append(
            f"With ill-formed spans dropped in place of repaired the CRF scores {plus_minus(dropped)} "
            "against softmax (exploratory)"
        )
    if effect.detectable is not None:
        what = "documents" if comparison.unit == "document" else "sentences"
        seeds = len(effect.differences)
        parts.append(
            f"{seeds} seeds on {effect.units:,} test {what} would show a difference of "
            f"{effect.detectable:.1f} points in four cases of five"
        )
    else:
        parts.append("One seed says nothing of how far another would be from it")
    return ". ".join(parts)


def _limits(comparison: Comparison) -> str:
    softmax, crf = comparison.variant("softmax"), comparison.variant("crf")
    parts = []
    if comparison.scheme is not None:
        parts.append(
            f"Softmax leaves invalid sequences in {fmean(invalid_rates(softmax.runs)):.1f}% of the test "
            f"sentences, the CRF in {fmean(invalid_rates(crf.runs)):.1f}%"
        )
    ratio = training_ratio(crf, softmax)
    if ratio is None:
        parts.append("Times were not measured: the runs went side by side")
    else:
        change = 100 * (ratio - 1)
        more = "more" if change >= 0 else "less"
        timed = min(len(variant.timed) for variant in (softmax, crf))
        said = "one timed run of each" if timed == 1 else f"mean of {timed} timed runs of each"
        parts.append(f"An epoch of the CRF took {abs(change):.0f}% {more} time than one of softmax ({said})")
    return ". ".join(parts)


def training_ratio(one: VariantResult, other: VariantResult) -> float | None:
    """Seconds of an epoch of one variant over those of another, mean over the runs that were timed."""
    means = [
        fmean(run.train_seconds / run.epochs for run in variant.timed) if variant.timed else 0.0
        for variant in (one, other)
    ]
    return means[0] / means[1] if all(means) else None


def readings(comparison: Comparison) -> list[str]:
    """The repair policies under which differences are shown; for POS the accuracy alone."""
    return [name for name in ("conlleval", "drop") if name in comparison.repairs] or comparison.repairs[:1]


def invalid_rates(runs: list[Run]) -> list[float]:
    """Percentage of test sentences with an invalid move, a run each."""
    return [100 * run.invalid_sentences / run.sentences if run.sentences else 0.0 for run in runs]


def signed(points: float) -> str:
    """A difference with its sign and one decimal; one that rounds to zero has no sign."""
    text = f"{points:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def plus_minus(effect: Effect, *, absolute: bool = False) -> str:
    """The mean and half the width of its 95 % interval."""
    mean = f"{abs(effect.mean):.1f}" if absolute else signed(effect.mean)
    if effect.low is None or effect.high is None:
        return mean
    return f"{mean} ± {(effect.high - effect.low) / 2:.1f}"


def p_text(p: float | None) -> str:
    """A p-value as people write it."""
    if p is None:
        return "no claim"
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("= 0.", "= .")
