"""A trained model as users go on with it: calibrated, looked into, tagging any format, exported."""

import json

import pytest

from chaincrf.tagging import Tagger
from chaincrf.training import train
from corpora import SMALL, toy, toy_file

from .commands import run, run_process

TEXTS = ["She went to New York.", "Bob Ray left Oslo."]
SPANS = [["New York"], ["Bob Ray", "Oslo"]]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    corpus = toy(folder)
    train(corpus, corpus, SMALL)[0].save(folder / "model")
    return folder / "model"


def spans(path):
    return [[span["text"] for span in json.loads(line)["spans"]] for line in path.read_text().splitlines()]


def contents():
    tokens = [text.replace(".", " .").split() for text in TEXTS]
    rows = [[f"{i}\t{t}" + "\t_" * 8 for i, t in enumerate(own, start=1)] for own in tokens]
    return {
        "a.txt": "\n".join(TEXTS) + "\n",
        "a.conll": "".join("\n".join(own) + "\n\n" for own in tokens),
        "a.conllu": "".join("\n".join(own) + "\n\n" for own in rows),
        "a.jsonl": "".join(json.dumps({"text": text}) + "\n" for text in TEXTS),
    }


@pytest.mark.parametrize("name", contents())
def test_every_format_from_a_file_and_from_standard_input(model, tmp_path, name):
    content = contents()[name]
    (tmp_path / name).write_text(content)
    run("tag", model, tmp_path / name, "--output", tmp_path / "x.jsonl")
    assert spans(tmp_path / "x.jsonl") == SPANS
    form = {"txt": "text"}.get(name[2:], name[2:])
    out, _ = run("tag", model, "--input-format", form, "--output-format", form, stdin=content)
    assert "New" in out
    assert "York" in out


def test_the_number_of_threads_does_not_matter(model, tmp_path):
    texts = tmp_path / "a.txt"
    texts.write_text("\n".join(TEXTS * 200) + "\n")
    for threads in (1, 2):
        run("tag", model, texts, "--output", tmp_path / f"{threads}.jsonl", "--threads", threads)
    assert spans(tmp_path / "2.jsonl") == spans(tmp_path / "1.jsonl") == SPANS * 200


def test_broken_lines_and_folders_that_go_on(model, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "Bob Ray left Oslo."}\n{"txt": 1}\n')
    command = ("tag", model, tmp_path / "a.jsonl", "--output", tmp_path / "out", "--output-format", "jsonl")
    assert "a.jsonl:2: expected 'text'" in run(*command, status=1)[1]
    assert not list((tmp_path / "out").glob("*.jsonl"))
    assert "skipped: 1 malformed; the first:" in run(*command, "--on-error", "skip")[1]
    assert spans(tmp_path / "out" / "a.jsonl") == [["Bob Ray", "Oslo"]]
    assert "1 of 1 files were tagged before and are left out" in run(*command)[1]


def test_calibrated_and_looked_into(model, tmp_path):
    dev = toy_file(tmp_path / "dev.tsv")
    for more in ((), ("--isotonic",)):
        out, _ = run("calibrate", model, "--dev", dev, "--out", tmp_path / "calibrated", *more)
        assert "expected calibration error:" in out
        assert "precision>=0.95: probability" in out
    out, _ = run("tag", tmp_path / "calibrated", "--threshold", "precision>=0.95", "--json", stdin=TEXTS[1])
    assert [span["text"] for span in json.loads(out)["spans"]] == SPANS[1]
    assert "needs a calibrated model" in run("tag", model, "--threshold", "precision>=0.95", status=1)[1]
    assert "isotonic" in run("inspect", tmp_path / "calibrated")[0]
    content = json.loads(run("inspect", model, "--json")[0])
    assert content["labels"] == ["LOC", "PER"]
    assert set(content["bytes"]) == {"config.json", "model.safetensors", "vocabulary.json"}


def test_parquet_in_and_out(model, tmp_path):
    pq, arrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    pq.write_table(arrow.table({"text": TEXTS, "id": ["a", "b"]}), tmp_path / "a.parquet")
    run("tag", model, tmp_path / "a.parquet", "--output", tmp_path / "b.parquet")
    rows = pq.read_table(tmp_path / "b.parquet").to_pylist()
    assert [row["text"] for row in rows] == TEXTS
    assert [[span["text"] for span in row["spans"]] for row in rows] == SPANS
    assert all(0 < span["probability"] <= 1 for row in rows for span in row["spans"])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_on_ray(model, tmp_path):
    pytest.importorskip("ray")
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text("\n".join(TEXTS) + "\n")
    command = ("tag", model, "--ray", "local", "--workers", 1, "--input", tmp_path / "*.txt")
    out = tmp_path / "out"
    assert "--ray: expected files and --output FOLDER" in run(*command, status=2)[1]
    assert "--threads: expected 1 together with --ray" in run(*command, "--threads", 2, status=2)[1]
    run_process(*command, "--output", out, "--output-format", "jsonl")
    assert [spans(out / f"{number}.jsonl") for number in range(3)] == [SPANS] * 3
    assert json.loads((out / "manifest.json").read_text())["total"]["texts"] == 6


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_exported_as_a_program(model, tmp_path):
    from chaincrf.tagging.program import ProgramTagger

    run_process("export", model, "--out", tmp_path / "program", "--format", "torch")  # no type checks
    tagger, theirs = ProgramTagger(tmp_path / "program"), Tagger.load(model)
    tokens = [text.replace(".", " .").split() for text in TEXTS]
    for batch in (tokens, [tokens[0]], [["Oslo"]], [tokens[1] * 20, [], ["Ann"]]):
        for own, found in zip(batch, tagger.tag(batch), strict=True):
            assert found.tags == ([] if not own else list(theirs.tag(own).tags))
            assert found.marginals.sum(axis=1) == pytest.approx([1.0] * len(own), abs=1e-5)
    assert (
        "--int8: expected"
        in run("export", model, "--out", tmp_path / "x", "--format", "torch", "--int8", status=2)[1]
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_exported_as_a_graph(model, tmp_path):
    pytest.importorskip("onnxruntime")
    run("export", model, "--out", tmp_path / "onnx", "--int8")
    names = {path.name for path in (tmp_path / "onnx").iterdir()}
    assert names == {"model.onnx", "model.int8.onnx", "run.py", "vocabulary.json", "config.json"}
