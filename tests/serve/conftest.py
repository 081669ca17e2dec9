"""Three small models, and one server for all tests that only read."""

from __future__ import annotations

import asyncio

import pytest

from chaincrf.data import read_corpus
from chaincrf.tagging import Tagger
from chaincrf.training import train
from corpora import SMALL, piece, toy
from serve.server import Running


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """The folders of a tagger of names, of one of parts of speech, and of one of 61 tags."""
    path = tmp_path_factory.mktemp("served")
    corpus = toy(path)
    train(corpus, corpus, SMALL)[0].save(path / "names")
    pos = piece("ewt-pos", "dev", 60)
    train(pos, pos, SMALL.model_copy(update={"task": "pos", "epochs": 3}))[0].save(path / "pos")
    labels = [f"L{number:02}" for number in range(15)]
    lines = [f"a\tO\n{label.lower()}\tB-{label}\nx\tI-{label}\n" for label in labels]
    (path / "many.tsv").write_text("\n".join(lines), encoding="utf-8")
    many = read_corpus(path / "many.tsv")
    train(many, many, SMALL.model_copy(update={"epochs": 2}))[0].save(path / "many")
    return {name: path / name for name in ("names", "pos", "many")}


@pytest.fixture(scope="session")
def names(folders):
    return Tagger.load(folders["names"])


@pytest.fixture(scope="session")
def pos(folders):
    return Tagger.load(folders["pos"])


@pytest.fixture(scope="session")
def server(folders):
    limits = ("--max-chars", 20_000, "--max-texts", 100, "--max-body", 300_000, "--timeout-seconds", 5)
    with Running(*folders.values(), *limits, "--drain-seconds", 0) as running:
        yield running


@pytest.fixture
def run_async():
    """Run a coroutine to its end."""
    return asyncio.run
