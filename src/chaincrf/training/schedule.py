"""The learning rate over time, as a function of what is done: there is no state to save."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .recipe import Recipe

__all__ = ["rate"]


def rate(recipe: Recipe, done: int, steps: int, scores: Sequence[float] = ()) -> float:
    """The learning rate of the next step, as a share of the recipe's.

    Args:
        recipe: its ``schedule``, and a linear warm-up before any.
        done: steps done.
        steps: steps of an epoch.
        scores: the development scores of the epochs done, for the plateau.
    """
    warm = recipe.warmup * steps
    share = min(1.0, (done + 1) / warm) if warm else 1.0
    if recipe.schedule == "inverse-time":
        return share / (1 + recipe.decay * (done // steps))
    if recipe.schedule == "cosine":
        progress = max(0.0, done - warm) / (recipe.epochs * steps - warm)
        return share * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    if recipe.schedule == "plateau":
        return share * 0.5 ** _plateaus(scores, recipe.plateau_patience)
    return share


def _plateaus(scores: Sequence[float], patience: int) -> int:
    """How often so many epochs in a row brought no better score."""
    best, waited, found = -1.0, 0, 0
    for score in scores:
        waited = 0 if score > best else waited + 1
        best = max(best, score)
        if waited == patience:
            found, waited = found + 1, 0
    return found
