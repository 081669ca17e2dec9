import pytest

from chaincrf.errors import ModelError
from chaincrf.training import RunFolder


def test_a_run_that_did_not_end_is_not_overwritten(tmp_path):
    folder = RunFolder(tmp_path / "model")
    folder.open()
    assert folder.path == tmp_path / "model.run"
    folder.checkpoint.touch()
    with pytest.raises(ModelError, match="did not end; go on with --resume"):
        folder.open()
    folder.open(resume=True)
    folder.close()
    folder.open()


def test_nothing_of_the_users_is_touched(tmp_path):
    folder = RunFolder(tmp_path / "model")
    folder.path.mkdir()
    (folder.path / "thesis.txt").touch()
    with pytest.raises(ModelError, match=r"model.run: expected the folder of a run, found thesis.txt"):
        folder.open()
    (tmp_path / "other.run").touch()
    with pytest.raises(ModelError, match="expected a folder, found a file"):
        RunFolder(tmp_path / "other").open()
