"""L-BFGS for a smooth convex function, and for one with an L1 penalty: OWL-QN.

Source: Andrew & Gao (2007), "Scalable training of L1-regularized log-linear models"; the step sizes and the
tests for convergence are those of libLBFGS, which CRFsuite uses.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Minimum", "minimise"]

Vector = NDArray[np.float64]


class Minimum(NamedTuple):
    """Where the search ended.

    Attributes:
        x: the point.
        value: the function there, penalty included.
        iterations: steps made.
        reason: ``"gradient"`` (it is small), ``"value"`` (it no longer falls), ``"iterations"`` (as many as
            allowed), or ``"line search"`` (no lower point was found).
    """

    x: Vector
    value: float
    iterations: int
    reason: str


def minimise(
    function: Callable[[Vector], tuple[float, Vector]],
    x: Vector,
    l1: float = 0.0,
    *,
    max_iterations: int | None = None,
    memory: int = 6,
    epsilon: float = 1e-5,
    period: int = 10,
    delta: float = 1e-5,
    max_linesearch: int = 20,
    on_iteration: Callable[[int, float], None] = lambda iteration, value: None,
) -> Minimum:
    """The minimum of ``function(x) + l1 * sum |x|``.

    With ``l1`` a weight that the data do not pay for is exactly 0: within each step no weight changes its
    sign, and the direction is the quasi-Newton one of the smooth part, led by the subgradient of least norm.

    Args:
        function: a convex function and its gradient.
        x: where to begin.
        l1: weight of the penalty, at least 0.
        max_iterations: the most steps; None: until it has converged.
        memory: pairs of steps and changes of the gradient kept.
        epsilon: ends where ``|gradient| < epsilon * max(1, |x|)``.
        period, delta: ends where the value fell by less than ``delta`` of itself in ``period`` steps.
        max_linesearch: the most points tried in a step.
        on_iteration: called after each step with its number and the value.

    Cost: one evaluation a step, as a rule, and ``O(memory * len(x))``.
    """
    smooth, gradient = function(x)
    value = smooth + l1 * float(np.abs(x).sum())
    pairs: deque[tuple[Vector, Vector, float]] = deque(maxlen=memory)
    past: deque[float] = deque([value], maxlen=period + 1)
    iteration = 0
    while max_iterations is None or iteration < max_iterations:
        lead = _pseudo_gradient(x, gradient, l1)
        norm = float(np.linalg.norm(lead))
        if norm <= epsilon * max(1.0, float(np.linalg.norm(x))):
            return Minimum(x, value, iteration, "gradient")
        direction = -_times_inverse_hessian(lead, pairs)
        if l1:
            direction[direction * lead >= 0] = 0  # where it would climb
        step = 1.0 if pairs else 1.0 / norm
        found = _line_search(function, x, value, direction, lead, l1, step, max_linesearch)
        if found is None:
            if not pairs:
                return Minimum(x, value, iteration, "line search")
            pairs.clear()  # once more, straight down
            continue
        new_x, new_value, new_gradient = found
        moved, changed = new_x - x, new_gradient - gradient
        curvature = float(moved @ changed)
        if curvature > 1e-12 * float(changed @ changed):
            pairs.append((moved, changed, curvature))
        x, value, gradient = new_x, new_value, new_gradient
        iteration += 1
        on_iteration(iteration, value)
        past.append(value)
        if len(past) > period and (past[0] - value) < delta * abs(value):
            return Minimum(x, value, iteration, "value")
    return Minimum(x, value, iteration, "iterations")


def _pseudo_gradient(x: Vector, gradient: Vector, l1: float) -> Vector:
    """The subgradient of least norm."""
    if not l1:
        return gradient
    at_zero = np.sign(gradient) * np.maximum(np.abs(gradient) - l1, 0)
    return np.where(x == 0, at_zero, gradient + l1 * np.sign(x))


def _times_inverse_hessian(vector: Vector, pairs: deque[tuple[Vector, Vector, float]]) -> Vector:
    """The two loops of L-BFGS."""
    result, factors = vector.copy(), []
    for moved, changed, curvature in reversed(pairs):
        factors.append(float(moved @ result) / curvature)
        result -= factors[-1] * changed
    if pairs:
        _, changed, curvature = pairs[-1]
        result *= curvature / float(changed @ changed)
    for (moved, changed, curvature), factor in zip(pairs, reversed(factors), strict=True):
        result += (factor - float(changed @ result) / curvature) * moved
    return result


def _line_search(
    function: Callable[[Vector], tuple[float, Vector]],
    x: Vector,
    value: float,
    direction: Vector,
    lead: Vector,
    l1: float,
    step: float,
    most: int,
) -> tuple[Vector, float, Vector] | None:
    """Halve the step until the value falls enough (Armijo); with ``l1`` stay in one orthant."""
    orthant = np.where(x == 0, -np.sign(lead), np.sign(x))
    for _ in range(most):
        there = x + step * direction
        if l1:
            there[there * orthant <= 0] = 0
        smooth, gradient = function(there)
        reached = smooth + l1 * float(np.abs(there).sum())
        if reached <= value + 1e-4 * float(lead @ (there - x)) and np.isfinite(reached):
            return there, reached, gradient
        step *= 0.5
    return None
