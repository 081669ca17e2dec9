import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.data.splitter import split_sentences
from chaincrf.data.tokenizer import tokenize


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize(
    "parts",
    [
        ["Barack Obama visited Paris.", "He left!", "Did he?", "Yes."],
        ["Dr. J. Smith of the U.S. Army came, e.g. by car.", "He left."],
        ["As in Fig. 3 and ref. 5, vs. No. 7 of Jan. 5.", "So it is."],
        ['She said "Come."', "(He did not.)", "“Never!”", "Then she went."],
        ["It costs 3.50 in all.", "3 of them do."],
        ["Wait ... what is this?", "Well… a sentence."],
        ["So am I.", "He said no.", "You too."],
        ["你好。", "再见！", "好。"],
    ],
)
def test_sentences(parts):
    assert sentences(" ".join(parts)) == parts


def test_lines():
    assert sentences("A title\n\nA text that\ngoes on. And on\n \n\nEnd") == [
        "A title",
        "A text that\ngoes on.",
        "And on",
        "End",
    ]
    assert sentences(" \n ") == sentences("") == []


@given(st.text(st.sampled_from("aA .!?。\n\"')5…"), max_size=60) | st.text())
def test_nothing_is_lost_and_no_token_is_cut(text):
    places = split_sentences(text)
    assert places == sorted(places)
    last = 0
    for start, end in places:
        assert not text[last:start].strip()
        assert text[start:end] == text[start:end].strip() != ""
        last = end
    assert not text[last:].strip()


@given(st.text(st.sampled_from("aA .!?\n\"')5"), max_size=60))
def test_the_tokens_are_those_of_the_sentences(text):
    by_sentence = [
        (start + a, start + b) for start, end in split_sentences(text) for a, b in tokenize(text[start:end])
    ]
    assert by_sentence == tokenize(text)


@pytest.mark.parametrize("piece", [".", ".)", "\n", " ", ". ", "。", ". (", "a.", '"', "\n "])
def test_linear(piece):
    start = time.perf_counter()
    split_sentences(piece * 50_000 + "x")
    assert time.perf_counter() - start < 10
