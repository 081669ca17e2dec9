import copy
import pickle
from itertools import product

import iobes
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.errors import LabelError
from chaincrf.labels import SCHEMES, get_scheme, scheme_tags, split_tag


@given(st.sampled_from("BIELSU"), st.text(min_size=1))
def test_split_is_at_the_first_dash(prefix, label):
    assert split_tag(f"{prefix}-{label}") == (prefix, label)


def test_split_of_outside():
    assert split_tag("O") == ("O", "")


@pytest.mark.parametrize("tag", ["", "B", "B-", "-", "-PER", "O-PER", "NOUN", "o"])
def test_split_refuses_what_is_no_tag(tag):
    with pytest.raises(LabelError, match="expected 'O' or PREFIX-LABEL"):
        split_tag(tag)


IOBES_LEGALITY = {
    "BIO": iobes.bio_transitions_legality,
    "IOB1": iobes.iob_transitions_legality,
    "BIOES": iobes.iobes_transitions_legality,
    "BILOU": iobes.bilou_transitions_legality,
}


@pytest.mark.parametrize("name", IOBES_LEGALITY)
def test_moves_are_those_of_iobes(name):
    tags = scheme_tags(["X", "Y"], name)
    legal = {move[:2]: move.valid for move in IOBES_LEGALITY[name](set(tags), "<", ">")}
    for previous, following in product([None, *tags], repeat=2):
        expected = legal["<" if previous is None else previous, ">" if following is None else following]
        assert get_scheme(name).allows(previous, following) == expected


def test_io_allows_every_move():
    for previous, following in product([None, *scheme_tags(["X", "Y"], "IO")], repeat=2):
        assert SCHEMES["IO"].allows(previous, following)


@pytest.mark.parametrize("scheme", SCHEMES.values())
def test_an_empty_sentence_is_allowed(scheme):
    assert scheme.allows(None, None)


@pytest.mark.parametrize("tag", ["E-X", "X", "B-"])
def test_allows_refuses_tags_of_another_scheme(tag):
    for move in ((tag, "O"), ("O", tag), (None, tag), (tag, None)):
        with pytest.raises(LabelError, match=tag):
            SCHEMES["BIO"].allows(*move)


def test_the_message_names_tag_scheme_and_prefixes():
    with pytest.raises(LabelError, match=r"^tag 'E-X': expected 'O' or one of the prefixes B, I of BIO$"):
        SCHEMES["BIO"].split("E-X")


@pytest.mark.parametrize(
    ("alias", "name"),
    [("bio", "BIO"), ("IOB2", "BIO"), ("IOB", "IOB1"), ("iobes", "BIOES"), ("Bioul", "BILOU"), ("io", "IO")],
)
def test_aliases(alias, name):
    assert get_scheme(alias) is SCHEMES[name]
    assert get_scheme(SCHEMES[name]) is SCHEMES[name]


def test_an_unknown_name_lists_the_names():
    with pytest.raises(LabelError, match=r"BIO, IOB1, BIOES, BILOU, IO, .*got 'BEIOS'"):
        get_scheme("BEIOS")


@pytest.mark.parametrize("scheme", SCHEMES.values())
def test_a_scheme_stays_one_object(scheme):
    assert pickle.loads(pickle.dumps(scheme)) is scheme  # noqa: S301 (made here)
    assert copy.deepcopy(scheme) is scheme


def test_scheme_tags_are_in_order():
    assert scheme_tags(["PER", "EU-ORG"], "BIO") == ["O", "B-PER", "I-PER", "B-EU-ORG", "I-EU-ORG"]
    assert scheme_tags(["X"], "IOB1") == ["O", "B-X", "I-X"]
    assert scheme_tags(["X"], "BIOES") == ["O", "B-X", "I-X", "E-X", "S-X"]
    assert scheme_tags(["X"], "BILOU") == ["O", "B-X", "I-X", "L-X", "U-X"]
    assert scheme_tags(["X"], "IO") == ["O", "I-X"]
    assert scheme_tags([], "BIO") == ["O"]


@pytest.mark.parametrize("labels", ["PER", [""], ["X", "X"]])
def test_scheme_tags_refuses_bad_labels(labels):
    with pytest.raises(LabelError, match="labels: expected"):
        scheme_tags(labels, "BIO")
