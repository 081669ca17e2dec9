"""A training run that is killed at any moment and resumed gives, bit for bit, what it would have given."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from chaincrf.training import RunFolder
from corpora import toy_file

from .commands import LIGHT, SMALL, run, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # processes start slowly on a busy machine
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


@pytest.mark.parametrize("minutes", [0, 10])
def test_killed_and_resumed(tmp_path, minutes):
    toy = toy_file(tmp_path / "toy.tsv")
    command = ("train", "--train", toy, "--dev", toy, *LONG, "--checkpoint-minutes", minutes, "--out")
    run(*command, tmp_path / "whole")
    draw = random.Random(minutes)
    kills = 0
    for _ in range(3):
        kills += killed(
            *command, tmp_path / "m", "--resume", folder=tmp_path / "m", delay=draw.uniform(0, 0.5)
        )
    assert kills >= 2
    run(*command, tmp_path / "m", "--resume")
    assert content(tmp_path / "m") == content(tmp_path / "whole")
    assert "this run has ended" in run(*command, tmp_path / "m", "--resume")[1]
    names = {path.name for path in RunFolder(tmp_path / "m").path.iterdir()}
    assert names == {"run.json", "metrics.jsonl", "learning-curve.svg", "README.md"}


KILLER = """
import itertools, os, signal, sys
from pathlib import Path
from chaincrf.cli.main import main
from chaincrf.training import checkpoint

place, at = sys.argv.pop(1), int(sys.argv.pop(1))
calls = itertools.count(1)

def deadly(function, after):
    def call(*arguments):
        last = next(calls) == at
        if last and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

if place == "half written":  # the disk has half of it
    whole = checkpoint.save
    calls = itertools.count(1)
    def half(*arguments, **options):
        content = whole(*arguments, **options)
        if next(calls) == at:
            Path(sys.argv[-1] + ".run/checkpoint.safetensors.part").write_bytes(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return content
    checkpoint.save = half
else:
    replace = deadly(Path.replace, place == "renamed")
    def only_checkpoints(self, target):
        return (replace if self.name.startswith("checkpoint") and Path(target).name.startswith("checkpoint")
                else Path.rename)(self, target)
    Path.replace = only_checkpoints
main()
"""


def test_killed_in_the_middle_of_a_checkpoint(tmp_path):
    toy = toy_file(tmp_path / "toy.tsv")
    (tmp_path / "killer.py").write_text(KILLER)
    command = ("train", "--train", toy, "--dev", toy, *LONG, "--checkpoint-minutes", 0, "--epochs", 8)
    run(*command, "--out", tmp_path / "whole")
    for place, at in (("half written", 3), ("not renamed", 9), ("renamed", 12)):
        arguments = (tmp_path / "killer.py", place, at, *command, "--resume", "--out", tmp_path / "m")
        command_line = [sys.executable, *map(str, arguments)]
        killed = subprocess.run(command_line, env=os.environ | LIGHT, check=False, capture_output=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        part = RunFolder(tmp_path / "m").path / "checkpoint.safetensors.part"
        assert part.exists() == (place != "renamed")
    run(*command, "--resume", "--out", tmp_path / "m")
    assert content(tmp_path / "m") == content(tmp_path / "whole")


def test_interrupted_at_any_moment_and_resumed(tmp_path):
    """Ctrl-C keeps the best model, and the run goes on to what it would have been."""
    toy = toy_file(tmp_path / "toy.tsv")
    command = ("train", "--train", toy, "--dev", toy, *LONG, "--checkpoint-minutes", 0, "--out")
    run(*command, tmp_path / "whole")
    with start(*command, tmp_path / "m") as process:
        assert any("epoch   3" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    best = content(tmp_path / "m")[1]["training"]["best_epoch"]
    assert f"interrupted; kept epoch {best}" in err
    run(*command, tmp_path / "m", "--resume")
    assert content(tmp_path / "m") == content(tmp_path / "whole")


def test_two_at_a_time(tmp_path):
    toy = toy_file(tmp_path / "toy.tsv")
    endless = ("train", "--train", toy, "--dev", toy, *SMALL, "--epochs", 100_000, "--patience", 100_000)
    with start(*endless, "--out", tmp_path / "m") as process:
        assert any("epoch   1" in line for line in process.stderr)
        for more in ((), ("--resume",)):
            err = run(*endless, "--out", tmp_path / "m", *more, status=1)[1]
            assert "another process is training here" in err
        process.kill()
        process.communicate()
    assert "did not end; go on with --resume" in run(*endless, "--out", tmp_path / "m", status=1)[1]
