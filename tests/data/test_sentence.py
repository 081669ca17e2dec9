"""A sentence is validated once, when it is made."""

import pickle

import pytest

from chaincrf.data.sentence import Sentence
from chaincrf.errors import ArgumentError


def test_holds_what_it_was_given():
    sentence = Sentence(("a", "bc"), ("O", "B-X"), "a bc", ((0, 1), (2, 4)), "s1")
    assert (sentence.tokens, sentence.tags) == (("a", "bc"), ("O", "B-X"))
    assert (sentence.text, sentence.offsets, sentence.id) == ("a bc", ((0, 1), (2, 4)), "s1")
    assert len(sentence) == 2
    assert pickle.loads(pickle.dumps(sentence)) == sentence  # noqa: S301


def test_may_be_empty():
    assert len(Sentence(())) == 0
    assert Sentence((), (), "", ()).tags == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tokens": ("a", "")}, "token 2 is '', which is empty"),
        ({"tokens": ("\u00a0", "b")}, "token 1"),
        ({"tokens": ("a", "b"), "tags": ("O",)}, "tags: expected one for each of the 2 tokens, found 1"),
        ({"tokens": ("a", "b"), "tags": ("O", "")}, "token 2 has an empty one"),
        ({"tokens": ("a",), "offsets": ((0, 1),)}, "text is None"),
        ({"tokens": ("a",), "text": "a", "offsets": ()}, "offsets: expected one for each of the 1 tokens"),
        ({"tokens": ("a",), "text": "ba", "offsets": ((0, 1),)}, r"\(0, 1\) holds 'b'"),
        ({"tokens": ("a", "a"), "text": "a", "offsets": ((0, 1), (0, 1))}, "after a token that ends at 1"),
        ({"tokens": ("b",), "text": "ab", "offsets": ((-1, 2),)}, "expected ascending places"),
    ],
)
def test_refuses_what_does_not_fit(fields, message):
    with pytest.raises(ArgumentError, match=message):
        Sentence(**fields)
