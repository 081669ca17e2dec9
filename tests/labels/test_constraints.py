from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.errors import LabelError
from chaincrf.labels import SCHEMES, constraints_from_tags, ill_formed_moves, scheme_tags
from strategies import TAGS, scheme_names


def keeps_to(constraints, path):
    """Whether a path of tag indices is allowed by the masks; an empty one is."""
    if not path:
        return True
    moves = all(constraints.transitions[i][j] for i, j in pairwise(path))
    return constraints.start[path[0]] and moves and constraints.end[path[-1]]


@given(st.data())
def test_masks_are_what_the_scheme_allows(data):
    scheme = SCHEMES[data.draw(scheme_names)]
    tags = data.draw(st.permutations(TAGS[scheme.name]))
    constraints = constraints_from_tags(tags, scheme)
    for i, tag in enumerate(tags):
        assert constraints.start[i] == scheme.allows(None, tag)
        assert constraints.end[i] == scheme.allows(tag, None)
        for j, following in enumerate(tags):
            assert constraints.transitions[i][j] == scheme.allows(tag, following)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_sequence_keeps_to_the_masks_if_and_only_if_it_is_well_formed(name):
    tags = scheme_tags(["X", "Y"], name)
    constraints = constraints_from_tags(tags, name)
    for length in range(5):
        for path in product(range(len(tags)), repeat=length):
            assert keeps_to(constraints, path) == (not ill_formed_moves([tags[i] for i in path], name))


def test_bioes_by_example():
    constraints = constraints_from_tags(["O", "B-X", "I-X", "E-X", "S-X"], "BIOES")
    assert constraints.start == (True, True, False, False, True)
    assert constraints.end == (True, False, False, True, True)
    assert constraints.transitions[1] == (False, False, True, True, False)
    assert constraints.transitions[3] == (True, True, False, False, True)


def test_no_tags():
    assert constraints_from_tags([], "BIO") == ((), (), ())


def test_tags_must_be_distinct_and_of_the_scheme():
    with pytest.raises(LabelError, match="expected distinct tags"):
        constraints_from_tags(["O", "B-X", "O"], "BIO")
    with pytest.raises(LabelError, match="tag '<pad>'"):
        constraints_from_tags(["O", "<pad>"], "BIO")
