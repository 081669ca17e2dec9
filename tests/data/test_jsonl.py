"""JSON lines: spans by offset, or tokens with tags."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.data.readers import read_corpus
from chaincrf.errors import DataError
from chaincrf.labels import tags_to_spans

# Words with the white space after them, each inside or outside of a span.
pieces = st.lists(
    st.tuples(
        st.text("abcé中😀", min_size=1, max_size=4),
        st.sampled_from([" ", "  ", "\n", "\u00a0"]),
        st.sampled_from([None, "X", "B-Y"]),
    ),
    min_size=1,
    max_size=8,
)
WRITERS = {
    "list": lambda start, end, label: [start, end, label],
    "object": lambda start, end, label: {"id": 7, "start": start, "end": end, "label": label},
    "offsets": lambda start, end, label: {"label": label, "start_offset": start, "end_offset": end},
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("jsonl") / "file.jsonl"


def write(path, *records):
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records) + "\n")


@given(
    pieces=pieces,
    key=st.sampled_from(["entities", "spans", "labels", "label"]),
    writer=st.sampled_from(list(WRITERS)),
    scheme=st.sampled_from(["auto", "BIO", "IOB1", "BIOES", "BILOU"]),
    ascii_only=st.booleans(),
    loose=st.booleans(),
)
def test_spans_are_read_back(path, pieces, key, writer, scheme, ascii_only, loose):
    text, spans = "", []
    for word, space, label in pieces:
        if label:  # a careless selection takes the white space along
            spans.append((len(text), len(text) + len(word) + len(space) * loose, label))
        text += word + space
    record = {"id": 3, "text": text, key: [WRITERS[writer](*span) for span in reversed(spans)]}
    path.write_text(json.dumps(record, ensure_ascii=ascii_only) + "\n\n", encoding="utf-8")

    corpus = read_corpus(path, scheme=scheme)

    (sentence,) = corpus.sentences
    assert (sentence.text, sentence.id) == (text, "3")
    assert sentence.tokens == tuple(word for word, _, _ in pieces)
    assert corpus.report.scheme == ("BIO" if scheme == "auto" else scheme)
    offsets = sentence.offsets or ()
    found = tags_to_spans(sentence.tags or (), corpus.report.scheme or "")
    assert [(text[offsets[s][0] : offsets[e - 1][1]], label) for s, e, label in found] == [
        (text[start:end].strip(), label) for start, end, label in spans
    ]


@pytest.mark.parametrize(
    ("record", "task"),
    [
        ({"tokens": ["a", "b"], "tags": ["O", "B-X"]}, "ner"),
        ({"tokens": ["a", "b"], "ner_tags": ["O", "B-X"], "pos_tags": ["D", "N"]}, "ner"),
        ({"text": "a b", "tokens": ["a", "b"], "labels": ["O", "B-X"], "id": "z"}, "ner"),
        ({"tokens": ["a", "b"], "ner_tags": ["O", "B-X"], "pos_tags": ["D", "N"]}, "pos"),
    ],
)
def test_tokens_with_tags(path, record, task):
    write(path, record)
    (sentence,) = read_corpus(path, task=task).sentences
    assert sentence.tokens == ("a", "b")
    assert sentence.tags == (("O", "B-X") if task == "ner" else ("D", "N"))
    assert sentence.id == record.get("id")


@pytest.mark.parametrize("tokens", [[{"text": "a-b", "start": 0, "end": 3}], ["a-b"]])
def test_tokens_beside_the_text_without_tags_are_cut_again(path, tokens):
    span = {"start": 0, "end": 1, "label": "X", "token_start": 0}
    write(path, {"text": "a-b", "tokens": tokens, "spans": [span]})
    (sentence,) = read_corpus(path).sentences
    assert (sentence.tokens, sentence.tags) == (("a", "-", "b"), ("B-X", "O", "O"))


def test_untagged(path):
    write(path, {"text": "a b"}, {"tokens": ["c"]}, {"text": ""})
    corpus = read_corpus(path, tagged=False)
    assert [sentence.tokens for sentence in corpus.sentences] == [("a", "b"), ("c",), ()]
    assert {sentence.tags for sentence in corpus.sentences} == {None}


TEXT = "In Paris-based"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ('{"text": "a"', "expected one JSON object a line, found at character 13"),
        ("[1]", r"expected one JSON object a line, found \[1\]"),
        ("[" * 100_000, "expected one JSON object a line"),
        ('{"text": ' + "9" * 5_000 + "}", "expected one JSON object a line"),
        ('{"text": "\\ud800", "spans": []}', "surrogates not allowed"),
        ({}, "expected 'text' with a string or 'tokens' with a list, found no keys"),
        ({"text": 3, "spans": []}, "found the keys 'text', 'spans'"),
        ({"text": TEXT}, "expected one of the keys entities, spans, labels, label, found the keys 'text'"),
        ({"text": TEXT, "spans": None}, "spans: expected a list, found null"),
        ({"text": TEXT, "spans": [[3, 8]]}, r"spans: expected \[start, end, label\] .* found \[3, 8\]"),
        ({"text": TEXT, "spans": [[True, 8, "X"]]}, r"found \[true, 8, .X.\]"),
        ({"text": TEXT, "spans": [[3, 8, ""]]}, "spans: expected"),
        ({"text": TEXT, "spans": [{"start": 3, "label": "X"}]}, "spans: expected"),
        ({"text": TEXT, "spans": [[3, 15, "X"]]}, "expected a span of a text of 14 characters"),
        ({"text": TEXT, "spans": [[-5, 8, "X"]]}, "expected a span of a text"),
        ({"text": TEXT, "spans": [[8, 3, "X"]]}, "expected a span of a text"),
        ({"text": TEXT, "spans": [[2, 3, "X"]]}, "expected a span of a text"),
        (
            {"text": TEXT, "spans": [[4, 8, "X"]]},
            r"whole tokens, found \(4, 8, 'X'\) 'aris' in the tokens \['Paris'\]",
        ),
        (
            {"text": TEXT, "spans": [[3, 8, "X"], [0, 4, "Y"]]},
            r"overlap, found \(0, 4, 'Y'\) 'In P' and \(3, 8, 'X'\)",
        ),
        ({"text": "x" * 1_001, "spans": []}, "at most 1,000 characters"),
        ({"tokens": ["a", 1], "tags": ["O", "O"]}, "tokens: expected strings, found 1"),
        ({"tokens": ["a", " "], "tags": ["O", "O"]}, "which is only white space"),
        ({"tokens": ["a"], "tags": ["O", "O"]}, "tags: expected one for each of 1 tokens, found 2"),
        ({"tokens": ["a"], "ner_tags": [3]}, "ner_tags: expected strings, found 3; numbers need the names"),
        ({"tokens": ["a"], "tags": [["O"]]}, r"tags: expected strings, found \[.O.\]$"),
        ({"tokens": ["a"], "tags": ["Foo"]}, "expected a tag .* found 'Foo'"),
        ({"tokens": ["a"]}, "expected one of the keys tags, ner_tags, labels"),
    ],
)
def test_defects_are_named_or_skipped(path, record, message):
    write(path, {"text": "good", "spans": []}, record)
    with pytest.raises(DataError, match=message) as caught:
        read_corpus(path)
    assert (caught.value.path, caught.value.line) == (str(path), 2)
    corpus = read_corpus(path, on_error="skip")
    assert [sentence.tokens for sentence in corpus.sentences] == [("good",)]
    assert [str(error) for error in corpus.report.skipped] == [str(caught.value)]


def test_touching_spans_that_the_scheme_cannot_write(path):
    write(path, {"text": "a b", "spans": [[0, 1, "X"], [2, 3, "X"]]})
    with pytest.raises(DataError, match=r"label=.X.*: IO cannot") as caught:
        read_corpus(path, scheme="IO")
    assert caught.value.line == 1


def test_parts_of_speech_need_tokens(path):
    write(path, {"text": "a b", "spans": []})
    with pytest.raises(DataError, match="expected 'tokens' and 'tags' for parts of speech"):
        read_corpus(path, task="pos")
