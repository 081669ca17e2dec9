"""``docs/results/index.md`` from the reports beside it: does a CRF layer pay, and can one tell beforehand?"""

from __future__ import annotations

from collections import defaultdict
from math import ceil, floor
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from comparisons import CORPORA

__all__ = ["Point", "effects_svg", "leave_one_out", "write_index"]

PUBLISHED = (
    ("Huang, Xu & Yu 2015, Senna vectors", "CoNLL-2003", "85.17", "88.83", "+3.66"),
    ("Ma & Hovy 2016", "CoNLL-2003", "89.36", "91.21", "+1.85"),
    ("Strubell et al. 2017, 10 runs", "CoNLL-2003", "89.34", "90.43", "+1.09"),
    ("DeLFT, 10 runs", "CoNLL-2003", "89.64", "91.03", "+1.39"),
    ("Lester et al. 2020, 10 runs", "CoNLL-2003, against constrained decoding", "91.44", "91.61", "+0.17"),
    ("Lester et al. 2020, 10 runs", "OntoNotes, against constrained decoding", "86.13", "87.43", "+1.30"),
    ("Lester et al. 2020, 10 runs", "WNUT-17, against constrained decoding", "40.59", "40.33", "-0.26"),
    ("Lester et al. 2020, 10 runs", "Snips, against constrained decoding", "96.07", "96.04", "-0.03"),
    ("Ma & Hovy 2016", "WSJ POS (accuracy)", "97.33", "97.55", "+0.22"),
)


CONTRASTS = {
    ("softmax-constrained", "softmax"): "constrained decoding − greedy softmax",
    ("crf", "softmax-constrained"): "CRF − constrained decoding",
    ("crf", "softmax"): "CRF − greedy softmax",
    ("crf-constrained", "softmax-constrained"): "CRF with constraints − constrained decoding (exploratory)",
}
ALTERNATIVE = "Differences in points with 95 % intervals, up to four a corpus; a filled dot is significant"
STYLE = """
text { font: 13px sans-serif; fill: #24292f; dominant-baseline: central } .middle { text-anchor: middle }
line { stroke: #d0d7de } .zero { stroke: #24292f } .c0 { stroke: #d55e00 } .c1 { stroke: #0072b2 }
.c2 { stroke: #57606a } .c3 { stroke: #009e73 } line.c0, line.c1, line.c2, line.c3 { stroke-width: 2 }
circle { fill: none; stroke-width: 2 }
circle.c0.sure { fill: #d55e00 } circle.c1.sure { fill: #0072b2 } circle.c2.sure { fill: #57606a }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } line { stroke: #444c56 } .zero { stroke: #e6edf3 } .c1 { stroke: #56b4e9 }
circle.c1.sure { fill: #56b4e9 } .c2 { stroke: #adbac7 } circle.c2.sure { fill: #adbac7 } }
"""


class Point(NamedTuple):
    """A corpus: what was measured, and what its training data said beforehand."""

    corpus: str
    family: str
    effect: float
    predictors: dict[str, float]


def leave_one_out(points: list[Point], predictor: str) -> tuple[list[float], float]:
    """Predict each corpus by a line through the corpora of the other families.

    Returns:
        The predictions, in the order of the points, and their correlation with what was measured (NaN where
        one of them does not vary).
    """
    predictions = []
    for left_out in points:
        others = [point for point in points if point.family != left_out.family]
        x = np.array([point.predictors[predictor] for point in others])
        y = np.array([point.effect for point in others])
        slope, intercept = np.polyfit(x, y, 1) if len(others) > 1 and np.ptp(x) > 0 else (0.0, y.mean())
        predictions.append(float(slope * left_out.predictors[predictor] + intercept))
    measured = [point.effect for point in points]
    varies = len(points) > 2 and np.ptp(predictions) > 0 and np.ptp(measured) > 0
    return predictions, float(np.corrcoef(predictions, measured)[0, 1]) if varies else float("nan")


def write_index(folder: Path) -> Path:
    """Write ``index.md`` into a folder of reports."""
    from chaincrf.compare import read_report

    budgets = {budget.name: budget for budget in CORPORA}
    reports = {
        path.parent.name: read_report(path)
        for path in sorted(
            folder.glob("*/report.json"), key=lambda path: list(budgets).index(path.parent.name)
        )
        if path.parent.name in budgets
    }
    lines = ["# Does a CRF layer pay? The measured corpora", ""]
    lines += _answer(reports)
    if reports:
        lines += [f"![{ALTERNATIVE}](effects.svg)", ""]
        _replace(folder / "effects.svg", effects_svg(reports))
    lines += _table(reports, "BIOES, and accuracy for parts of speech", None)
    lines += _table({name: r for name, r in reports.items() if r.other_schemes}, "The same in BIO", "BIO")
    lines += _record(reports, budgets)
    lines += ["", "## What others published", ""]
    lines += ["| source | data | without a CRF | with | difference |", "| --- | --- | ---: | ---: | ---: |"]
    lines += ["| " + " | ".join(row) + " |" for row in PUBLISHED]
    lines += ["", "Their figures, not measured here; inputs, sizes and tuning differ from ours.", ""]
    lines += ["## Data and commands", ""]
    for name, report in reports.items():
        lines.append(f"- **{name}**: {report.attribution}. `{report.command}`")
    return _replace(folder / "index.md", "\n".join(lines) + "\n")


def _replace(path: Path, text: str) -> Path:
    """Write a file whole."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return path


def effects_svg(reports: dict[str, Any]) -> str:
    """The contrasts of each corpus with their intervals, filled where they are significant."""
    rows = [
        (place, number, effect)
        for place, report in enumerate(reports.values())
        for number, pair in enumerate(CONTRASTS)
        if (effect := report.effect(*pair)) is not None and effect.low is not None
    ]
    low = floor(min([0.0, *(effect.low for *_, effect in rows)]))
    high = ceil(max([1.0, *(effect.high for *_, effect in rows)]))
    left, width, top, step, block = 150, 470, 112, 17, 80
    bottom = top + len(reports) * block - 8

    def x(points: float) -> str:
        return f"{left + width * (points - low) / (high - low):.1f}"

    parts = []
    for number, title in enumerate(CONTRASTS.values()):
        y = 16 + 20 * number
        parts.append(f'<text x="{left}" y="{y}">{title}</text>')
        sure = "" if "exploratory" in title else " sure"
        parts.append(f'<circle class="c{number}{sure}" cx="{left - 14}" cy="{y}" r="5"/>')
    for tick in range(low, high + 1, max(1, (high - low) // 8)):
        said = f"{tick:+d}" if tick else "0"
        parts.append(f'<line x1="{x(tick)}" x2="{x(tick)}" y1="{top - 14}" y2="{bottom}"/>')
        parts.append(f'<text class="middle" x="{x(tick)}" y="{bottom + 14}">{said}</text>')
    parts.append(f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="{top - 14}" y2="{bottom}"/>')
    parts += [
        f'<text x="4" y="{top + 1.5 * step + i * block}">{name}</text>' for i, name in enumerate(reports)
    ]
    for place, number, effect in rows:
        y = top + place * block + number * step
        ends = f'x1="{x(effect.low)}" x2="{x(effect.high)}"'
        parts.append(f'<line class="c{number}" {ends} y1="{y}" y2="{y}"/>')
        sure = " sure" if effect.significant else ""
        parts.append(f'<circle class="c{number}{sure}" cx="{x(effect.mean)}" cy="{y}" r="5"/>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {bottom + 28}" role="img">'
    lines = [head, f"<title>{ALTERNATIVE}</title>", f"<style>{STYLE}</style>", *parts, "</svg>"]
    return "\n".join(lines) + "\n"


def _effect(report: Any, first: str, second: str, scheme: str | None, repair: str | None = None) -> Any:
    if scheme is None or report.scheme == scheme:
        return report.effect(first, second, repair)
    other = next((s for s in report.other_schemes if s.scheme == scheme), None)
    wanted = first, second, repair or report.repairs[0]
    found = other.effects if other else ()
    return next((e for e in found if (e.first, e.second, e.repair) == wanted), None)


def _answer(reports: dict[str, Any]) -> list[str]:
    """What the figures allow one to say, in counts."""
    ner = {name: report for name, report in reports.items() if report.task == "ner"}
    if not ner:
        return ["No report is here yet.", ""]
    total = len(ner)

    def count(first: str, second: str) -> tuple[int, int, float]:
        effects = [report.effect(first, second) for report in ner.values()]
        up = sum(effect.significant and effect.mean > 0 for effect in effects)
        down = sum(effect.significant and effect.mean < 0 for effect in effects)
        return up, down, fmean(effect.mean for effect in effects)

    plain, rest, decoding = (
        count("crf", "softmax"),
        count("crf", "softmax-constrained"),
        count("softmax-constrained", "softmax"),
    )
    both = [report.effect("crf-constrained", "softmax-constrained") for report in ner.values()]
    mean_both, clear = fmean(effect.mean for effect in both), sum((effect.low or 0) > 0 for effect in both)
    dropped = [report.effect("crf", "softmax", "drop") for report in ner.values()]
    mean_dropped = fmean(effect.mean for effect in dropped if effect is not None)
    ahead = [name for name, report in ner.items() if _features_ahead(report)]
    features = f"On {', '.join(ahead)} it" if ahead else "On no corpus it"
    text = f"""
On {plain[0]} of {total} corpora of named entities a CRF scores significantly above a greedy softmax (below on
{plain[1]}), by {plain[2]:+.1f} F1 in the mean of all, ill-formed spans repaired. Forbidding the softmax to
write invalid sequences gives {decoding[2]:+.1f} of that without any training (significant on {decoding[0]}).
Against such a constrained softmax the CRF is significantly ahead on {rest[0]} of {total} and behind on
{rest[1]}, {rest[2]:+.1f} in the mean. A CRF that has the constraints in its training, too, scores
{mean_both:+.1f} against the constrained softmax in the mean, with an interval above zero on {clear} of
{total} (exploratory). Where ill-formed spans are dropped in place of repaired, the CRF's lead
over a greedy softmax is {mean_dropped:+.1f} in the mean.

A classical CRF on a dozen hand-made features, trained in seconds, is among the variants. {features}
scores above the BiLSTM with a CRF.

Each effect is one on new seeds and new sentences (documents where they are known), with a 95 % interval; p
after Holm over the three contrasts of a corpus. BIO, and everything but the three contrasts, is exploratory.
Budgets were reduced: see each report."""
    return [*text.strip().splitlines(), ""]


def _features_ahead(report: Any) -> bool:
    """Whether the CRF on features has the higher mean."""
    means = {v.name: v.mean(report.repairs[0]) for v in report.variants}
    return means.get("feature-crf", 0.0) > means["crf"]


def _table(reports: dict[str, Any], title: str, scheme: str | None) -> list[str]:
    if not reports:
        return []
    header = ["corpus", "softmax", "constrained", "CRF", "CRF constrained", "features"]
    header += ["constrained − softmax", "CRF − constrained", "CRF − softmax", "the same, dropped"]
    header += ["CRF constrained − constrained"]
    lines = ["", f"## {title}", "", "| " + " | ".join(header) + " |"]
    lines.append("| --- |" + " ---: |" * (len(header) - 1))
    for name, report in reports.items():
        variants = (
            report.variants
            if scheme is None
            else next(s.variants for s in report.other_schemes if s.scheme == scheme)
        )
        means = {v.name: 100 * v.mean(report.repairs[0]) for v in variants}
        cells = [f"[{name}]({name}/report.html)"]
        for variant in ("softmax", "softmax-constrained", "crf", "crf-constrained", "feature-crf"):
            cells.append(f"{means[variant]:.1f}" if variant in means else "–")
        for pair in (("softmax-constrained", "softmax"), ("crf", "softmax-constrained"), ("crf", "softmax")):
            cells.append(_cell(_effect(report, *pair, scheme)))
        cells.append(_cell(_effect(report, "crf", "softmax", scheme, "drop")))
        cells.append(_cell(_effect(report, "crf-constrained", "softmax-constrained", scheme)))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _cell(effect: Any) -> str:
    from chaincrf.compare.verdict import p_text, plus_minus

    if effect is None:
        return "–"
    text = plus_minus(effect)
    return f"**{text}** ({p_text(effect.p_adjusted)})" if effect.significant else text


def _record(reports: dict[str, Any], budgets: dict[str, Any]) -> list[str]:
    """How well each predictor would have told the CRF's gain over constrained decoding."""
    from chaincrf.compare.predictor import PREDICTORS

    points = [
        Point(name, budgets[name].family, effect.mean, report.predictors)
        for name, report in reports.items()
        if report.task == "ner" and (effect := report.effect("crf", "softmax-constrained")) is not None
    ]
    families: dict[str, list[str]] = defaultdict(list)
    for point in points:
        families[point.family].append(point.corpus)
    lines = ["", "## Can one tell beforehand?", ""]
    if len(families) < 3:
        return [*lines, "With fewer than three families of corpora there is no record yet."]
    lines += [
        f"For each figure of `chaincrf compare --predict`: a line through the corpora of the other families "
        f"({len(points)} corpora, {len(families)} families) predicts CRF − constrained of the one left out. "
        "With so few corpora only a correlation near one would mean anything; below zero the line "
        "foretold the wrong direction.",
        "",
        "| figure | correlation | mean error, points |",
        "| --- | ---: | ---: |",
    ]
    for name in PREDICTORS:
        predictions, correlation = leave_one_out(points, name)
        error = fmean(abs(p - point.effect) for p, point in zip(predictions, points, strict=True))
        lines.append(f"| {name.replace('_', ' ')} | {correlation:+.2f} | {error:.2f} |")
    mean = fmean(
        abs(point.effect - fmean(p.effect for p in points if p.family != point.family)) for point in points
    )
    return [*lines, f"| the mean of the others, no figure at all | | {mean:.2f} |"]
