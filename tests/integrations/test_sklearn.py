"""The estimator within scikit-learn itself."""

import numpy as np
import pytest

from corpora import SENTENCES

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score

from chaincrf.errors import ArgumentError
from chaincrf.integrations.sklearn import ChainCRFClassifier

pytestmark = pytest.mark.slow
TOKENS = [[pair.split("/")[0] for pair in line.split()] for (line,) in SENTENCES]
TAGS = [[pair.split("/")[1] for pair in line.split()] for (line,) in SENTENCES]


@pytest.mark.parametrize("algorithm", ["lbfgs", "adam"])
@pytest.mark.parametrize("n_features", [None, 2**12])
def test_fit_predict_score(algorithm, n_features):
    estimator = ChainCRFClassifier(algorithm, n_features=n_features, l2=0.01, max_iterations=50)
    assert estimator.fit(TOKENS, TAGS) is estimator
    assert estimator.predict(TOKENS) == TAGS
    assert estimator.score(TOKENS, TAGS) == 1
    assert estimator.classes_.tolist() == sorted({tag for tags in TAGS for tag in tags})
    assert estimator.n_iter_ <= 50
    probabilities, marginals = estimator.predict_proba(TOKENS), estimator.predict_marginals(TOKENS)
    for rows, dictionaries in zip(probabilities, marginals, strict=True):
        np.testing.assert_allclose(rows.sum(axis=1), 1)
        assert [list(d.values()) for d in dictionaries] == rows.tolist()


def test_features_of_any_kind():
    dictionaries = [[{"w": token, "n": len(token)} for token in tokens] for tokens in TOKENS]
    names = [[[token, "bias"] for token in tokens] for tokens in TOKENS]
    for X in (dictionaries, names):
        assert ChainCRFClassifier(l2=0.01).fit(X, TAGS).score(X, TAGS) == 1
    own = ChainCRFClassifier(features=lambda tokens: [{"w": token} for token in tokens], l2=0.01)
    assert own.fit(TOKENS, TAGS).score(TOKENS, TAGS) == 1
    assert own.model_.features.names == sorted(own.model_.features.names, key=own.model_.features.names.index)
    assert all(name.startswith("w:") for name in own.model_.features.names)


def test_clone_and_parameters():
    estimator = ChainCRFClassifier(l1=0.5, scheme="BIO")
    twin = clone(estimator)
    assert twin.get_params() == estimator.get_params()
    assert twin.set_params(l2=3.0).l2 == 3.0
    assert not [name for name in vars(estimator) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        estimator.predict(TOKENS)
    with pytest.raises(NotFittedError):
        estimator.predict_marginals(TOKENS)


def test_grid_search_and_cross_validation():
    X, y = TOKENS * 4, TAGS * 4
    search = GridSearchCV(ChainCRFClassifier(scheme="BIO"), {"l2": [0.01, 1000.0]}, cv=2).fit(X, y)
    assert search.best_params_ == {"l2": 0.01}
    assert search.best_score_ == pytest.approx(1.0)
    assert cross_val_score(ChainCRFClassifier(l2=0.01), X, y, cv=4).min() > 0.9


def test_score_is_span_f1_with_a_scheme():
    estimator = ChainCRFClassifier(scheme="BIO", l2=0.01).fit(TOKENS, TAGS)
    wrong = [["O"] * len(tags) for tags in TAGS]
    assert estimator.score(TOKENS, wrong) == 0
    assert estimator.set_params(scheme=None).score(TOKENS, wrong) > 0.4


@pytest.mark.parametrize(
    ("parameters", "X", "message"),
    [
        ({"algorithm": "sgd"}, TOKENS, 'algorithm: expected "lbfgs" or "adam"'),
        ({}, ["a text"] * 5, "got a text"),
        ({"n_features": 3}, TOKENS, "power of two"),
    ],
)
def test_errors(parameters, X, message, unchecked):
    with pytest.raises(ArgumentError, match=message):
        ChainCRFClassifier(**parameters).fit(X, TAGS)
