"""The learning curve as a picture. matplotlib is imported when it is drawn, and no backend is switched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .record import Epoch

__all__ = ["save_curve"]

_LOSS, _SCORE = "#d55e00", "#0072b2"  # of Okabe and Ito's colours, which colour-blind people tell apart


def save_curve(epochs: Sequence[Epoch], path: Path, metric: str) -> None:
    """Draw loss and development score by epoch, one above the other, as SVG.

    Args:
        epochs: at least one.
        path: the file.
        metric: name of the score.
    """
    from matplotlib.figure import Figure

    numbers = [epoch.number for epoch in epochs]
    scores = [100 * next(iter(epoch.scores.values())) for epoch in epochs]
    figure = Figure(figsize=(6, 5), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True)
    upper.plot(numbers, scores, color=_SCORE, marker=".")
    best = max(range(len(scores)), key=scores.__getitem__)
    upper.annotate(f"{scores[best]:.2f}", (numbers[best], scores[best]), (0, 4), textcoords="offset points")
    upper.margins(y=0.15)
    upper.set_ylabel(f"development {metric}")
    lower.plot(numbers, [epoch.loss for epoch in epochs], color=_LOSS, marker=".")
    lower.set_ylabel("training loss")
    lower.set_xlabel("epoch")
    lower.xaxis.get_major_locator().set_params(integer=True)
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(path, format="svg", metadata=nothing)
