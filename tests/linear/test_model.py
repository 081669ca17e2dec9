"""The feature CRF: its function against the enumeration of paths, its weights against CRFsuite's."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime

from chaincrf.errors import ArgumentError
from chaincrf.linear import LinearCRF, word_features
from corpora import SENTENCES

X = [word_features([pair.split("/")[0] for pair in line.split()]) for (line,) in SENTENCES]
Y = [[pair.split("/")[1] for pair in line.split()] for (line,) in SENTENCES]
SMALL_X = [[["a"], {"b": 2.0}, ["a", "b"]], [["b"]], [["c"], ["a"]]]
SMALL_Y = [["P", "Q", "P"], ["Q"], ["P", "P"]]


def brute_force(model: LinearCRF, tokens, tags) -> float:
    """The negative log-likelihood of one sentence, every path summed."""
    states, moves, start, end = model.weights
    scores = model.features.matrix([tokens]).toarray() @ states

    def score(path):
        inner = sum(moves[i, j] for i, j in itertools.pairwise(path))
        return start[path[0]] + end[path[-1]] + inner + sum(scores[t, k] for t, k in enumerate(path))

    paths = itertools.product(range(len(model.tags)), repeat=len(tokens))
    log_z = np.logaddexp.reduce([score(path) for path in paths])
    return log_z - score([model.tags.index(tag) for tag in tags])


@pytest.mark.parametrize(
    "options", [{}, {"all_moves": False, "borders": False}, {"all_states": True}, {"buckets": 4}]
)
def test_value_and_gradient(options):
    model = LinearCRF(**options)
    objective = model._objective(SMALL_X, SMALL_Y, 0.3)
    vector = np.random.default_rng(0).normal(size=len(objective.layout))
    model.weights = objective.layout.unpack(vector)
    np.testing.assert_array_equal(objective.layout.pack(model.weights), vector)
    value, gradient = objective(vector)
    wanted = (
        sum(brute_force(model, x, y) for x, y in zip(SMALL_X, SMALL_Y, strict=True)) + 0.3 * vector @ vector
    )
    assert value == pytest.approx(wanted, rel=1e-12)
    numeric = approx_fprime(vector, lambda v: objective(v)[0], 1e-6)
    np.testing.assert_allclose(gradient, numeric, atol=1e-4)


def test_learns_and_is_sure_of_it():
    model = LinearCRF(scheme="BIO").fit_lbfgs(X, Y, l2=0.01)
    assert model.predict(X) == Y
    for rows, tags in zip(model.marginals(X), Y, strict=True):
        np.testing.assert_allclose(rows.sum(1), 1, atol=1e-9)
        assert [model.tags[i] for i in rows.argmax(1)] == tags
    assert model.predict([[], X[0]]) == [[], Y[0]]
    assert model.marginals([[]])[0].shape == (0, len(model.tags))


def test_l1_makes_zeros_and_adam_goes_to_the_same_place():
    sparse = LinearCRF().fit_lbfgs(X, Y, l1=0.3, l2=0.01)
    dense = LinearCRF().fit_lbfgs(X, Y, l2=0.01)
    assert (sparse.weights.states != 0).sum() < 0.5 * (dense.weights.states != 0).sum()
    adam = LinearCRF().fit_adam(X, Y, l2=0.01, epochs=80, batch_size=2, learning_rate=0.1)
    objective = adam._objective(X, Y, 0.01)
    assert objective(objective.layout.pack(adam.weights))[0] == pytest.approx(dense.minimum.value, rel=0.1)
    assert LinearCRF().fit_adam(X, Y, l1=0.3, epochs=30).predict(X) == Y


def test_unknown_tags_are_summed_over():
    some = [[tag if i % 2 else None for i, tag in enumerate(tags)] for tags in Y]
    model = LinearCRF(all_states=True).fit_lbfgs(X + X, some + Y, l2=0.01)
    assert model.predict(X) == Y
    only = LinearCRF()
    objective = only._objective(X, [[None] * len(tags) for tags in Y[:-1]] + Y[-1:], 0.0)
    assert objective(np.zeros(len(objective.layout)))[0] == pytest.approx(len(Y[-1]) * np.log(len(only.tags)))


def test_constraints_forbid():
    model = LinearCRF(scheme="BIO").fit_lbfgs(X, Y, l2=0.01)
    noise = [word_features(["York", "Ray", "Ray", "York"])]
    (path,) = model.predict(noise)
    torch.manual_seed(0)
    assert all(
        not after.startswith("I-") or before[2:] == after[2:]
        for before, after in itertools.pairwise(["O", *path])
    )
    with pytest.raises(ArgumentError, match=r"y: sentence 2: the scheme forbids I-PER"):
        LinearCRF(scheme="BIO").fit_lbfgs(X[:2], [Y[0], ["I-PER", *Y[1][1:]]])


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (X, Y[:-1], {}, "tags for each of 5 sentences, got 4"),
        (X[:1], [Y[0][:-1]], {}, "sentence 1: expected a tag for each of 7 tokens, got 6"),
        (X[:1], [[None] * 7], {}, "expected tags, found none"),
        (X, Y, {"l1": -1.0}, "l1: expected a number of at least 0"),
        (X, Y, {"l2": float("nan")}, "l2: expected"),
    ],
)
def test_errors(x, y, options, message):
    with pytest.raises(ArgumentError, match=message):
        LinearCRF().fit_lbfgs(x, y, **options)
