"""The report of a comparison as one HTML page that needs nothing outside itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from statistics import fmean
from typing import Any

from .charts import charts, heat_map
from .plots import MINUS, svg_pictures
from .predictor import PREDICTORS
from .results import Comparison, Run, VariantResult
from .summary import (
    DIFFERENCES,
    READINGS,
    Column,
    difference_rows,
    difference_titles,
    note,
    score_columns,
    spread,
    summary_cells,
    summary_columns,
)
from .verdict import judge, p_text, plus_minus, signed

__all__ = ["html_report", "slice_rows"]

EXAMPLES = 4  # shown at once; the others on demand
MOVES = 5  # forbidden moves shown a variant


def html_report(comparison: Comparison) -> str:
    """The page: verdict, picture, figures, differences, labels, examples, how to read it, data, settings.

    All styles and pictures are inside; all text from the data is escaped.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"plus_minus": plus_minus, "p_text": p_text}
    environment.filters["points"] = lambda value: signed(value).replace("-", MINUS)
    environment.filters["plain"] = lambda value: value if isinstance(value, str) else json.dumps(value)
    template = environment.from_string(
        (files("chaincrf.compare") / "templates" / "report.html.j2").read_text(encoding="utf-8")
    )
    columns = summary_columns(comparison)
    differences = difference_rows(comparison)
    return template.render(
        comparison=comparison,
        verdict=judge(comparison),
        pictures=[picture._replace(svg=Markup(picture.svg)) for picture in svg_pictures(comparison)],
        columns=columns,
        rows=[(variant, summary_cells(comparison, variant, columns)) for variant in comparison.variants],
        note=note(comparison),
        run_columns=_run_columns(comparison),
        differences=differences,
        difference_titles=difference_titles(differences),
        unclear=DIFFERENCES.format(unit=comparison.unit),
        readings=READINGS,
        labels=_label_rows(comparison),
        charts=[chart._replace(svg=Markup(chart.svg)) for chart in charts(comparison)],
        heat_map=(drawn := heat_map(comparison)) and drawn._replace(svg=Markup(drawn.svg)),
        quality=_quality_rows(comparison),
        slices=slice_rows(comparison),
        worst_moves=_worst_moves(comparison),
        others=[
            (other, [(variant, summary_cells(comparison, variant, columns)) for variant in other.variants])
            for other in comparison.other_schemes
        ],
        predictor_names=PREDICTORS,
        examples=[_example(comparison, entry) for entry in comparison.example],
        shown=EXAMPLES,
    )


def _run_columns(comparison: Comparison) -> list[Column]:
    """Every figure of a single run."""
    columns = score_columns(comparison)
    columns.append(Column("development", lambda run: 100 * run.dev_score))
    if comparison.scheme is not None:
        columns.append(Column("invalid sentences", lambda run: run.invalid_sentences, "{:,}"))
        columns.append(Column("invalid moves", lambda run: run.invalid_moves, "{:,}"))
    return [
        *columns,
        Column("epochs", lambda run: run.epochs, "{}"),
        Column("best epoch", lambda run: run.best_epoch, "{}"),
        Column("training s", lambda run: run.train_seconds, "{:,.1f}"),
        Column("training tokens/s", lambda run: run.train_tokens_per_second, "{:,.0f}"),
        Column("tagging tokens/s", lambda run: run.tag_tokens_per_second, "{:,.0f}"),
    ]


def _label_rows(comparison: Comparison) -> list[tuple[str, int, list[float]]]:
    """Label, its gold count, and its F1 (0..100, mean over the seeds) by variant; the frequent ones first."""
    support: dict[str, int] = {}
    for variant in comparison.variants:
        for run in variant.runs:
            for score in run.labels:
                support[score.label] = max(support.get(score.label, 0), score.gold)
    ranked = sorted(support.items(), key=lambda item: (-item[1], item[0]))
    variants = comparison.variants
    return [(label, gold, [_label_f1(variant, label) for variant in variants]) for label, gold in ranked]


def _label_f1(variant: VariantResult, label: str) -> float:
    return fmean(100 * _f1(run, label) for run in variant.runs)


def _f1(run: Run, label: str) -> float:
    """F1 of one label, 2 correct / (predicted + gold), 0 where the run has no such span."""
    score = next((score for score in run.labels if score.label == label), None)
    total = score.predicted + score.gold if score else 0
    return 2 * score.correct / total if score and total else 0.0


def _quality_rows(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """What else is measured of each variant: precision, recall, tokens, sentences, probabilities, moves."""
    main = comparison.repairs[0]
    pos = comparison.task == "pos"
    columns = [
        *([] if pos else [Column("precision", lambda run: 100 * run.precision[main])]),
        *([] if pos else [Column("recall", lambda run: 100 * run.recall[main])]),
        Column("token accuracy", lambda run: 100 * run.token_accuracy),
        Column("exact sentences", lambda run: 100 * run.exact_sentences),
        Column("log-likelihood", lambda run: run.log_likelihood, "{:.2f}"),
        Column("calibration error", lambda run: run.calibration and 100 * run.calibration.error),
        *(
            []
            if pos
            else [
                Column("invalid moves %", lambda run: 100 * run.invalid_moves / max(run.moves, 1), "{:.2f}")
            ]
        ),
    ]
    rows = [("", [column.title for column in columns])]
    for variant in comparison.variants:
        cells = [spread([column.value(run) for run in variant.runs], column) for column in columns]
        rows.append((variant.title, [cell.replace("not measured", "–") for cell in cells]))
    return rows


def slice_rows(comparison: Comparison) -> list[tuple[str, list[tuple[str, int, list[float]]]]]:
    """By dimension: bucket, its gold spans, and the F1 (0..100, mean over the seeds) of every variant."""
    found = []
    for dimension, buckets in comparison.variants[0].runs[0].slices.items():
        rows = []
        for bucket, (_, _, gold) in buckets.items():
            scores = [
                fmean(100 * _slice_f1(run, dimension, bucket) for run in variant.runs)
                for variant in comparison.variants
            ]
            rows.append((bucket, gold, scores))
        found.append((dimension, rows))
    return found


def _slice_f1(run: Run, dimension: str, bucket: str) -> float:
    correct, predicted, gold = run.slices.get(dimension, {}).get(bucket, (0, 0, 0))
    return 2 * correct / (predicted + gold) if predicted + gold else 0.0


def _worst_moves(comparison: Comparison) -> list[tuple[str, list[tuple[str, str, float]]]]:
    """By variant the forbidden moves that it makes most often, a run in the mean."""
    found = []
    for variant in comparison.variants:
        counts: dict[tuple[str, str], int] = {}
        for run in variant.runs:
            for move in run.worst_moves:
                counts[move.before, move.after] = counts.get((move.before, move.after), 0) + move.count
        worst = sorted(counts.items(), key=lambda item: -item[1])[:MOVES]
        if worst:
            found.append((variant.title, [(a, b, n / len(variant.runs)) for (a, b), n in worst]))
    return found


def _example(comparison: Comparison, entry: dict[str, Any]) -> dict[str, Any]:
    """A sentence, and the rows of its tokens worth reading: where anything is tagged, wrong or forbidden."""
    names = [variant.name for variant in comparison.variants if variant.name in entry["tags"]]
    return {
        "sentence": " ".join(entry["tokens"]),
        "titles": [comparison.variant(name).title for name in names],
        "rows": list(_token_rows(entry, names, every_tag=comparison.scheme is not None)),
    }


def _token_rows(entry: dict[str, Any], names: list[str], *, every_tag: bool) -> Iterator[dict[str, Any]]:
    tokens, gold = entry["tokens"], entry["gold"]
    forbidden = {name: set(entry.get("invalid", {}).get(name, ())) for name in names}
    last = -1
    for position in range(len(tokens) + 1):
        end = position == len(tokens)  # a move out of the last token can be forbidden too
        right = "" if end else gold[position]
        cells = []
        for name in names:
            tag = "" if end else entry["tags"][name][position]
            cells.append({"tag": tag, "wrong": tag != right, "forbidden": position in forbidden[name]})
        tagged = every_tag and not end and {right, *(cell["tag"] for cell in cells)} != {"O"}
        if tagged or any(cell["wrong"] or cell["forbidden"] for cell in cells):
            token = None if end else tokens[position]
            yield {"token": token, "gold": right, "cells": cells, "gap": position > last + 1}
            last = position
