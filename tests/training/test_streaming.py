"""Training from shards is training from memory, where a window covers the corpus; and goes on likewise."""

import pytest

from chaincrf.data import read_corpus, stream_corpus, write_shards
from chaincrf.errors import DataError
from chaincrf.training import Checkpoints, build_model, fit, prepare, train, updates
from corpora import SMALL, toy_file

from .test_checkpoint import Killed, outcome

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.slow


@pytest.fixture
def corpora(tmp_path):
    file = toy_file(tmp_path / "toy.tsv")
    return read_corpus(file), write_shards(stream_corpus(file, piece=6), tmp_path / "shards", shard_size=6)


def test_the_same_model_bit_for_bit(corpora):
    memory, shards = corpora
    recipe = SMALL.model_copy(update={"epochs": 2, "dropout": 0.3, "word_dropout": 0.2})
    ours, theirs = (train(data, memory, recipe)[1] for data in (shards, memory))
    assert outcome(ours) == outcome(theirs)


def test_a_run_from_shards_is_resumed(tmp_path, corpora, monkeypatch):
    monkeypatch.setattr(updates, "MIN_ROWS", 0)
    memory, shards = corpora
    change = {"epochs": 3, "dropout": 0.3, "shuffle_window": 7, "batch_tokens": 20, "accumulate": 2}
    recipe = SMALL.model_copy(update=change)

    def run(checkpoints, stop=None):
        prepared = prepare(shards, memory, recipe)

        def kill(done, total, loss):
            if done == stop:
                raise Killed

        model = build_model(prepared, recipe).model
        return outcome(fit(model, prepared, recipe, checkpoints=checkpoints, on_step=kill))

    whole = run(None)
    for stop in (2, 4, 7):
        with pytest.raises(Killed):
            run(Checkpoints(tmp_path / "c", minutes=0.0, resume=True), stop)
    assert run(Checkpoints(tmp_path / "c", resume=True)) == whole


def test_shards_without_spans(tmp_path, corpora):
    (tmp_path / "o.tsv").write_text("a\tO\n\nb\tO\n")
    shards = write_shards([read_corpus(tmp_path / "o.tsv", scheme="BIO")], tmp_path / "o")
    with pytest.raises(DataError, match="expected spans, found only the tag O"):
        prepare(shards, corpora[0], SMALL)
