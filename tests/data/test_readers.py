"""Any file: format and scheme are guessed, gold is repaired and counted, and only a DataError comes out."""

import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chaincrf.data.readers import Corpus, read_corpus
from chaincrf.errors import ArgumentError, DataError, LabelError
from chaincrf.labels import check_tags

UD = "1\ta\t_\tDET\tD\t_\t_\t_\t_\t_\n"
PIECES = [
    *(
        "\n",
        "\r\n",
        "\n\n",
        "\t",
        " ",
        "#",
        "# text = x",
        "-DOCSTART- O",
        "\ufeff",
        "\0",
        "\u2028",
        "\x85",
        "\u00a0",
    ),
    *("O", "B-X", "I-X", "S-X", "U-Y", "B-", "-", "1", "1-2", "1.1", "0", "token", "é", "_", "  "),
    *("a\tO\n", "a O\n", "1\ta\tO\t-\n", UD, UD.replace("1", "2-3"), " #" + UD, UD.replace("a", "a  b")),
    *(
        '{"text": "a b", "spans": [[0, 1, "X"]]}\n',
        '{"tokens": ["a"], "tags": ["O"]}\n',
        "{",
        "}",
        "[" * 2_000,
        '"\\ud800"',
    ),
]
structured = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join)
contents = st.binary(max_size=60) | structured.map(lambda text: text.encode("utf-8", "surrogatepass"))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("readers") / "file"


@given(
    content=contents,
    format=st.sampled_from(["auto", "conll", "conllu", "jsonl"]),
    task=st.sampled_from(["ner", "pos"]),
    scheme=st.sampled_from(["auto", "BIO", "BIOES"]),
    tagged=st.booleans(),
    on_error=st.sampled_from(["raise", "skip"]),
)
@example(content=b"\x1f\x8b", format="auto", task="ner", scheme="auto", tagged=True, on_error="skip")
@example(content=b"a E-X\nb L-X\n", format="auto", task="ner", scheme="auto", tagged=True, on_error="skip")
def test_any_bytes_are_a_corpus_or_a_data_error(path, content, format, task, scheme, tagged, on_error):
    path.write_bytes(content)
    try:
        corpus = read_corpus(path, format=format, task=task, scheme=scheme, tagged=tagged, on_error=on_error)
    except DataError as error:
        assert str(error).startswith(f"{path}:")  # noqa: PT017
        return
    assert isinstance(corpus, Corpus)
    report = corpus.report
    assert report.tokens == sum(map(len, corpus.sentences)) > 0
    assert report.sha256 == hashlib.sha256(content).hexdigest()
    assert str(path) in report.describe()
    for sentence in corpus.sentences:
        assert (sentence.tags is not None) == tagged
        if report.scheme:
            check_tags(sentence.tags or (), report.scheme)


@pytest.mark.parametrize(
    ("name", "text", "task", "format"),
    [
        ("a", "a O\n", "ner", "conll"),
        ("a", UD, "pos", "conllu"),
        ("a.conllu", "# text = a\n" + UD, "pos", "conllu"),
        ("a", '\n {"tokens": ["a"], "tags": ["O"]}\n', "ner", "jsonl"),
        ("a", '{"\tB-X\n', "ner", "conll"),
    ],
)
def test_the_format_is_guessed(tmp_path, name, text, task, format):
    (tmp_path / name).write_text(text)
    assert read_corpus(str(tmp_path / name), task=task).report.format == format


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.conllu"])
def test_the_name_decides_whose_error_it_is(tmp_path, name):
    (tmp_path / name).write_text("{\n  'text': 3}\n")
    with pytest.raises(DataError, match="JSON" if "json" in name else "10 columns"):
        read_corpus(tmp_path / name, task="pos")


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("B-X I-X O", "BIO"),
        ("I-X I-X B-X", "IOB1"),
        ("B-X E-X S-Y", "BIOES"),
        ("B-X L-X U-Y", "BILOU"),
        ("O O", "BIO"),
    ],
)
def test_the_scheme_is_guessed_and_said(path, tags, scheme):
    path.write_text("".join(f"a {tag}\n" for tag in tags.split()))
    report = read_corpus(path).report
    assert report.scheme == scheme
    assert report.guessed[-1].startswith(f"scheme={scheme} (")
    assert f"scheme={scheme}" in report.describe()


@pytest.mark.parametrize(
    ("repair", "tags"),
    [
        ("conlleval", ("B-X", "I-X", "O", "B-Y")),
        ("strict", ("O", "O", "O", "B-Y")),
        ("drop", ("O", "O", "O", "B-Y")),
    ],
)
def test_ill_formed_gold_is_repaired_once_and_counted(path, repair, tags):
    path.write_text("a I-X\nb I-X\nc O\nd B-Y\n\ne B-Y\nf I-Y\n")
    corpus = read_corpus(path, scheme="iob2", repair=repair)
    assert [sentence.tags for sentence in corpus.sentences] == [tags, ("B-Y", "I-Y")]
    report = corpus.report
    assert (report.scheme, report.repaired_sentences, report.repaired_moves) == ("BIO", 1, 1)
    assert report.labels == ({"Y": 2, "X": 1} if repair == "conlleval" else {"Y": 2})
    assert f"repaired: 1 move that BIO forbids, in 1 sentence, by the policy {repair}" in report.describe()


def test_the_description_counts(path):
    path.write_text("".join(f"a B-L{i}\nb O\n\n" for i in range(10)) + "c\n\nd X\n")
    text = read_corpus(path, on_error="skip").report.describe()
    first, guessed, skipped = text.split("\n")
    assert first.startswith(f"{path}: 10 sentences, 20 tokens, 10 spans (L0 1, L1 1, ")
    assert first.endswith(" and 2 more labels)")
    assert guessed.startswith("  guessed: format=conll, token_column=1, tag_column=2, scheme=BIO")
    assert skipped.startswith(f"  skipped: 2 malformed sentences; the first: {path}:31:2: expected 2 columns")


def test_the_description_of_parts_of_speech(path):
    path.write_text("a DT\n")
    assert read_corpus(path, task="pos", format="conll").report.describe() == (
        f"{path}: 1 sentence, 1 token, 1 tag\n  guessed: token_column=1, tag_column=2"
    )
    assert read_corpus(path, tagged=False, format="conll", token_column=1).report.describe() == (
        f"{path}: 1 sentence, 1 token"
    )


@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found an empty file"),
        (b"\n\n \n", "found only blank lines"),
        (b'{"text": "", "spans": []}', "none with a token"),
        (b"# a comment\n", "no well-formed one|the file has no tags|none with a token|column of NER tags"),
        (b"\xff\n", "expected UTF-8"),
        (b"a E-X\nb L-X\n", "BILOU.* E, L"),
    ],
)
def test_files_without_a_sentence(path, content, message, on_error):
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_corpus(path, on_error=on_error)


def test_when_every_sentence_is_skipped(path):
    path.write_text("a O\nb\nc\tO\n")
    with pytest.raises(DataError, match=r"no well-formed one; the first defect: .*:2:2: expected 2 columns"):
        read_corpus(path, on_error="skip")


@pytest.mark.parametrize(
    "option",
    [{"format": "xml"}, {"task": "chunk"}, {"tagset": "ptb"}, {"repair": "hope"}, {"on_error": "ignore"}],
)
def test_options_have_values(path, option):
    (name, value), *_ = option.items()
    with pytest.raises(ArgumentError, match=f"{name}: expected one of .*, got '{value}'"):
        read_corpus(path, **option)
    with pytest.raises(LabelError, match="scheme: expected one of"):
        read_corpus(path, scheme="BIOX")
