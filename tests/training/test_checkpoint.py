import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from chaincrf.errors import ModelError
from chaincrf.training import Checkpoints, build_model, fit, prepare, updates
from chaincrf.training.checkpoint import read_tree, write_tree
from corpora import SMALL, toy

TREE = {
    "tensors": [torch.arange(6.0).reshape(2, 3).T, torch.tensor(7), torch.empty(0, 4)],
    "bytes": {"0": torch.tensor([1, 255], dtype=torch.uint8)},
    "numbers": [0.1, 2**100, None, True],
    "text": "é",
}


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


def train(path, recipe=SMALL, *, checkpoints=None, stop=None, copies=4):
    corpus = toy(path, copies)
    prepared = prepare(corpus, corpus, recipe)
    model = build_model(prepared, recipe).model

    def kill(done, total, loss):
        if done == stop:
            raise Killed

    return fit(model, prepared, recipe, checkpoints=checkpoints, on_step=kill), model


def outcome(result):
    """All of a run but its times."""
    kept = result.kept[""]
    epochs = [(epoch.number, epoch.loss, dict(epoch.scores)) for epoch in result.epochs]
    return (
        epochs,
        kept.epoch,
        kept.score,
        {name: value.numpy().tobytes() for name, value in kept.state.items()},
    )


def test_a_tree_comes_back_as_it_was(tmp_path):
    write_tree(TREE, tmp_path / "c")
    tree = read_tree(tmp_path / "c")
    assert tree["numbers"] == TREE["numbers"]
    assert tree["text"] == TREE["text"]
    for ours, theirs in zip(
        [*tree["tensors"], tree["bytes"]["0"]], [*TREE["tensors"], TREE["bytes"]["0"]], strict=True
    ):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)


def test_a_write_that_fails_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    write_tree({"number": 1}, tmp_path / "c")

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="full"):
        write_tree({"number": 2}, tmp_path / "c")
    assert read_tree(tmp_path / "c") == {"number": 1}


def test_files_that_are_no_checkpoints(tmp_path):
    write_tree(TREE, tmp_path / "whole")
    (tmp_path / "half").write_bytes((tmp_path / "whole").read_bytes()[:-9])
    save_file({"a": torch.ones(1)}, tmp_path / "model")
    save_file({}, tmp_path / "new", metadata={"format": "chaincrf-checkpoint", "version": "3", "tree": "{}"})
    save_file({}, tmp_path / "json", metadata={"format": "chaincrf-checkpoint", "version": "2", "tree": "{"})
    for name, message in [
        ("half", "half: "), ("model", "not a checkpoint"), ("new", "expected format version 2, got '3'"),
        ("json", "json: "), ("missing", "missing"),
    ]:  # fmt: skip
        with pytest.raises(ModelError, match=message):
            read_tree(tmp_path / name)
    write_tree({"run": {}}, tmp_path / "other")
    with pytest.raises(ModelError, match="damaged"):
        train(tmp_path, checkpoints=Checkpoints(tmp_path / "other", resume=True))


@pytest.mark.parametrize("rows", [0, 10**9], ids=["by rows", "dense"])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"optimizer": "sgd", "learning_rate": 0.2, "schedule": "inverse-time", "ema": 0.9},
        {"optimizer": "adamw", "schedule": "plateau", "batch_size": 2, "accumulate": 2},
    ],
    ids=["adam", "sgd", "adamw"],
)
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path, monkeypatch, change, rows):
    """Stopped between any two steps, time and again."""
    monkeypatch.setattr(updates, "MIN_ROWS", rows)
    recipe = SMALL.model_copy(update={"epochs": 4, "dropout": 0.3, "word_dropout": 0.2} | change)
    whole = outcome(train(tmp_path, recipe)[0])
    for minutes in (0.0, 60.0):  # at every step, and at every epoch's end alone
        path = tmp_path / f"{minutes}"
        for stop in (1, 4, 5, 6, 11, 18, 20):
            with pytest.raises(Killed):
                train(
                    tmp_path, recipe, checkpoints=Checkpoints(path, minutes=minutes, resume=True), stop=stop
                )
        result, _ = train(tmp_path, recipe, checkpoints=Checkpoints(path, resume=True))
        assert outcome(result) == whole
        again, _ = train(tmp_path, recipe, checkpoints=Checkpoints(path, resume=True), stop=1)
        assert outcome(again) == whole, "a finished run takes no step"


def test_a_run_goes_on_only_as_what_it_was(tmp_path):
    path = tmp_path / "c"
    recipe = SMALL.model_copy(update={"epochs": 1})
    train(tmp_path, recipe, checkpoints=Checkpoints(path))
    wider = recipe.model_copy(update={"hidden": 17, "epochs": 2})
    with pytest.raises(
        ModelError, match="cannot go on from here, for hidden was 16 and is 17; epochs was 1 and is 2"
    ):
        train(tmp_path, wider, checkpoints=Checkpoints(path, resume=True))
    with pytest.raises(ModelError, match="the data, or the word vectors, are others"):
        train(tmp_path, recipe, checkpoints=Checkpoints(path, resume=True), copies=5)
    result, _ = train(tmp_path, wider, checkpoints=Checkpoints(path))
    assert len(result.epochs) == 2, "without resume it begins anew"


def test_a_run_that_goes_on_elsewhere_says_so(tmp_path):
    """A checkpoint of a GPU, and of two processes, on a CPU alone."""
    path = tmp_path / "c"
    recipe = SMALL.model_copy(update={"epochs": 3, "device": "auto"})
    said = []
    with pytest.raises(Killed):
        train(tmp_path, recipe, checkpoints=Checkpoints(path), stop=7)
    tree = read_tree(path)
    tree["run"] |= {"device": "cuda", "processes": "2 processes"}
    tree["state"]["random"] = {"cpu": torch.zeros(2, 9), "cuda": torch.zeros(2, 16)}
    write_tree(tree, path)
    recipe = recipe.model_copy(update={"device": "cpu"})
    result, _ = train(tmp_path, recipe, checkpoints=Checkpoints(path, resume=True, say=said.append))
    assert len(result.epochs) == 3
    (message,) = said
    assert (
        "saved on cuda, now cpu; 2 processes, now 1 process: the run goes on, but not bit for bit" in message
    )
    train(tmp_path, recipe, checkpoints=Checkpoints(path, resume=True, say=said.append))
    assert len(said) == 1, "the same place again"


def test_a_checkpoint_is_json_and_tensors(tmp_path):
    train(tmp_path, checkpoints=Checkpoints(tmp_path / "c"))
    content = (tmp_path / "c").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["tree"])["run"]["recipe"]["hidden"] == 16


def test_training_changes_no_buffer(tmp_path):
    """So a checkpoint, and the best weights, need no more than the parameters."""
    corpus = toy(tmp_path)
    recipe = SMALL.model_copy(update={"vectors": "builtin", "epochs": 1})
    prepared = prepare(corpus, corpus, recipe)
    model = build_model(prepared, recipe).model
    before = {name: value.clone() for name, value in model.named_buffers()}
    assert before["words.frozen"].any()
    fit(model, prepared, recipe)
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())
