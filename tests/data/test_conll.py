"""CoNLL columns: what is written in any dialect is read back, and defects are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.data.readers import read_corpus
from chaincrf.data.readers.lines import MAX_TOKEN
from chaincrf.errors import DataError
from chaincrf.labels import ill_formed_moves, repair_tags

# A token may hold no-break spaces, quotes and marks; a separator, a NUL or the end of a line it cannot hold.
characters = st.characters(exclude_characters="\t\n\r\0\ufeff", exclude_categories=["Cs"])
plain = st.text(characters, min_size=1, max_size=6) | st.sampled_from(
    ["#", "#x", "# O", "-DOCSTART", "1", "O", "{", "a\u00a0b", "New York"]
)
tokens = plain.map(lambda text: text.strip(" ")).filter(lambda text: text.strip())
tagged_tokens = st.tuples(tokens, st.sampled_from(["O", "B-X", "I-X", "B-Y-Z", "I-Y-Z"]))
sentences = st.lists(st.lists(tagged_tokens, min_size=1, max_size=5), min_size=1, max_size=5)


def write(sentences, *, tabs, indexed, extra, blank, comments):
    separator = "\t" if tabs else " "
    blocks = []
    for number, sentence in enumerate(sentences):
        rows = ["# text = so # it was", f"# sent_id = s{number}"] if comments else []
        for place, (token, tag) in enumerate(sentence, start=1):
            fields = [token, *["NN"] * extra, tag]
            rows.append(separator.join([str(place), *fields, "-"] if indexed else fields))
        blocks.append("\n".join([*rows, blank]))
    return "\n".join(blocks) + "\n"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("conll") / "file"


@given(
    sentences=sentences,
    tabs=st.booleans(),
    indexed=st.booleans(),
    extra=st.integers(0, 2),
    blank=st.sampled_from(["", "\t", " ", "\n", "-DOCSTART- O\n"]),
    comments=st.booleans(),
    crlf=st.booleans(),
    bom=st.booleans(),
    final=st.booleans(),
)
def test_any_dialect_is_read_back(path, sentences, tabs, indexed, extra, blank, comments, crlf, bom, final):
    if not tabs:  # blanks separate: a token holds none
        sentences = [[(token.replace(" ", "_"), tag) for token, tag in sentence] for sentence in sentences]
    if not indexed:  # a column of numbers looks like an index
        sentences = [
            [(f"x{t}" if t.isdecimal() else t, tag) for t, tag in sentence] for sentence in sentences
        ]
    text = write(sentences, tabs=tabs, indexed=indexed, extra=extra, blank=blank, comments=comments)
    text = text if final else text.rstrip("\n")
    content = ("\ufeff" * bom + text).replace("\n", "\r\n" if crlf else "\n").encode()
    path.write_bytes(content)

    corpus = read_corpus(path, scheme="BIO")

    words = [tuple(token for token, _ in sentence) for sentence in sentences]
    tags = [[tag for _, tag in sentence] for sentence in sentences]
    moves = [len(ill_formed_moves(sequence, "BIO")) for sequence in tags]
    report = corpus.report
    assert [sentence.tokens for sentence in corpus.sentences] == words
    assert [sentence.tags for sentence in corpus.sentences] == [
        tuple(repair_tags(sequence, "BIO")) for sequence in tags
    ]
    assert [sentence.id for sentence in corpus.sentences] == [
        f"s{i}" if comments else None for i in range(len(words))
    ]
    assert (report.repaired_moves, report.repaired_sentences) == (sum(moves), sum(map(bool, moves)))
    assert (report.sentences, report.tokens) == (len(words), sum(map(len, words)))
    assert report.guessed == (
        "format=conll",
        f"token_column={1 + indexed}",
        f"tag_column={2 + indexed + extra}",
    )


CONLL_2003 = """\
-DOCSTART- -X- -X- O

EU NNP I-NP I-ORG
rejects VBZ I-VP O

-DOCSTART- -X- O O

Peter NNP I-NP I-PER
"""
GERMEVAL = """\
#\thttp://example.org/1 [2009-10-17]
1\tBayern\tB-ORG\tB-LOC
2\tMünchen\tI-ORG\tB-LOC

#\thttp://example.org/2 [2009-10-17]
1\tIst\tO\tO
"""
WIKIGOLD = "It O\n# O\n1 O\nin I-MISC\n\n"
TWEETS = "#MH17\tB-ORG\n# hash\tO\n&\tO\n\t\nMH17 \tO\n"


@pytest.mark.parametrize(
    ("text", "words", "tags", "columns"),
    [
        (CONLL_2003, [("EU", "rejects"), ("Peter",)], [("I-ORG", "O"), ("I-PER",)], (1, 4)),
        (GERMEVAL, [("Bayern", "München"), ("Ist",)], [("B-ORG", "I-ORG"), ("O",)], (2, 3)),
        (WIKIGOLD, [("It", "#", "1", "in")], [("O", "O", "O", "I-MISC")], (1, 2)),
        (TWEETS, [("#MH17", "# hash", "&"), ("MH17",)], [("B-ORG", "O", "O"), ("O",)], (1, 2)),
        ("a \t B-X\nb\u00a0c  \t O\n", [("a", "b\u00a0c")], [("B-X", "O")], (1, 2)),
        ("a\tB-X\t\t\nb\tO\t\t\n", [("a", "b")], [("B-X", "O")], (1, 2)),
    ],
    ids=["conll-2003", "germeval", "wikigold", "tweets", "blanks", "empty columns"],
)
def test_known_dialects(path, text, words, tags, columns):
    path.write_text(text, encoding="utf-8")
    corpus = read_corpus(path)
    assert [sentence.tokens for sentence in corpus.sentences] == words
    assert [sentence.tags for sentence in corpus.sentences] == tags
    assert corpus.report.guessed[1:3] == (f"token_column={columns[0]}", f"tag_column={columns[1]}")


def test_parts_of_speech(path):
    path.write_text("The DT B-NP O\ndog NN I-NP O\n")
    corpus = read_corpus(path, task="pos")
    assert corpus.sentences[0].tags == ("DT", "NN")
    assert (corpus.report.scheme, corpus.report.labels) == (None, {"DT": 1, "NN": 1})
    assert read_corpus(path, task="pos", tag_column=3).sentences[0].tags == ("B-NP", "I-NP")


def test_columns_can_be_said(path):
    path.write_text("B-X\ta\tB-Y\nO\tb\tO\n")
    corpus = read_corpus(path, format="conll", token_column=2, tag_column=-3, scheme="BIO")
    assert corpus.sentences[0].tokens == ("a", "b")
    assert corpus.sentences[0].tags == ("B-X", "O")
    assert corpus.report.guessed == ()


def test_tokens_alone(path):
    path.write_text("Paris\n\nNew York\n\nRome\n")
    with pytest.raises(DataError, match="expected 1 columns separated by blanks, as in most lines, found 2"):
        read_corpus(path, tagged=False)
    path.write_text("# a = comment\nNew\nYork\n\n#\n", encoding="utf-8")
    corpus = read_corpus(path, tagged=False)
    assert [(sentence.tokens, sentence.tags) for sentence in corpus.sentences] == [
        (("New", "York"), None),
        (("#",), None),
    ]


GOOD = "a\tO\nb\tB-X\n\nc\tO\nd\tO\n\n"


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        (GOOD + "e\tO\n\tO\n", 8, 1, "expected a token, found an empty field"),
        (GOOD + "\u00a0\tO\n", 7, 1, "which is only white space"),
        (GOOD + "x" * (MAX_TOKEN + 1) + "\tO\n", 7, 1, "at most 1,000 characters, found one of 1,001"),
        (GOOD + "e\n", 7, 2, "expected 2 columns separated by tabs, as in most lines, found 1: 'e'"),
        (GOOD + "#MH17\n", 7, 2, "found 1: '#MH17'"),
        (GOOD + "e\tO\tO\n", 7, 3, "found 3"),
        (GOOD + "e\t\n", 7, 2, "expected a tag, found an empty field"),
        (GOOD + "e\tNN\n", 7, 2, "expected a tag .* found 'NN'"),
        (GOOD + "e\tB-\n", 7, 2, "found 'B-'"),
        (GOOD + "e\tX-Y\n", 7, 2, "found 'X-Y'"),
        (GOOD.replace("\t", " ") + "New York B-X\n", 7, 3, "expected 2 columns separated by blanks"),
    ],
)
def test_defects_are_named_or_skipped(path, text, line, column, message):
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        read_corpus(path)
    assert (caught.value.path, caught.value.line, caught.value.column) == (str(path), line, column)
    corpus = read_corpus(path, on_error="skip")
    assert [sentence.tokens for sentence in corpus.sentences] == [("a", "b"), ("c", "d")]
    assert [str(error) for error in corpus.report.skipped] == [str(caught.value)]


def test_a_tag_of_another_scheme_is_named(path):
    path.write_text(GOOD + "e\tS-X\n")
    with pytest.raises(DataError, match=r"expected a tag of BIO .*, found 'S-X'") as caught:
        read_corpus(path, scheme="BIO")
    assert (caught.value.line, caught.value.column) == (7, 2)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a\nb\n", {}, "the file has no tags. Its first line is 'a'"),
        ("word,tag\na,O\n", {}, "the file has no tags. Its first line is 'word,tag'"),
        ("a DT\nb NN\n", {}, "expected a column of NER tags .* 'a | DT'. Say tag_column, or task='pos'"),
        ("a O\n", {"tag_column": 3}, "tag_column: expected a column of the 2 that there are, got 3"),
        ("a O\n", {"token_column": 0}, "token_column: expected a column of the 2 that there are, got 0"),
        ("a O\n", {"tag_column": 1}, "got column 1 for both"),
    ],
)
def test_columns_that_are_not_there(path, text, options, message):
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_corpus(path, **options)
