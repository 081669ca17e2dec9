"""The minimiser against scipy's, against a closed form, and by the conditions of a minimum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from chaincrf.linear import minimise


def logistic(seed: int):
    """A logistic regression with a little L2."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(60, 12)), rng.integers(0, 2, 60) * 2 - 1

    def function(w):
        margin = y * (X @ w)
        return np.logaddexp(0, -margin).sum() + 0.01 * w @ w, -(X.T @ (y / (1 + np.exp(margin)))) + 0.02 * w

    return function


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10**6))
def test_smooth_as_scipy(seed):
    function = logistic(seed)
    ours = minimise(function, np.zeros(12), epsilon=1e-8, delta=0.0)
    theirs = minimize(
        function, np.zeros(12), jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 1e-15}
    )
    assert ours.value == pytest.approx(theirs.fun, rel=1e-9)
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-4)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 3.0, 10.0, 1000.0]))
def test_with_l1_the_conditions_of_a_minimum_hold(seed, l1):
    function = logistic(seed)
    found = minimise(function, np.zeros(12), l1, epsilon=1e-9, delta=0.0)
    _, gradient = function(found.x)
    zero = found.x == 0
    assert (np.abs(gradient[zero]) <= l1 + 1e-6).all()
    np.testing.assert_allclose(gradient[~zero], -l1 * np.sign(found.x[~zero]), atol=1e-4)
    if l1 == 1000:
        assert zero.all()


def test_with_l1_as_two_bounded_halves():
    """w = u - v with u, v at least 0 turns the penalty into a linear one that scipy can do."""
    function = logistic(3)

    def halves(both):
        value, gradient = function(both[:12] - both[12:])
        return value + 2.0 * both.sum(), np.concatenate([gradient, -gradient]) + 2.0

    theirs = minimize(halves, np.zeros(24), jac=True, method="L-BFGS-B", bounds=[(0, None)] * 24)
    ours = minimise(function, np.zeros(12), 2.0, epsilon=1e-8, delta=0.0)
    assert ours.value <= theirs.fun + 1e-6
    assert 0 < (ours.x == 0).sum() < 12


def test_soft_threshold():
    target = np.array([3.0, -0.5, 0.2, -4.0])
    found = minimise(lambda x: (0.5 * (x - target) @ (x - target), x - target), np.zeros(4), 1.0)
    np.testing.assert_allclose(found.x, [2, 0, 0, -3], atol=1e-5)


def test_how_it_ends():
    function = logistic(1)
    seen = []
    found = minimise(
        function, np.zeros(12), max_iterations=3, on_iteration=lambda i, value: seen.append((i, value))
    )
    assert found.reason == "iterations"
    assert [i for i, _ in seen] == [1, 2, 3]
    assert seen[-1][1] == found.value < seen[0][1]
    assert minimise(function, np.zeros(12), delta=0.5, period=1).reason == "value"
    assert minimise(function, found.x, epsilon=1e9).iterations == 0
    uphill = minimise(lambda x: (float(x @ x), -x - 1), np.zeros(2))  # a gradient that lies
    assert uphill.reason == "line search"
