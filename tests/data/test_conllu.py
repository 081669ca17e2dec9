"""CoNLL-U: the syntactic words with their parts of speech."""

import conllu
import pytest

from chaincrf.data.corpora import get_corpus
from chaincrf.data.readers import read_corpus
from chaincrf.errors import DataError


def line(number, form, upos="X", xpos="x", misc="_"):
    return "\t".join([number, form, "_", upos, xpos, "_", "_", "_", "_", misc])


SENTENCE = "\n".join(
    [
        "# sent_id = fr-1",
        "# text = Vais au 10 000",
        line("1", "Vais", "VERB", "V"),
        line("2-3", "au", "_", "_", "SpaceAfter=No"),
        line("2", "à", "ADP", "P"),
        line("3", "le", "DET", "D"),
        line("3.1", "vu", "VERB", "V"),
        line("4", "10  000", "NUM", "_"),
    ]
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.txt"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_words_carry_the_tags(path, end):
    path.write_bytes((SENTENCE + "\n\n# only a comment\n\n" + line("1", "Oui")).replace("\n", end).encode())
    corpus = read_corpus(path, task="pos")
    first, second = corpus.sentences
    assert first.tokens == ("Vais", "à", "le", "10 000")
    assert first.tags == ("VERB", "ADP", "DET", "NUM")
    assert (first.id, second.id) == ("fr-1", None)
    assert corpus.report.guessed == ("format=conllu",)
    assert corpus.report.labels == {"VERB": 1, "ADP": 1, "DET": 1, "NUM": 1, "X": 1}


def test_the_other_tagset(path):
    path.write_text(SENTENCE.replace("NUM\t_", "NUM\tN"), encoding="utf-8")
    assert read_corpus(path, task="pos", tagset="xpos").sentences[0].tags == ("V", "P", "D", "N")


def test_tokens_alone(path):
    path.write_text(SENTENCE, encoding="utf-8")
    (sentence,) = read_corpus(path, tagged=False).sentences
    assert (sentence.tokens, sentence.tags) == (("Vais", "à", "le", "10 000"), None)


@pytest.mark.parametrize(
    ("text", "number", "column", "message"),
    [
        (line("2", "b").removesuffix("\t_"), 11, 10, "expected 10 columns separated by tabs, found 9"),
        (line("2", "b", ""), 11, 4, r"expected UPOS \(_ for none\), found an empty field"),
        (line("2", "b", "_"), 11, 4, r"expected a tag \(UPOS\), found '_'"),
        (line("2", "x" * 1_001), 11, 2, "at most 1,000 characters"),
        (line("x", "b"), 11, 1, "expected a word's number, found 'x'"),
        (line("3-2", "b"), 11, 1, "'3-2' is not a valid ID"),
        (line("9" * 5_000, "b"), 11, 1, "expected a line of CoNLL-U"),
    ],
)
def test_defects_are_named_or_skipped(path, text, number, column, message):
    path.write_text("\n".join([SENTENCE, "", line("1", "a"), text, ""]), encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        read_corpus(path, format="conllu", task="pos")
    assert (caught.value.path, caught.value.line, caught.value.column) == (str(path), number, column)
    corpus = read_corpus(path, format="conllu", task="pos", on_error="skip")
    assert len(corpus.sentences) == len(corpus.report.skipped) == 1


def test_entities_are_not_in_it(path):
    path.write_text(SENTENCE, encoding="utf-8")
    with pytest.raises(DataError, match=r"CoNLL-U holds parts of speech. Say task='pos'"):
        read_corpus(path)


def test_agrees_with_the_library():
    path = get_corpus("ewt-pos").splits["dev"]
    expected = [
        [(word["form"], word["upos"]) for word in sentence if isinstance(word["id"], int)]
        for sentence in conllu.parse(path.read_text(encoding="utf-8"))
    ]
    found = [list(zip(s.tokens, s.tags or (), strict=True)) for s in read_corpus(path, task="pos").sentences]
    assert found == expected
