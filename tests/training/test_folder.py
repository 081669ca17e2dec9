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
    folder.path.mkdir()
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
    folder.path.mkdir()
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
    with folder.begin():
        pass
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


def test_a_stray_file_in_the_folder_of_a_run_is_left_alone(tmp_path):
    folder = RunFolder(tmp_path / "model")
    with folder.begin():
        folder.record(RECORD)
    (folder.path / ".DS_Store").write_text("mine")
    folder.check()
    with folder.begin(resume=True):
        folder.checkpoint.touch()
        folder.close(RECORD, RESULT)
    assert {path.name for path in folder.path.iterdir()} == {"run.json", "README.md", ".DS_Store"}


def test_one_run_at_a_time(tmp_path):
    with RunFolder(tmp_path / "model").begin():
        other = RunFolder(tmp_path / "model")
        with pytest.raises(ModelError, match=r"model.run: another process is training here"), other.begin():
            pass
    with other.begin():
        other.checkpoint.touch()
    with pytest.raises(ModelError, match="did not end"), other.begin():
        pass
