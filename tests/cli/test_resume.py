"""A training run that is killed at any moment and resumed gives, bit for bit, what it would have given."""

import json
import random
import time

import pytest

from chaincrf.training import RunFolder
from corpora import toy_file

from .test_commands import SMALL, run, start

LONG = (*SMALL, "--epochs", 60, "--patience", 60, "--dropout", 0.4, "--word-dropout", 0.1)


def content(model):
    """The weights, and the record of training without times."""
    config = json.loads((model / "config.json").read_text())
    config["training"].pop("train_seconds")
    lines = (RunFolder(model).path / "metrics.jsonl").read_text().splitlines()
    metrics = [json.loads(line) | {"train_seconds": 0} for line in lines]
    return (model / "model.safetensors").read_bytes(), config, metrics


def killed(*arguments, folder, delay):
    """Start a command and kill it some time after it began to train; whether it was still running."""
    checkpoint = RunFolder(folder).checkpoint
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
    with start(*arguments) as process:
        while process.poll() is None and (not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before):
            time.sleep(0.01)
        time.sleep(delay)
        process.kill()
        process.communicate()
        return process.returncode != 0


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [0, 10])
def test_killed_and_resumed(tmp_path, minutes):
    toy = toy_file(tmp_path / "toy.tsv")
    command = ("train", "--train", toy, "--dev", toy, *LONG, "--checkpoint-minutes", minutes, "--out")
    run(*command, tmp_path / "whole")
    draw = random.Random(minutes)
    kills = 0
    for _ in range(4):
        kills += killed(
            *command, tmp_path / "m", "--resume", folder=tmp_path / "m", delay=draw.uniform(0, 0.5)
        )
    assert kills >= 2
    run(*command, tmp_path / "m", "--resume")
    assert content(tmp_path / "m") == content(tmp_path / "whole")
    assert "this run has ended" in run(*command, tmp_path / "m", "--resume")[1]
    names = {path.name for path in RunFolder(tmp_path / "m").path.iterdir()}
    assert names == {"run.json", "metrics.jsonl", "learning-curve.svg", "README.md"}
