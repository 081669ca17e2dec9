"""Every format in, every format out; broken texts named and counted; outputs whole or not there."""

import gzip
import json

import pytest

from chaincrf import Tagger
from chaincrf.errors import ArgumentError, DataError
from chaincrf.tagging.files import FileTagger, Job
from chaincrf.tagging.output import SUFFIXES, render
from chaincrf.tagging.scale import shard_outputs
from tagging.models import random_bundle

TEXT = "Ann saw Rome. The Roman saw Ann."


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger(random_bundle())


def write_inputs(folder):
    tokens = "Ann\nsaw\nRome\n.\n"
    rows = "".join(f"{i}\t{t}\t_\tX\t_\t_\t_\t_\t_\t_\n" for i, t in enumerate(tokens.split(), start=1))
    content = {
        "a.txt": TEXT + "\n\nAnn.\n",
        "a.conll": f"{tokens}\n{tokens}",
        "a.conllu": f"# sent_id = s1\n{rows}\n",
        "a.jsonl": json.dumps({"id": 7, "text": TEXT}) + "\n" + json.dumps({"tokens": ["Ann", "saw"]}) + "\n",
    }
    for name, text in content.items():
        (folder / name).write_text(text, encoding="utf-8")
    with gzip.open(folder / "b.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(content["a.jsonl"])


@pytest.mark.parametrize("form", [form for form in SUFFIXES if form != "parquet"])
@pytest.mark.parametrize(
    ("name", "texts", "sentences"),
    [("a.txt", 3, 3), ("a.conll", 2, 2), ("a.conllu", 1, 1), ("a.jsonl", 2, 3), ("b.jsonl.gz", 2, 3)],
)
def test_every_format(tagger, tmp_path, form, name, texts, sentences):
    write_inputs(tmp_path)
    place = tmp_path / "out" / f"x{SUFFIXES[form]}"
    read = []
    job = Job(output_format=form)
    counts = FileTagger(tagger, job).tag(tmp_path / name, place, on_bytes=read.append)
    assert (counts.texts, counts.sentences, counts.skipped) == (texts, sentences, 0)
    content = (tmp_path / name).read_bytes()
    assert sum(read) == len(gzip.decompress(content) if name.endswith("gz") else content)
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    lines = place.read_text(encoding="utf-8")
    if form == "jsonl":
        rows = [json.loads(line) for line in lines.splitlines()]
        assert sum(len(row["tokens"]) for row in rows) == counts.tokens
        assert sum(len(row["spans"]) for row in rows) == counts.spans
        assert [row.get("id") for row in rows if "id" in row] == {
            "a.conllu": ["s1"],
            "a.jsonl": ["7"],
            "b.jsonl.gz": ["7"],
        }.get(name, [])
    elif form == "text":
        assert lines.count("\n") == texts
    else:  # what was written is read again, with the same tokens
        again = FileTagger(tagger, Job()).tag(place, tmp_path / "again.jsonl")
        assert (again.sentences, again.tokens) == (counts.sentences, counts.tokens)


def test_json_lines_of_text_are_a_labelled_corpus(tagger, tmp_path):
    from chaincrf.data import read_corpus

    write_inputs(tmp_path)
    FileTagger(tagger, Job(probabilities=False)).tag(tmp_path / "a.txt", tmp_path / "x.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    for row in rows:
        assert "token_probabilities" not in row
        for span in row["spans"]:
            assert row["text"][span["start"] : span["end"]] == span["text"]
    sentences = read_corpus(tmp_path / "x.jsonl", scheme="BIOES").sentences
    assert [s.tags for s in sentences] == [tuple(row["tags"]) for row in rows]


@pytest.mark.slow
def test_parquet(tagger, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(
        pyarrow.table({"text": [TEXT, None, "Ann."], "id": [1, 2, 3]}), tmp_path / "in.parquet"
    )
    files = FileTagger(tagger, Job(output_format="parquet", skip=True))
    counts = files.tag(tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert (counts.texts, counts.skipped) == (2, 1)
    assert "in.parquet: row 2: text: expected text, found 'None'" in str(counts.first_error)
    rows = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["id"] for row in rows] == ["1", "3"]
    expected = [tagger.tag(text) for text in (TEXT, "Ann.")]
    assert [tuple(row["tags"]) for row in rows] == [tagged.tags for tagged in expected]
    assert [len(row["spans"]) for row in rows] == [len(tagged.spans) for tagged in expected]
    assert FileTagger(tagger, Job()).tag(tmp_path / "out.parquet", tmp_path / "again.jsonl").texts == 2
    (tmp_path / "bad.parquet").write_bytes(b"PAR?")
    with pytest.raises(DataError, match=r"bad\.parquet: expected a Parquet file"):
        files.tag(tmp_path / "bad.parquet", tmp_path / "x.parquet")
    parquet.write_table(pyarrow.table({"body": ["a"]}), tmp_path / "body.parquet")
    with pytest.raises(DataError, match="expected a column text or tokens, found body"):
        files.tag(tmp_path / "body.parquet", tmp_path / "x.parquet")
    with pytest.raises(ArgumentError, match="got standard output"):
        files.tag(tmp_path / "in.parquet", None)


@pytest.mark.parametrize(
    ("name", "content", "message", "left"),
    [
        ("a.txt", b"Ann\n\xff\nBob\n", r"a.txt:2:1: expected UTF-8", 2),
        ("a.jsonl", b'{"text": "Ann"}\n{"txt": 1}\n{"text": "a"}\n', r"a.jsonl:2: expected 'text'", 2),
        ("a.conll", b"Ann\tO\n\nBob\n\nEve\tO\n\nAdam\tO\n", r"a.conll:3:2: expected 2 columns", 3),
    ],
)
def test_broken_texts(tagger, tmp_path, name, content, message, left):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        FileTagger(tagger, Job()).tag(tmp_path / name, tmp_path / "x.jsonl")
    assert not list(tmp_path.glob("*x.jsonl*"))  # nothing half written
    counts = FileTagger(tagger, Job(skip=True)).tag(tmp_path / name, tmp_path / "x.jsonl")
    assert (counts.texts, counts.skipped) == (left, 1)
    assert len((tmp_path / "x.jsonl").read_text().splitlines()) == left


def test_what_cannot_be_written(tagger, tmp_path):
    (tmp_path / "a.txt").write_text("Ann")
    with pytest.raises(DataError, match="cannot be written"):
        FileTagger(tagger, Job()).tag(tmp_path / "a.txt", tmp_path / "a.txt" / "b.jsonl")
    with pytest.raises(ArgumentError, match="format: expected one of"):
        FileTagger(tagger, Job(input_format="csv")).tag(tmp_path / "a.txt", tmp_path / "x.jsonl")
    tagged = tagger.tag(["a\tb"])
    with pytest.raises(DataError, match="does not fit into a column"):
        render(tagged, "conll", spans=True)


def test_each_shard_has_a_place_of_its_own(tmp_path):
    places = shard_outputs([tmp_path / "a.jsonl.gz", tmp_path / "b"], tmp_path / "out", "parquet")
    assert [place.name for place in places.values()] == ["a.parquet", "b.parquet"]
    with pytest.raises(ArgumentError, match="both would be written to"):
        shard_outputs([tmp_path / "a.txt", tmp_path / "a.jsonl"], tmp_path, "text")
