import json
import os
import sys

import pytest

from chaincrf.errors import MissingExtra
from chaincrf.training.loggers import make_logger
from cli.commands import run
from corpora import toy_file

pytestmark = pytest.mark.slow


def log(logger):
    logger.log_hyperparams({"hidden": 7, "vectors": ["a", "b"]})
    for step, loss in enumerate((3.0, 2.0), start=1):
        logger.log_metrics({"loss": loss}, step)
    logger.finalize("success")


@pytest.mark.filterwarnings("ignore")  # the libraries' own
def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log(make_logger("tensorboard", tmp_path, "m"))
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("loss")
    assert [(event.step, event.value) for event in events] == [(1, 3.0), (2, 2.0)]


@pytest.mark.filterwarnings("ignore")
def test_the_command_logs_every_epoch(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    toy = toy_file(tmp_path / "toy.tsv", 2)
    options = ("--vectors", "none", "--hidden", 8, "--epochs", 2, "--device", "cpu", "--log", "tensorboard")
    run("train", "--train", toy, "--dev", toy, *options, "--out", tmp_path / "m")
    epochs = [json.loads(line) for line in (tmp_path / "m.run" / "metrics.jsonl").read_text().splitlines()]
    events = EventAccumulator(str(tmp_path / "m.run" / "logs" / "tensorboard")).Reload()
    for name in ("loss", "dev_score"):
        found = [(event.step, event.value) for event in events.Scalars(name)]
        assert found == [(epoch["epoch"], pytest.approx(epoch[name])) for epoch in epochs]


@pytest.mark.filterwarnings("ignore")
def test_mlflow(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    log(logger := make_logger("mlflow", tmp_path, "m"))
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}")
    run = client.get_run(logger.version)
    assert (run.info.run_name, run.info.status, run.data.params["hidden"]) == ("m", "FINISHED", "7")
    assert [point.value for point in client.get_metric_history(logger.version, "loss")] == [3.0, 2.0]
    assert make_logger("mlflow", tmp_path, "n").version != logger.version


@pytest.mark.filterwarnings("ignore")
def test_wandb(tmp_path, monkeypatch):
    """Offline, where it writes what it would send: records of a header of seven bytes each."""
    wandb = pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    folders = {f"WANDB_{kind}_DIR": str(tmp_path) for kind in ("CACHE", "CONFIG", "DATA")}
    for name, value in {"WANDB_MODE": "offline", "WANDB_SILENT": "true", **folders}.items():
        monkeypatch.setenv(name, value)
    try:
        log(logger := make_logger("wandb", tmp_path / "logs", "m"))
    finally:
        wandb.teardown()  # it has a process, and names it in the environment
    assert logger.name == "chaincrf"
    (file,) = (tmp_path / "logs").glob(f"wandb/offline-run-*/run-{logger.version}.wandb")
    content, at, records = file.read_bytes(), 7, []
    assert len(content) < 1 << 15, "beyond that a record may be in two parts"
    while at < len(content):
        size = int.from_bytes(content[at + 4 : at + 6], "little")
        records.append(Record.FromString(content[at + 7 : at + 7 + size]))
        at += 7 + size
    assert [record.run.display_name for record in records if record.HasField("run")] == ["m"]
    config = {item.key: item.value_json for record in records for item in record.config.update}
    assert config == {"hidden": "7", "vectors": '["a","b"]'}
    points = [{item.nested_key[0]: item.value_json for item in record.history.item} for record in records]
    assert [(point["_step"], point["loss"]) for point in points if point] == [("1", "3"), ("2", "2")]
    assert [record.exit.exit_code for record in records if record.HasField("exit")] == [0]


@pytest.mark.parametrize("kind", ["tensorboard", "wandb", "mlflow"])
def test_one_that_is_not_installed(tmp_path, monkeypatch, kind):
    monkeypatch.setitem(sys.modules, kind, None)
    with pytest.raises(MissingExtra, match=f"say: pip install '?.*{kind}"):
        make_logger(kind, tmp_path, "m")
