"""The figures of a comparison as the columns and cells that every form of the report shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from .results import Comparison, Effect, Run, VariantResult
from .verdict import invalid_rates, p_text, plus_minus, readings, signed

__all__ = [
    "DIFFERENCES",
    "READINGS",
    "Column",
    "difference_cell",
    "difference_rows",
    "difference_titles",
    "note",
    "score_columns",
    "spread",
    "summary_cells",
    "summary_columns",
]

READINGS = {"conlleval": "repaired", "drop": "dropped", "strict": "strict"}
DIFFERENCES = (
    "Points of 0 to 100, mean and half the 95% interval for new seeds and new {unit}s; p after Holm for the "
    "declared contrasts; the others are exploratory."
)


class Column(NamedTuple):
    """One figure of a run: the words over it, its value, its format, and whether training sets it."""

    title: str
    value: Callable[[Run], float | None]
    form: str = "{:.1f}"
    trained: bool = False


def summary_columns(comparison: Comparison) -> list[Column]:
    """The figures worth a column: scores, invalid sentences where the task has a scheme, times."""
    columns = score_columns(comparison)
    if comparison.scheme is not None:
        columns.append(Column("invalid sentences %", lambda run: invalid_rates([run])[0]))
    timed = [run.train_seconds for variant in comparison.variants for run in variant.timed]
    form = "{:.1f}" if max(timed, default=0) < 100 else "{:,.0f}"
    columns.append(Column("training s", lambda run: run.train_seconds if run.alone else None, form, True))
    columns.append(
        Column("tagging, 1000 tokens/s", lambda run: run.tag_tokens_per_second / 1000 if run.alone else None)
    )
    if any(run.peak_memory for variant in comparison.variants for run in variant.timed):
        columns.append(
            Column("peak memory, MB", lambda run: run.peak_memory and run.peak_memory / 1e6, "{:.0f}", True)
        )
    if any(run.joules is not None for variant in comparison.variants for run in variant.timed):
        columns.append(Column("energy, kJ", lambda run: run.joules and run.joules / 1000, "{:.1f}", True))
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


def spread(values: Sequence[float | None], column: Column, between: str = " ± ") -> str:
    """Mean and standard deviation (n - 1) of one figure, over the runs that have it."""
    known = [value for value in values if value is not None]
    if not known:
        return "not measured"
    texts = [column.form.format(fmean(known))]
    if len(known) > 1:
        texts.append(column.form.format(stdev(known)))
    return between.join(texts)


def note(comparison: Comparison) -> str:
    count = len(comparison.seeds)
    text = f"Mean ± standard deviation over {count} seeds." if count > 1 else "One seed."
    names = {variant.name for variant in comparison.variants}
    if {"softmax", "softmax-constrained"} <= names:
        text += " Both softmax rows are one training, decoded in two ways."
    return text


def difference_rows(comparison: Comparison) -> list[list[Effect]]:
    """The differences, a row a pair of variants, a column a reading; the declared ones first."""
    rows: dict[tuple[str, str], list[Effect]] = {}
    for effect in comparison.effects:
        if effect.repair in readings(comparison):
            rows.setdefault((effect.first, effect.second), []).append(effect)
    return list(rows.values())


def difference_titles(rows: Sequence[Sequence[Effect]]) -> list[str]:
    """The words over the columns of the differences."""
    first = rows[0] if rows else ()
    return [f"points, {READINGS[item.repair]}" if item.repair in READINGS else "points" for item in first]


def difference_cell(item: Effect) -> str:
    """The mean difference with its interval, and its p if it has one."""
    text = plus_minus(item) if item.low is not None else signed(item.mean)
    return f"{text} ({p_text(item.p_adjusted)})" if item.p_adjusted is not None else text
