import numpy as np
import pytest

from chaincrf.errors import ArgumentError
from chaincrf.linear import FeatureMap, word_features


def test_values_of_every_kind():
    features = FeatureMap()
    token = {
        "word": "Ann",
        "cap": True,
        "no": False,
        "length": 3,
        "in": ["a", "b"],
        "deep": {"x": "y", "z": 0.5},
    }
    rows = features.matrix([[token, ["a", "bias"]]], fit=True).toarray()
    names = features.names
    assert names == ["word:Ann", "cap", "no", "length", "in:a", "in:b", "deep:x:y", "deep:z", "a", "bias"]
    assert rows[0].tolist() == [1, 1, 0, 3, 1, 1, 1, 0.5, 0, 0]
    assert rows[1].tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]


def test_names_are_those_of_crfsuite():
    pycrfsuite = pytest.importorskip("pycrfsuite")
    token = {
        "word": "Ann",
        "cap": True,
        "length": 3,
        "in": {"a"},
        "deep": {"x": "y", "z": 0.5, "w": {"v": 2}},
    }
    features = FeatureMap()
    rows = features.matrix([[token]], fit=True).toarray()
    (theirs,) = pycrfsuite.ItemSequence([token]).items()
    assert dict(zip(features.names, rows[0].tolist(), strict=True)) == theirs


def test_unknown_names_are_left_out():
    features = FeatureMap()
    features.matrix([[["a"], ["b"]]], fit=True)
    assert features.matrix([[["b", "c"]]]).toarray().tolist() == [[0, 1]]


def test_hashing_adds_what_falls_together():
    features = FeatureMap(2)
    row = features.matrix([[["a", "b", "c", "d", "e"]]]).toarray()
    assert row.shape == (1, 2)
    assert row.sum() == 5
    assert features.names is None


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ({"a": None}, "sentence 2, token 1: feature 'a': expected a text"),
        ({"a": {"b": object()}}, "sentence 2, token 1: feature 'a:b'"),
        ({"a": np.nan}, "sentence 2, token 1: feature 'a': expected a finite number"),
    ],
)
def test_what_is_no_feature(token, message):
    with pytest.raises(ArgumentError, match=message):
        FeatureMap().matrix([[["x"]], [token]], fit=True)


def test_buckets_are_a_power_of_two():
    with pytest.raises(ArgumentError, match="power of two"):
        FeatureMap(3)


def test_word_features_know_neighbours_and_borders():
    first, second = word_features(["Ann", "left2"])
    assert first["lower"] == "ann"
    assert first["+1:lower"] == "left2"
    assert first["-1:border"]
    assert second["-1:title"]
    assert second["digit"]
    assert word_features([]) == []
