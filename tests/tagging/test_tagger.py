import random

import pytest

from chaincrf import Sentence, Tagger, train
from chaincrf.errors import ArgumentError
from corpora import SMALL, piece, toy


@pytest.fixture(scope="module")
def tagger(tmp_path_factory) -> Tagger:
    corpus = toy(tmp_path_factory.mktemp("data"))
    return train(corpus, corpus, SMALL)[0]


def test_raw_text_keeps_its_places(tagger):
    text = "  Bob Ray  left Oslo ."
    tagged = tagger.tag(text)
    assert [(span.label, span.text) for span in tagged.spans] == [("PER", "Bob Ray"), ("LOC", "Oslo")]
    for span in tagged.spans:
        assert text[span.start_char : span.end_char] == span.text
    assert tagged.to_json()["spans"][0] == {
        "label": "PER",
        "start": 0,
        "end": 2,
        "text": "Bob Ray",
        "start_char": 2,
        "end_char": 9,
    }


def test_tokens_and_sentences(tagger):
    tokens = ["She", "went", "to", "New", "York", "."]
    by_tokens, by_sentence = tagger.tag(tokens), tagger.tag(Sentence(tuple(tokens), id="7"))
    assert by_tokens.tags == by_sentence.tags == ("O", "O", "O", "B-LOC", "E-LOC", "O")
    assert by_tokens.spans[0].text == "New York"
    assert by_tokens.spans[0].start_char is None
    assert by_sentence.to_json()["id"] == "7"


def test_nothing_and_one(tagger):
    assert tagger.tag("").to_json() == {"text": "", "tokens": [], "offsets": [], "tags": [], "spans": []}
    assert tagger.tag([]).tags == ()
    assert list(tagger.tag_all([])) == []
    assert len(tagger.tag("Oslo").tags) == 1


@pytest.mark.usefixtures("unchecked")
def test_not_a_text(tagger):
    with pytest.raises(ArgumentError, match="expected a text, a list of tokens or a Sentence, got int"):
        tagger.tag(7)


def test_batch_size_and_order_do_not_matter(tagger):
    sentences = list(piece("ncbi-disease", "test", 60).sentences)
    expected = [tagger.tag(sentence).tags for sentence in sentences]
    assert [t.tags for t in tagger.tag_all(sentences, batch_size=7)] == expected
    order = random.Random(0).sample(range(60), 60)
    shuffled = [t.tags for t in tagger.tag_all([sentences[i] for i in order], batch_size=64)]
    assert shuffled == [expected[i] for i in order]


def test_sizes_are_checked(tagger):
    for sizes in ({"batch_size": 0}, {"chunk": 0}):
        with pytest.raises(ArgumentError, match="expected at least 1"):
            next(tagger.tag_all(["a"], **sizes))


def test_a_chunk_of_one_answers_at_once(tagger):
    pulled = []

    def lines():
        for line in ("Ann .", "Bob ."):
            pulled.append(line)
            yield line

    next(tagger.tag_all(lines(), chunk=1))
    assert pulled == ["Ann ."]


def test_a_stream_is_read_piece_by_piece(tagger):
    pulled = []

    def endless():
        while True:
            pulled.append(1)
            yield "Ann saw Oslo ."

    stream = tagger.tag_all(endless())
    assert next(stream).tags == next(stream).tags
    assert len(pulled) < 5000
