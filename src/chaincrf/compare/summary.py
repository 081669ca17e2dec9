"""The figures of a comparison as the columns and cells that every form of the report shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from .contrasts import Contrast, invalid_rates, signed
from .results import Comparison, Run, VariantResult

__all__ = [
    "READINGS",
    "UNCLEAR",
    "Column",
    "difference_cell",
    "difference_titles",
    "note",
    "score_columns",
    "spread",
    "summary_cells",
    "summary_columns",
]

READINGS = {"conlleval": "repaired", "drop": "dropped", "strict": "strict"}
UNCLEAR = (
    "Unclear: a single seed, seeds that disagree on the sign, or a mean smaller than the spread between them."
)


class Column(NamedTuple):
    """One figure of a run: the words over it, its value, its format, and whether training sets it."""

    title: str
    value: Callable[[Run], float]
    form: str = "{:.1f}"
    trained: bool = False


def summary_columns(comparison: Comparison) -> list[Column]:
    """The figures worth a column: scores, invalid sentences where the task has a scheme, times."""
    columns = score_columns(comparison)
    if comparison.scheme is not None:
        columns.append(Column("invalid sentences %", lambda run: invalid_rates([run])[0]))
    longest = max(run.train_seconds for variant in comparison.variants for run in variant.runs)
    form = "{:.1f}" if longest < 100 else "{:,.0f}"
    columns.append(Column("training s", lambda run: run.train_seconds, form, trained=True))
    columns.append(Column("tagging, 1000 tokens/s", lambda run: run.tag_tokens_per_second / 1000))
    return columns


def score_columns(comparison: Comparison) -> list[Column]:
    """A column a reading; strict only where it differs from repaired."""
    if comparison.task == "pos":
        return [Column("accuracy", lambda run: 100 * run.test_scores["accuracy"])]
    names = [name for name in READINGS if name in comparison.repairs]
    scores = [run.test_scores for variant in comparison.variants for run in variant.runs]
    if all(score.get("strict") == score.get("conlleval") for score in scores):
        names.remove("strict")
    # the default argument binds the name of this turn
    return [Column(f"F1 {READINGS[n]}", lambda run, n=n: 100 * run.test_scores[n]) for n in names]


def summary_cells(
    comparison: Comparison, variant: VariantResult, columns: Sequence[Column], *, between: str = " ± "
) -> list[str]:
    """The row of one variant: mean and standard deviation over the seeds, the mean alone for one seed."""
    cells = [spread([column.value(run) for run in variant.runs], column, between) for column in columns]
    if variant.name == "softmax-constrained" and any(v.name == "softmax" for v in comparison.variants):
        # decoding by constraints trains nothing: the seconds are those of the softmax row
        cells = ["same" if column.trained else cell for column, cell in zip(columns, cells, strict=True)]
    return cells


def spread(values: Sequence[float], column: Column, between: str = " ± ") -> str:
    """Mean and standard deviation (n - 1) of one figure."""
    texts = [column.form.format(fmean(values))]
    if len(values) > 1:
        texts.append(column.form.format(stdev(values)))
    return between.join(texts)


def note(comparison: Comparison) -> str:
    count = len(comparison.seeds)
    text = f"Mean ± standard deviation over {count} seeds." if count > 1 else "One seed."
    names = {variant.name for variant in comparison.variants}
    if {"softmax", "softmax-constrained"} <= names:
        text += " Both softmax rows are one training, decoded in two ways."
    return text


def difference_titles(differences: Sequence[tuple[Contrast, ...]]) -> list[str]:
    """The words over the columns of the paired differences."""
    readings = differences[0] if differences else ()
    return [f"points, {READINGS[item.repair]}" if item.repair in READINGS else "points" for item in readings]


def difference_cell(item: Contrast) -> str:
    """The mean difference, and on how many seeds the first of the two scores more."""
    unclear = ", unclear" if item.outcome == "unclear" else ""
    return f"{signed(item.mean)} ({item.wins}/{len(item.differences)} up{unclear})"
