import json

import pytest

from chaincrf.integrations.annotation import read_annotations
from chaincrf.tagging import Tagger
from chaincrf.training import build_model, prepare
from corpora import SMALL, toy

from .commands import run


@pytest.fixture
def model(tmp_path):
    corpus = toy(tmp_path)
    Tagger(build_model(prepare(corpus, corpus, SMALL), SMALL)).save(tmp_path / "model")
    return tmp_path / "model"


def test_ranks_and_prepares_tasks(model, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("Ann saw Rome.\n\nIt rained in New York.\n", encoding="utf-8")
    out, _ = run("select", model, texts)
    values = [float(line.split("\t")[0]) for line in out.splitlines()]
    assert values == sorted(values, reverse=True)
    assert len(values) == 2
    out, _ = run("select", model, texts, "--by", "gain", "--count", 1, "--output-format", "jsonl")
    assert json.loads(out)["gain"] > 0
    tasks = tmp_path / "tasks.jsonl"
    _, err = run("select", model, texts, "--output-format", "prodigy", "--output", tasks)
    assert "2 of 2 texts" in err
    assert len(read_annotations(tasks, "prodigy", misfits="widen").corpus.sentences) == 2
    _, err = run("select", model, texts, "--output-format", "prodigy", status=2)
    assert "--output: expected together" in err
    texts.write_text("\n")
    _, err = run("select", model, texts, status=1)
    assert "expected texts, one a line, found none" in err
