"""Tokens are places in the text, and nothing but white space is lost."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import BertPreTokenizer

from chaincrf.data.corpora import get_corpus
from chaincrf.data.readers import read_corpus
from chaincrf.data.tokenizer import sentence_from_text, tokenize
from chaincrf.errors import ArgumentError

# Separators of every kind are rare in st.text() alone.
SEPARATORS = " \t\n\r\x0b\x1c\x85\u00a0\u2028\u3000\u200b.,-'\0😀"
texts = st.lists(st.text(max_size=6) | st.sampled_from(SEPARATORS)).map("".join)


@given(texts)
def test_only_white_space_is_lost(text):
    places = tokenize(text)
    borders = [0, *(border for place in places for border in place), len(text)]
    assert borders == sorted(borders)
    assert all(text[start:end].strip() for start, end in places)
    lost = "".join(text[borders[i] : borders[i + 1]] for i in range(0, len(borders), 2))
    assert not lost.strip()


@given(texts)
def test_a_sentence_keeps_text_and_places(text):
    sentence = sentence_from_text(text)
    assert sentence.text == text
    assert sentence.offsets == tuple(tokenize(text))
    assert sentence.tokens == tuple(text[start:end] for start, end in tokenize(text))


@given(texts)
def test_cuts_as_the_pre_tokenizer_does(text):
    pieces = BertPreTokenizer().pre_tokenize_str(text)
    assert tokenize(text) == [place for piece, place in pieces if piece.strip()]


def test_every_character_is_cut_as_by_the_pre_tokenizer():
    for code in (*range(0x3100), *range(0xFE00, 0xFFFF), 0x1F600):
        text = f"a{chr(code)}b {chr(code)}"
        pieces = BertPreTokenizer().pre_tokenize_str(text)
        assert tokenize(text) == [place for piece, place in pieces if piece.strip()]


@given(st.lists(st.text("abcXYZ019é中", min_size=1), min_size=1))
def test_words_between_spaces_stay_whole(words):
    assert sentence_from_text(" ".join(words)).tokens == tuple(words)


def test_marks_stand_alone():
    assert sentence_from_text("It's 3.5mg/day (“naïve”)!").tokens == (
        *("It", "'", "s", "3", ".", "5mg", "/", "day"),
        *("(", "“", "naïve", "”", ")", "!"),
    )


def test_half_a_surrogate_pair_is_no_text():
    with pytest.raises(ArgumentError, match="surrogate pair at character 1"):
        tokenize("a\ud800")


def test_agrees_with_a_biomedical_corpus():
    corpus = read_corpus(get_corpus("ncbi-disease").splits["dev"])
    for sentence in corpus.sentences:
        text = re.sub(r" (?=[.,;:)/-])|(?<=[(/-]) ", "", " ".join(sentence.tokens))
        assert sentence_from_text(text).tokens == sentence.tokens
