import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.data.shapes import SHAPES, word_shape


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ("lower", "house don't über ß 東京 well-known"),
        ("title", "House A Über O'neill Well-known"),
        ("upper", "USA U.S. R&D"),
        ("mixed", "iPhone McDonald O'Neill eBay"),
        ("digits", "7 1,000.5 10-11 ٣"),
        ("alphanumeric", "BRCA1 1st p53 A4"),
        ("marks", ". -- % 😀"),
    ],
)
def test_examples(shape, words):
    assert {SHAPES[word_shape(word)] for word in words.split()} == {shape}


@given(st.text())
def test_every_word_has_a_shape(word):
    assert 0 <= word_shape(word) < len(SHAPES)
