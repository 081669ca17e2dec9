"""The picture of a comparison, from which one sees whether the CRF earned its place.

One dot a seed, the dots of a seed joined by a thin line: lines that all climb mean a gain on every seed,
lines that cross mean chance. matplotlib is imported when something is drawn, and only its figures are used:
no pyplot, no backend switched.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from os import PathLike
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from .results import Comparison, Effect
from .summary import difference_rows
from .variants import ALSO
from .verdict import invalid_rates, readings, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CRF", "INK", "SOFTMAX", "Picture", "draw_svg", "main_variants", "save_png", "svg_pictures"]

# Two of Okabe and Ito's colours, which colour-blind people tell apart, readable on white and on black.
SOFTMAX, CRF, INK = "#d55e00", "#0072b2", "#101112"
# In a page the ink is the colour of its text, and a style sheet may set the other two.
PAGE_COLOURS = {SOFTMAX: f"var(--softmax, {SOFTMAX})", CRF: f"var(--crf, {CRF})", INK: "currentColor"}
MINUS = "\N{MINUS SIGN}"
NAMES = {
    "conlleval": "F1, ill-formed spans repaired",
    "drop": "F1, ill-formed spans dropped",
}


class Picture(NamedTuple):
    """One panel as SVG, to stand in a page: no size of its own, text in the page's font and colour."""

    name: str
    title: str
    alternative: str
    """What the picture shows, in words, for those who do not see it."""
    svg: str


@dataclass(frozen=True)
class _Panel:
    name: str
    title: str
    alternative: str
    lines: int
    """Lines of text under the axes."""
    draw: Callable[[Axes], None]


def svg_pictures(comparison: Comparison) -> list[Picture]:
    """The panels of the picture, an SVG each, so that a page can put them side by side or stack them."""
    return [
        draw_svg(panel.name, panel.title, panel.alternative, panel.draw, lines=panel.lines, bare=True)
        for panel in _panels(comparison)
    ]


def draw_svg(
    name: str,
    title: str,
    alternative: str,
    draw: Callable[[Axes], None],
    *,
    lines: int = 1,
    bare: bool = False,
    square: bool = False,
) -> Picture:
    """Draw one panel as an SVG for a page.

    Args:
        name: prefix of its ids.
        title: over it.
        alternative: what it shows, in words.
        draw: draws into the axes.
        lines: lines of text under the axes.
        bare: without ticks on the x axis.
        square: as high as wide, with room for tags on both sides.
    """
    from matplotlib.figure import Figure

    with _style():
        if square:
            figure = Figure(figsize=(5.2, 5.2))
            axes = figure.add_axes((0.17, 0.16, 0.8, 0.76))
        else:
            bottom, height, top = 0.1 + 0.14 * lines + 0.12 * (not bare), 1.9, 0.5
            total = bottom + height + top
            figure = Figure(figsize=(4.2, total))
            axes = figure.add_axes((0.1, bottom / total, 0.88, height / total))
        draw(axes)
        _dress(axes, title, bare=bare, grid=not square)
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    svg = _for_a_page(buffer.getvalue(), name, f"{title}. {alternative}")
    return Picture(name, title, alternative, svg)


def save_png(comparison: Comparison, path: str | PathLike[str], *, dpi: int = 150) -> None:
    """Write the whole picture, all panels, as a PNG on white.

    Args:
        comparison: what to draw.
        path: the file.
        dpi: dots an inch; the picture is 9 inches wide.
    """
    from matplotlib.figure import Figure

    panels = _panels(comparison)
    rows = (len(panels) + 1) // 2
    with _style():
        figure = Figure(figsize=(9.0, 3.4 * rows))
        figure.subplots_adjust(
            left=0.06, right=0.985, top=1 - 0.19 / rows, bottom=0.2 / rows, wspace=0.16, hspace=0.66
        )
        for position, panel in enumerate(panels, start=1):
            axes = figure.add_subplot(rows, 2, position)
            panel.draw(axes)
            _dress(axes, panel.title, bare=True)
        figure.savefig(path, format="png", dpi=dpi, facecolor="white")


def _panels(comparison: Comparison) -> list[_Panel]:
    names = readings(comparison)
    comparison = main_variants(comparison)
    every = [
        100 * value for name in names for variant in comparison.variants for value in variant.values(name)
    ]
    margin = max(0.08 * (max(every) - min(every)), 0.3)
    limits = (min(every) - margin, max(every) + margin)  # shared: the readings are to be compared by eye
    lines = max(len(_lines(variant.name)) for variant in comparison.variants)
    panels = []
    for name in names:
        columns = [
            {run.seed: 100 * run.test_scores[name] for run in variant.runs} for variant in comparison.variants
        ]
        panels.append(
            _Panel(
                name,
                f"Test {NAMES.get(name, name)}",
                _means(comparison, [fmean(column.values()) for column in columns], "{:.1f}"),
                lines,
                _columns(comparison, columns, limits, join=True),
            )
        )
    if comparison.scheme is not None:
        columns = [
            dict(zip((run.seed for run in variant.runs), invalid_rates(variant.runs), strict=True))
            for variant in comparison.variants
        ]
        top = max(1.0, *(1.08 * value for column in columns for value in column.values()))
        panels.append(
            _Panel(
                "invalid",
                "Test sentences with an invalid sequence, %",
                _means(comparison, [fmean(column.values()) for column in columns], "{:.1f}%"),
                lines,
                _columns(comparison, columns, (-0.03 * top, top), join=False),
            )
        )
    differences = [row for row in difference_rows(comparison) if row[0].declared]
    if differences:
        panels.append(_difference_panel(differences))
    return panels


def main_variants(comparison: Comparison) -> Comparison:
    """The comparison without the further variants, which would crowd the picture."""
    further = {variant.name for variant in ALSO}
    chosen = [variant for variant in comparison.variants if variant.name not in further]
    return comparison.model_copy(update={"variants": chosen or comparison.variants})


def _means(comparison: Comparison, means: Sequence[float], form: str) -> str:
    texts = (
        f"{variant.title} {form.format(mean)}"
        for variant, mean in zip(comparison.variants, means, strict=True)
    )
    count = len(comparison.seeds)
    return ("The only seed: " if count == 1 else f"Mean of {count} seeds: ") + "; ".join(texts) + "."


def _columns(
    comparison: Comparison, columns: Sequence[dict[int, float]], limits: tuple[float, float], *, join: bool
) -> Callable[[Axes], None]:
    """A column of dots a variant; ``join`` joins the dots of a seed."""

    def draw(axes: Axes) -> None:
        spots = _spots(comparison.seeds, 0.1)
        for seed in comparison.seeds if join else ():
            points = [(x + spots[seed], column[seed]) for x, column in enumerate(columns) if seed in column]
            axes.plot(
                *zip(*points, strict=True), color=INK, alpha=0.35 if len(spots) < 8 else 0.16, linewidth=0.8
            )
        for x, (variant, column) in enumerate(zip(comparison.variants, columns, strict=True)):
            colour, marker = (CRF, "s") if variant.name.startswith("crf") else (SOFTMAX, "o")
            mean = fmean(column.values())
            axes.plot((x - 0.27, x + 0.27), (mean, mean), color=colour, linewidth=2.4, zorder=3)
            for seed, value in column.items():
                axes.plot(x + spots[seed], value, marker, color=colour, markersize=_size(spots), zorder=4)
            _above(axes, x, f"{mean:.1f}")
            _below(axes, x, _lines(variant.name))
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(*limits)

    return draw


def _difference_panel(differences: list[list[Effect]]) -> _Panel:
    """Two columns of dots a difference: filled for the first reading (repaired), hollow for dropped."""
    single = len(differences[0]) == 1

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=INK, linewidth=0.9)
        for group, items in enumerate(differences):
            for number, item in enumerate(items):
                x = group + (0.0 if single else (-0.2, 0.2)[number])
                spots = _spots(list(item.differences), 0.09)
                width = 0.27 if single else 0.15
                axes.plot(
                    (x - width, x + width), (item.mean, item.mean), color=INK, linewidth=2.0, alpha=0.75
                )
                if item.low is not None and item.high is not None:
                    axes.plot((x, x), (item.low, item.high), color=INK, linewidth=1.0, alpha=0.75)
                for seed, value in item.differences.items():
                    axes.plot(
                        x + spots[seed],
                        value,
                        "o",
                        markersize=_size(spots),
                        color=INK,
                        markerfacecolor=INK if number == 0 else "none",
                        markeredgewidth=1.0,
                    )
                _above(axes, x, signed(item.mean).replace("-", MINUS))
            first, second = _lines(items[0].first), _lines(items[0].second)
            _below(axes, group, [*first, f"{MINUS} {second[0]}", *second[1:]])
        room = 1.0 if len(differences) == 1 else 0.5
        axes.set_xlim(-room, len(differences) - 1 + room)
        axes.margins(y=0.1)

    title = "Difference, points" + ("" if single else " (● repaired, ○ dropped)")
    texts = [
        f"{items[0].first} minus {items[0].second} " + " and ".join(signed(item.mean) for item in items)
        for items in differences
    ]
    under = "" if single else " with ill-formed spans repaired and with them dropped"
    lines = max(len(_lines(items[0].first) + _lines(items[0].second)) for items in differences)
    return _Panel("differences", title, f"Mean points{under}: {'; '.join(texts)}.", lines, draw)


def _dress(axes: Axes, title: str, *, bare: bool, grid: bool = True) -> None:
    axes.set_title(
        title, loc="left", x=-0.11, pad=18 if bare else 8, fontsize=9, fontweight="bold", color=INK
    )
    if bare:
        axes.set_xticks([])
    if grid:
        axes.tick_params(axis="both", length=0, labelcolor=INK)
        axes.locator_params(axis="y", nbins=6)
        axes.grid(axis="y", color=INK, alpha=0.13, linewidth=0.7)
        axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _above(axes: Axes, x: int | float, text: str) -> None:
    place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    axes.annotate(
        text, (x, 1), (0, 4), ha="center", fontweight="bold", color=INK, annotation_clip=False, **place
    )


def _below(axes: Axes, x: int | float, lines: Sequence[str]) -> None:
    # One text a line: matplotlib places the lines of a longer text by the width they have in its own font.
    place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    for number, line in enumerate(lines):
        down = (0, -12 - 10 * number)
        axes.annotate(line, (x, 0), down, ha="center", color=INK, annotation_clip=False, **place)


def _lines(name: str) -> list[str]:
    return ["CRF" if part == "crf" else part for part in name.split("-")]


def _spots(seeds: Sequence[int], reach: float) -> dict[int, float]:
    """A small sideways shift a seed, so that equal dots do not hide each other."""
    last = max(len(seeds) - 1, 1)
    return {
        seed: reach * (2 * number / last - 1) if len(seeds) > 1 else 0.0 for number, seed in enumerate(seeds)
    }


def _size(seeds: Sequence[int] | dict[int, float]) -> float:
    return 5.0 if len(seeds) < 8 else 3.4


@contextmanager
def _style() -> Iterator[None]:
    """Draw in the library's default style, whatever the user has set; text stays text, ids stay the same."""
    import matplotlib

    rc: Any = {
        key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")
    }
    rc |= {"font.size": 8.0, "svg.fonttype": "none", "svg.hashsalt": "chaincrf"}
    with matplotlib.rc_context(rc):
        yield


def _for_a_page(svg: str, name: str, label: str) -> str:
    """Make the file a part of a page: ids of its own, the page's font and colour, a text alternative."""
    body = svg[svg.index("<svg") :]
    body = re.sub(
        r"<style.*?</style>", "", body, count=1, flags=re.DOTALL
    )  # it would hold for the whole page
    body = re.sub(r'\s(?:width|height)="[\d.]+pt"', "", body, count=2)
    body = re.sub(r"font-family: [^;\"]*;?\s?", "", body)
    for colour, substitute in PAGE_COLOURS.items():
        body = body.replace(colour, substitute)
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", body)
    opening = f'<svg role="img" aria-label="{escape(label)}" fill="currentColor" font-family="sans-serif"'
    return body.replace("<svg", opening, 1).strip()
