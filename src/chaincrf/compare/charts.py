"""Further charts of a report: cost against gain, reliability, and the learned scores of moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from .plots import CRF, INK, SOFTMAX, Picture, draw_svg, main_variants
from .results import Comparison, VariantResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["charts", "heat_map"]

_MOST_TAGS = 26  # in the heat map; of more, the first ones
_STYLES = ("-", "--", "-.", ":")
_MARKERS = "osD^vPX*"


def charts(comparison: Comparison) -> list[Picture]:
    """Cost against gain, and the reliability curve, as far as they were measured."""
    found = []
    timed = [variant for variant in comparison.variants if variant.timed]
    if len(timed) > 1:
        text = "; ".join(f"{v.title} {_seconds(v):.1f} s, {_score(comparison, v):.1f}" for v in timed)
        found.append(
            draw_svg(
                "cost", "Test score against training seconds", f"{text}.", _cost(comparison, timed), lines=2
            )
        )
    main = main_variants(comparison).variants
    calibrated = [v for v in main if all(run.calibration for run in v.runs)]
    if calibrated:
        text = "; ".join(
            f"{v.title} {100 * fmean(r.calibration.error for r in v.runs if r.calibration):.1f}"
            for v in calibrated
        )
        title = "Share of right predictions by confidence"
        found.append(
            draw_svg(
                "reliability",
                title,
                f"Expected calibration error, points: {text}.",
                _reliability(calibrated),
                lines=2,
            )
        )
    return found


def _seconds(variant: VariantResult) -> float:
    return fmean(run.train_seconds for run in variant.timed)


def _score(comparison: Comparison, variant: VariantResult) -> float:
    return 100 * variant.mean(comparison.repairs[0])


def _colour(variant: VariantResult) -> str:
    return CRF if "crf" in variant.name else SOFTMAX


def _cost(comparison: Comparison, variants: Sequence[VariantResult]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        for number, variant in enumerate(variants):
            x, y = _seconds(variant), _score(comparison, variant)
            marker = _MARKERS[number % 8]
            axes.plot(x, y, marker, color=_colour(variant), markersize=6, label=variant.name)
        low, high = axes.get_xlim()
        axes.set_xlim(0, high + 0.8 * (high - min(low, 0)))  # the legend's room
        axes.margins(y=0.2)
        axes.set_xlabel("seconds of training", color=INK)
        axes.legend(frameon=False, fontsize=7, labelcolor=INK, loc="center right")

    return draw


def _reliability(variants: Sequence[VariantResult]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        axes.plot((0, 1), (0, 1), color=INK, linewidth=0.8, alpha=0.5)
        for number, variant in enumerate(variants):
            cells: dict[int, list[float]] = {}
            for run in variant.runs:
                for bin in run.calibration.bins if run.calibration else ():
                    cell = cells.setdefault(min(int(10 * bin.confidence), 9), [0.0, 0.0, 0.0])
                    cell[0] += bin.count
                    cell[1] += bin.count * bin.confidence
                    cell[2] += bin.count * bin.accuracy
            points = [(c / n, a / n) for _, (n, c, a) in sorted(cells.items())]
            axes.plot(
                *zip(*points, strict=True),
                linestyle=_STYLES[number % 4],
                marker=_MARKERS[number % 8],
                markersize=3.5,
                linewidth=1.1,
                color=_colour(variant),
                label=variant.name,
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("confidence", color=INK)
        axes.legend(frameon=False, fontsize=7, labelcolor=INK, loc="upper left")

    return draw


def heat_map(comparison: Comparison) -> Picture | None:
    """The learned scores of moves, forbidden ones crossed out; None if none were learned."""
    table = comparison.transitions
    if table is None:
        return None
    shown = comparison.tags[:_MOST_TAGS]
    K = len(shown)
    known = [x for row in table.scores[:K] for x in row[:K] if x is not None]
    most = max(map(abs, known), default=1.0) or 1.0

    def draw(axes: Axes) -> None:
        import numpy as np
        from matplotlib.colors import LinearSegmentedColormap

        # from orange over nothing to blue: the two ends differ for every eye, and in grey by the sign drawn
        colours = LinearSegmentedColormap.from_list("moves", [SOFTMAX, "#ffffff", CRF])
        values = np.array([[np.nan if x is None else x for x in row[:K]] for row in table.scores[:K]])
        edges = np.arange(K + 1) - 0.5  # vectors, not an image
        axes.pcolormesh(edges, edges, np.ma.masked_invalid(values), cmap=colours, vmin=-most, vmax=most)
        axes.set_aspect("equal")
        axes.invert_yaxis()
        size = 7.5 if K <= 9 else 5.5 if K <= 17 else 3.6
        for i in range(K):
            for j in range(K):
                value = table.scores[i][j]
                if not table.allowed[i][j]:
                    axes.text(j, i, "×", ha="center", va="center", color=INK, fontsize=size + 2)
                elif value is not None and K <= 17:
                    axes.text(
                        j,
                        i,
                        f"{value:.1f}".replace("-0.0", "0.0"),
                        ha="center",
                        va="center",
                        fontsize=size,
                        color="#000000",
                    )
        axes.set_xticks(range(K), shown, rotation=90, fontsize=size, color=INK)
        axes.set_yticks(range(K), shown, fontsize=size, color=INK)
        axes.tick_params(length=0)
        axes.set_xlabel("… is followed by this tag", color=INK)
        axes.set_ylabel("this tag …", color=INK)

    title = f"Learned scores of moves, {comparison.variant(table.variant).title}"
    alternative = f"Rows: a tag; columns: the next one, {K} tags. × marks a move that the scheme forbids."
    if len(comparison.tags) > K:
        alternative += f" The first {K} of {len(comparison.tags)} tags."
    return draw_svg("transitions", title, alternative, draw, square=True)
