"""Two processes, started by torchrun as users do, train what one does."""

import json
import os
import socket
import subprocess
import sys
import time
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from chaincrf.errors import ConfigError
from chaincrf.training import Recipe, RunFolder
from chaincrf.training.processes import Processes, launch
from cli.commands import LIGHT
from corpora import toy_file

SCRIPT = """
import os
import sys
if "--other" in sys.argv and os.environ["RANK"] == "1":
    sys.argv[sys.argv.index("--train") + 1] = sys.argv[-1]
if "--other" in sys.argv:
    del sys.argv[-2:]
from chaincrf.cli.main import main
from chaincrf.training import processes, updates
def refuse(*memory):
    raise OSError("no space left")
if os.environ.get("MEMORY") == "full":
    processes.SharedMemory.create = refuse
updates.MIN_ROWS = int(sys.argv.pop(1))
main()
"""
OPTIONS = (
    *("--vectors", "none", "--word-dim", 12, "--hidden", 16, "--char-filters", 8, "--device", "cpu"),
    *("--optimizer", "sgd", "--learning-rate", 0.1, "--weight-decay", 0.001, "--ema", 0.9, "--epochs", 4),
    *("--batch-size", 3, "--accumulate", 1, "--dropout", 0, "--word-dropout", 0, "--patience", 9),
)
TORCHRUN = ("torch.distributed.run", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0")
FABRIC = ("lightning_fabric.cli", "--accelerator=cpu", "--strategy=ddp")


def start(folder, out, *more, processes=2, rows=0, count=10, launcher=TORCHRUN, memory=""):
    (folder / "run.py").write_text(SCRIPT)
    toy = toy_file(folder / "toy.tsv", count)
    number = "--devices" if launcher is FABRIC else "--nproc-per-node"
    launch = (sys.executable, "-m", *launcher, f"{number}={processes}")
    command = (*launch, "run.py", rows, "train", "--train", toy, "--dev", toy, *OPTIONS, "--out", out)
    return subprocess.Popen(
        [str(part) for part in (*command, *more)],
        cwd=folder,
        env=os.environ | LIGHT | {"OMP_NUM_THREADS": "1", "MEMORY": memory},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder, out, *more, **options):
    return finish(start(folder, out, *more, **options))


def finish(process):
    err = process.communicate(timeout=200)[1]
    assert process.returncode == 0, err
    return err


def metrics(model):
    lines = (RunFolder(model).path / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) | {"train_seconds": 0} for line in lines]


def same_model(ours, theirs, atol):
    """Two runs, up to rounding."""
    for metric, expected in zip(metrics(ours), metrics(theirs), strict=True):
        assert metric == pytest.approx(expected, rel=1e-4)
    weights, others = (load_file(folder / "model.safetensors") for folder in (ours, theirs))
    for key, value in others.items():
        torch.testing.assert_close(weights[key], value, rtol=1e-3, atol=atol)


@pytest.mark.slow
def test_two_processes_are_one(tmp_path):
    """Batches of 3 sentences, so unequal shares, and a last one of 2; the table by rows."""
    run(tmp_path, tmp_path / "one", processes=1)
    err = run(tmp_path, tmp_path / "two")
    assert err.count("epoch   1") == 1, err
    same_model(tmp_path / "two", tmp_path / "one", atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "atol"), [("sgd", 1e-5), ("adamw", 1e-3)])
def test_two_processes_are_one_with_an_empty_share(tmp_path, optimizer, atol):
    """Batches of 7 two by two, the last of one sentence; a dense table, a clipped norm.

    Fabric's launcher too, without shared memory: that gives the same bits.
    """
    options = ("--batch-size", 7, "--accumulate", 2, "--clip", 0.5, "--optimizer", optimizer)
    runs = [("one", 1, TORCHRUN, ""), ("two", 2, TORCHRUN, "")]
    runs += [("fabric", 2, FABRIC, "full")] * (optimizer == "sgd")
    for name, processes, launcher, memory in runs:
        more = {"processes": processes, "launcher": launcher, "memory": memory, "rows": 10**9, "count": 3}
        run(tmp_path, tmp_path / name, *options, **more)
    same_model(tmp_path / "two", tmp_path / "one", atol)
    if optimizer == "sgd":
        assert metrics(tmp_path / "fabric") == metrics(tmp_path / "two")


@pytest.mark.slow
def test_two_machines_are_one(tmp_path):
    """Two launchers that find each other by an address, as on two machines with one folder; by gloo."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    launcher = (*TORCHRUN[:-1], f"--rdzv-endpoint=localhost:{port}", f"--rdzv-id={port}", "--nnodes=2")
    machines = []
    try:
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            machines.append(start(tmp_path / name, tmp_path / "two", processes=1, launcher=launcher))
        errs = [finish(machine) for machine in machines]
    finally:
        for machine in machines:
            machine.terminate()
    assert sum(err.count("epoch   1") for err in errs) == 1, errs
    run(tmp_path, tmp_path / "one", processes=1)
    same_model(tmp_path / "two", tmp_path / "one", atol=1e-5)


@pytest.mark.slow
def test_processes_that_read_other_data_say_so(tmp_path):
    other = toy_file(tmp_path / "other.tsv", 9)
    process = start(tmp_path, tmp_path / "m", "--other", other)
    err = process.communicate(timeout=200)[1]
    assert process.returncode == 1
    assert "expected the same recipe, data and vectors in all processes" in err


@pytest.mark.slow
def test_two_processes_that_are_killed_go_on(tmp_path):
    dropout = ("--dropout", 0.3, "--checkpoint-minutes", 0)
    run(tmp_path, tmp_path / "whole", *dropout)
    process = start(tmp_path, tmp_path / "m", *dropout)
    checkpoint = RunFolder(tmp_path / "m").checkpoint
    while process.poll() is None and not checkpoint.exists():
        time.sleep(0.01)
    process.terminate()  # torchrun ends its processes, which do not notice
    err = process.communicate()[1]
    assert checkpoint.exists(), err
    err = run(tmp_path, tmp_path / "m", *dropout, "--resume")
    assert "going on from" in err
    assert metrics(tmp_path / "m") == metrics(tmp_path / "whole")
    ours, whole = (load_file(tmp_path / m / "model.safetensors") for m in ("m", "whole"))
    assert all(torch.equal(value, whole[name]) for name, value in ours.items())


def test_a_share_of_a_batch():
    lengths = np.array([2, 2, 3, 9]).__getitem__
    processes = Processes(launch(Recipe(device="cpu")))
    assert processes.share(np.arange(4), lengths).tolist() == [0, 1, 2, 3]
    processes.number, processes.count = 1, 2
    assert processes.share(np.arange(4), lengths).tolist() == [3]
    assert processes.share(np.arange(3), lengths).tolist() == [2]
    assert processes.share(np.arange(1), lengths).tolist() == []


def test_bf16_on_a_processor_that_cannot(monkeypatch):
    monkeypatch.setattr(nn, "LSTM", Mock(side_effect=RuntimeError("no primitive. Long story")))
    with pytest.raises(ConfigError, match=r"no LSTM in bf16-mixed \(no primitive\); take 32-true"):
        launch(Recipe(device="cpu", precision="bf16-mixed"))
