import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.compare.predictor import PREDICTORS, entropy, mutual_information, predictors, reading
from chaincrf.data import Sentence


def sentence(text):
    pairs = [pair.split("/") for pair in text.split()]
    return Sentence(tuple(t for t, _ in pairs), tuple(tag for _, tag in pairs))


def test_by_hand():
    data = [
        sentence("New/B-LOC York/I-LOC is/O big/O"),
        sentence("York/B-LOC is/O New/O"),
    ]
    found = predictors(data, "BIO")
    assert list(found) == list(PREDICTORS)
    assert found["ambiguous"] == 4 / 7  # New and York, twice each
    # York after nothing cannot be I; York after New may be B or I; New may be B or O either time
    assert found["strictly_dominated"] == 1 / 4
    assert (found["easy_first"], found["easy_last"], found["long_spans"]) == (0, 0, 0.5)


def test_anchors():
    found = predictors([sentence("the/O Bank/B-ORG of/I-ORG York/E-ORG of/O York/S-ORG")], "BIOES")
    assert (found["easy_first"], found["easy_last"]) == (1, 0)
    # "of" follows tags that are sure of one kind; York may follow either "of"
    assert found["strictly_dominated"] == 0.5


def test_pos_has_what_needs_no_spans():
    found = predictors([sentence("they/PRON can/AUX fish/VERB"), sentence("a/DET can/NOUN")], None)
    assert found["ambiguous"] == 2 / 5
    assert "easy_first" not in found
    assert found["learnable_information"] == found["mutual_information"]
    assert "constraints" in reading(found, None)


def test_information():
    assert entropy([1, 1, 1, 1]) == 2
    assert entropy([5]) == 0
    assert mutual_information({("a", "x"): 5, ("b", "y"): 5}) == pytest.approx(1)
    assert mutual_information({("a", "x"): 1, ("a", "y"): 1, ("b", "x"): 1, ("b", "y"): 1}) == 0


counts = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), st.integers(1, 9), min_size=1
)


@given(counts)
def test_mutual_information_is_the_divergence_from_independence(pairs):
    total = sum(pairs.values())
    first = {a: sum(n for (x, _), n in pairs.items() if x == a) for a, _ in pairs}
    second = {b: sum(n for (_, y), n in pairs.items() if y == b) for _, b in pairs}
    divergence = sum(n / total * math.log2(n * total / (first[a] * second[b])) for (a, b), n in pairs.items())
    assert mutual_information(pairs) == pytest.approx(divergence, abs=1e-9)


def test_the_reading_names_the_nearest_published_corpus():
    like_conll = dict.fromkeys(PREDICTORS, 0.1) | {
        "strictly_dominated": 0.70, "easy_first": 0.6, "easy_last": 0.93,
    }  # fmt: skip
    text = reading(like_conll, "BIOES")
    assert "look most like CoNLL-2003: constraints gave nearly all there" in text
    assert "no measurement" in text
    assert max(map(len, text.splitlines())) <= 100


def test_nothing_labelled_is_no_error():
    assert set(predictors([], "BIO").values()) == {0.0}
