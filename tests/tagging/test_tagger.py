import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaincrf import Sentence, Tagger, train
from chaincrf.errors import ArgumentError
from chaincrf.tagging import Constraint
from corpora import SMALL, piece, toy


@pytest.fixture(scope="module")
def tagger(tmp_path_factory) -> Tagger:
    corpus = toy(tmp_path_factory.mktemp("data"))
    return train(corpus, corpus, SMALL)[0]


TEXT = "  Bob Ray  left Oslo . Ann Ray saw Oslo and Rome.\n\nShe went to New York."


def test_raw_text_keeps_its_places(tagger):
    tagged = tagger.tag(TEXT)
    assert tagged.text == TEXT
    assert [(span.label, span.text) for span in tagged.spans] == [
        ("PER", "Bob Ray"),
        ("LOC", "Oslo"),
        ("PER", "Ann Ray"),
        ("LOC", "Oslo"),
        ("LOC", "Rome"),
        ("LOC", "New York"),
    ]
    assert [len(sentence.tokens) for sentence in tagged.sentences] == [5, 7, 6]
    for span in tagged.spans:
        assert TEXT[span.start : span.end] == span.text
        assert tagged.tokens[span.token_start] == span.text.split()[0]
        assert tagged.offsets[span.token_end - 1][1] == span.end
        assert 0.5 < span.probability <= 1
    for token, (start, end) in zip(tagged.tokens, tagged.offsets, strict=True):
        assert TEXT[start:end] == token
    assert all(0 < p <= 1 for p in tagged.token_probabilities)
    assert len(tagged.token_probabilities) == len(tagged.tags) == 18


def test_plain_values(tagger):
    content = tagger.tag("Bob Ray left").to_json()
    span = content["spans"][0]
    assert list(span) == ["start", "end", "label", "text", "probability", "token_start", "token_end"]
    assert content["sentences"] == [[0, 3]]
    bare = tagger.tag("Bob Ray left", probabilities=False).to_json()
    assert bare == {
        "text": "Bob Ray left",
        "tokens": ["Bob", "Ray", "left"],
        "tags": ["B-PER", "E-PER", "O"],
        "offsets": [[0, 3], [4, 7], [8, 12]],
        "spans": [
            {"start": 0, "end": 7, "label": "PER", "text": "Bob Ray", "token_start": 0, "token_end": 2}
        ],
        "sentences": [[0, 3]],
    }


def test_tokens_and_sentences(tagger):
    tokens = ["She", "went", "to", "New", "York", "."]
    by_tokens, by_sentence = tagger.tag(tokens), tagger.tag(Sentence(tuple(tokens), id="7"))
    assert by_tokens.tags == by_sentence.tags == ("O", "O", "O", "B-LOC", "E-LOC", "O")
    assert by_tokens.spans[0].text == "New York" == by_tokens.text[by_tokens.spans[0].start :][:8]
    assert by_sentence.to_json()["id"] == "7"


def test_nothing_and_one(tagger):
    empty = {"tokens": [], "tags": [], "offsets": [], "spans": [], "sentences": []}
    assert tagger.tag("").to_json() == {"text": "", **empty}
    assert tagger.tag(" \n ").to_json() == {"text": " \n ", **empty}
    assert tagger.tag([]).tags == ()
    assert list(tagger.tag_all([])) == []
    assert len(tagger.tag("Oslo").tags) == 1


@pytest.mark.usefixtures("unchecked")
def test_not_a_text(tagger):
    with pytest.raises(ArgumentError, match="expected a text, a list of tokens or a Sentence, got int"):
        tagger.tag(7)
    with pytest.raises(ArgumentError, match="expected a text, a list of tokens or a Sentence, got list"):
        tagger.tag([7])


@pytest.fixture(scope="module")
def real() -> list[Sentence]:
    return list(piece("ncbi-disease", "test", 30).sentences)


def test_batch_size_and_order_do_not_matter(tagger, real):
    expected = [tagger.tag(sentence) for sentence in real]

    @settings(max_examples=10)
    @given(
        order=st.permutations(range(30)),
        batch_tokens=st.integers(1, 3000),
        ahead=st.integers(1, 3000),
    )
    def check(order, batch_tokens, ahead):
        found = tagger.tag_all([real[i] for i in order], batch_tokens=batch_tokens, ahead=ahead)
        for i, tagged in zip(order, found, strict=True):
            assert tagged.tags == expected[i].tags
            probabilities = [span.probability for span in tagged.spans]
            assert probabilities == pytest.approx([s.probability for s in expected[i].spans], abs=1e-5)
            assert tagged.token_probabilities == pytest.approx(expected[i].token_probabilities, abs=1e-5)

    check()


def test_threads_share_a_tagger(tagger, real):
    texts = [" ".join(sentence.tokens) for sentence in real]
    expected = [tagger.tag(text).tags for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert [tagged.tags for tagged in pool.map(tagger.tag, texts * 2)] == expected * 2


def test_a_text_of_many_sentences_is_its_sentences(tagger):
    parts = ["Ann saw Bob Ray in Rome.", "She went to New York.", "Bob Ray left Oslo."] * 20
    parts = random.Random(0).sample(parts, 60)
    whole = tagger.tag(" ".join(parts))
    assert len(whole.sentences) == 60
    alone = list(tagger.tag_all(parts))
    assert whole.tags == tuple(tag for part in alone for tag in part.tags)
    assert [s.text for s in whole.spans] == [span.text for part in alone for span in part.spans]


def test_own_tokenizer_and_splitter(tagger):
    def words(text):
        return [(0, 3), (4, 7)] if len(text) > 6 else []

    own = Tagger(tagger.bundle, tokenizer=words, splitter=lambda _: [(0, 3), (4, 7)])
    assert [sentence.tokens for sentence in own.tag("Ann Bob").sentences] == [("Ann",), ("Bob",)]
    wrong = Tagger(tagger.bundle, tokenizer=lambda _: [(4, 7), (0, 3)])
    with pytest.raises(ArgumentError, match="ascending"):
        wrong.tag("Ann Bob")


def test_sizes_are_checked(tagger):
    for sizes in ({"batch_tokens": 0}, {"ahead": 0}):
        with pytest.raises(ArgumentError, match="expected at least 1"):
            next(tagger.tag_all(["a"], **sizes))


def test_ahead_of_one_answers_at_once(tagger):
    pulled = []

    def lines():
        for line in ("Ann .", "Bob ."):
            pulled.append(line)
            yield line

    next(tagger.tag_all(lines(), ahead=1))
    assert pulled == ["Ann ."]


def test_a_stream_is_read_piece_by_piece(tagger):
    pulled = []

    def endless():
        while True:
            pulled.append(1)
            yield "Ann saw Oslo ."

    stream = tagger.tag_all(endless(), ahead=4000)
    assert next(stream).tags == next(stream).tags
    assert len(pulled) < 5000


def test_a_threshold_leaves_out_spans(tagger):
    sure = tagger.tag(TEXT)
    least = min(span.probability for span in sure.spans)
    fewer = tagger.tag(TEXT, threshold=least + 1e-4)
    assert fewer.spans == tuple(span for span in sure.spans if span.probability >= least + 1e-4)
    for i, tag in enumerate(fewer.tags):
        assert (tag != "O") == any(span.token_start <= i < span.token_end for span in fewer.spans)
    with pytest.raises(ArgumentError, match="expected a probability, got 2"):
        tagger.tag("Ann", threshold=2.0)
    with pytest.raises(ArgumentError, match="expected together with probabilities=True"):
        tagger.tag("Ann", threshold=0.5, probabilities=False)


def test_constraints_are_kept(tagger):
    text = "Ann saw Oslo. Rome is far."
    tagged = tagger.tag(text, constraints=[Constraint(8, 18, "PER"), Constraint(0, 3, kind="outside")])
    assert [(span.text, span.label) for span in tagged.spans] == [("Oslo. Rome", "PER")]
    assert len(tagged.sentences) == 1
    assert tagged.spans[0].probability == pytest.approx(1)
    found = tagger.tag_all(
        ["Ann saw Rome.", "Oslo."],
        constraints=lambda text: [Constraint(0, len(text), "LOC", "not")],
    )
    assert all(span.label != "LOC" for tagged in found for span in tagged.spans)
    (first, second) = tagger.tag_all(
        ["Ann left", "Ann left"], constraints=[[Constraint(1, 2, "LOC", unit="tokens")], []]
    )
    assert first.tags[1] == "S-LOC"
    assert second.tags == tagger.tag("Ann left").tags
    with pytest.raises(ArgumentError, match="expected those of each text, got 1"):
        list(tagger.tag_all(["a", "b"], constraints=[[]]))


def test_k_best_of_a_text(tagger):
    text = "Ann saw Oslo. Rome is far."
    best = tagger.tag(text)
    paths = tagger.k_best(text, 30)
    assert paths[0].tags == best.tags
    assert [span[:4] for span in paths[0].spans] == [span[:4] for span in best.spans]
    whole = best.sentences[0].probability * best.sentences[1].probability
    assert paths[0].probability == pytest.approx(whole, rel=1e-4)
    assert len({path.tags for path in paths}) == 30
    p = [path.probability for path in paths]
    assert p == sorted(p, reverse=True)
    assert sum(p) <= 1 + 1e-6
    assert tagger.k_best("", 3) == [((), (), 1.0)]
    with pytest.raises(ArgumentError, match="k: expected at least 1"):
        tagger.k_best(text, 0)
