import json

import pytest

from chaincrf.errors import ModelError
from chaincrf.training import Epoch, Recipe, RunFolder

RECORD = {
    "recipe": Recipe().model_dump(mode="json"),
    "data": {"train": {"path": "train.tsv", "sha256": "abc"}},
    "environment": {"torch": "2"},
}
RESULT = {"best_epoch": 2, "epochs": 3, "dev_score": 0.875, "train_seconds": 9.0}


def epochs(*losses):
    return [Epoch(number, loss, {"": 0.5}, 1.0) for number, loss in enumerate(losses, start=1)]


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder.path / "metrics.jsonl").read_text().splitlines()]


def test_metrics_are_those_of_the_run_that_went_on(tmp_path):
    folder = RunFolder(tmp_path / "model")
    folder.begin()
    for epoch in epochs(3.0, 2.0, 1.0):
        folder.add(epoch)
    with (folder.path / "metrics.jsonl").open("a") as stream:
        stream.write('{"epoch": 4, "lo')  # killed here
    for epoch in epochs(3.0, 2.5, 1.5)[1:]:
        folder.add(epoch)
    assert losses(folder) == [3.0, 2.5, 1.5]
    folder.add(epochs(7.0)[0])
    assert losses(folder) == [7.0], "a new run"


def test_a_run_that_ended(tmp_path):
    (tmp_path / "model").mkdir()
    folder = RunFolder(tmp_path / "model")
    folder.begin()
    assert folder.result(RECORD) is None
    folder.record(RECORD)
    assert folder.result(RECORD) is None
    folder.checkpoint.touch()
    folder.show(epochs(3.0, 2.0), "F1")
    folder.close(RECORD, RESULT)
    assert not folder.checkpoint.exists()
    assert folder.result(RECORD) == RESULT
    with pytest.raises(ModelError, match="another recipe"):
        folder.result({**RECORD, "recipe": Recipe(hidden=7).model_dump(mode="json")})
    other = {split: {**data, "sha256": "other"} for split, data in RECORD["data"].items()}
    with pytest.raises(ModelError, match="other data"):
        folder.result({**RECORD, "data": other})
    card = (folder.path / "README.md").read_text()
    assert "| development, span F1 | 87.50 |" in card
    assert "| hidden | 100 |" in card
    assert "`train.tsv` | `abc`" in card
    assert "<svg" in (folder.path / "learning-curve.svg").read_text()
    folder.check()
    (folder.path / "run.json").write_text("[")
    with pytest.raises(ModelError, match=r"run.json: damaged"):
        folder.result(RECORD)


def test_a_run_that_did_not_end_is_not_overwritten(tmp_path):
    folder = RunFolder(tmp_path / "model")
    folder.check()
    assert not folder.path.exists(), "nothing is made before training begins"
    folder.begin()
    assert folder.path == tmp_path / "model.run"
    folder.checkpoint.touch()
    with pytest.raises(ModelError, match="did not end; go on with --resume"):
        folder.check()
    folder.check(resume=True)


def test_nothing_of_the_users_is_touched(tmp_path):
    folder = RunFolder(tmp_path / "model")
    folder.path.mkdir()
    (folder.path / "thesis.txt").touch()
    with pytest.raises(ModelError, match=r"model.run: expected the folder of a run, found thesis.txt"):
        folder.check()
    (tmp_path / "other.run").touch()
    with pytest.raises(ModelError, match="expected a folder, found a file"):
        RunFolder(tmp_path / "other").check()
