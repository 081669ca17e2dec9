"""The face of sklearn-crfsuite beside sklearn-crfsuite itself."""

import inspect

import numpy as np
import pytest

from chaincrf.errors import ArgumentError
from chaincrf.linear import word_features
from corpora import piece

pytest.importorskip("sklearn")
theirs = pytest.importorskip("sklearn_crfsuite")

from sklearn.base import clone

from chaincrf.sklearn_crfsuite import CRF

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data():
    sentences = piece("ncbi-disease", "dev", 75).sentences
    X = [word_features(sentence.tokens) for sentence in sentences]
    y = [list(sentence.tags) for sentence in sentences]
    return X[:50], y[:50], X[50:], y[50:]


@pytest.mark.parametrize(
    "options",
    [
        {"c2": 0.1},
        {"c1": 0.2, "c2": 0.05},
        {"c2": 1.0, "all_possible_transitions": True, "min_freq": 2.0},
    ],
)
def test_the_same_model(data, options):
    X, y, X_test, _ = data
    options = options | {"epsilon": 1e-7, "delta": 1e-9, "max_iterations": 1500}
    ours, other = CRF("lbfgs", **options).fit(X, y), theirs.CRF("lbfgs", **options).fit(X, y)
    reached = other.training_log_.last_iteration["loss"]
    assert ours.model_.minimum.value == pytest.approx(reached, rel=1e-5)
    mine, its = ours.transition_features_, other.transition_features_
    for move in mine.keys() | its.keys():
        assert mine.get(move, 0.0) == pytest.approx(its.get(move, 0.0), abs=0.05)
    mine, its = ours.state_features_, other.state_features_
    assert max(abs(mine.get(key, 0.0) - its.get(key, 0.0)) for key in mine.keys() | its.keys()) < 0.1
    for a, b in zip(ours.predict_marginals(X_test), other.predict_marginals(X_test), strict=True):
        for one, two in zip(a, b, strict=True):
            assert one == pytest.approx(two, abs=0.03)
    same = [a == b for a, b in zip(ours.predict(X_test), other.predict(X_test), strict=True)]
    assert np.mean(same) > 0.95
    if options.get("c1"):
        assert ours.num_attributes_ == pytest.approx(other.num_attributes_, rel=0.15)
    assert set(ours.classes_) == set(other.classes_)


def test_the_same_face(data, capsys):
    X, y, X_test, y_test = data
    names = inspect.signature(CRF).parameters
    assert list(names)[:13] == list(inspect.signature(theirs.CRF).parameters)[:13]
    crf = clone(CRF(c2=0.5, max_iterations=5, verbose=True)).fit(X, y)
    assert capsys.readouterr().out.count("iteration") == 5
    assert crf.predict_single(X_test[0]) == crf.predict(X_test[:1])[0]
    assert crf.predict_marginals_single(X_test[0]) == crf.predict_marginals(X_test[:1])[0]
    assert 0 < crf.score(X_test, y_test) <= 1
    assert set(crf.attributes_) == {name for name, _ in crf.state_features_}
    with pytest.raises(ArgumentError, match='algorithm: expected "lbfgs"'):
        CRF("ap").fit(X, y)
