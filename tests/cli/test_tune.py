"""The command: with real training runs, and with a stub in their place."""

import json
import signal

import pytest

pytest.importorskip("optuna")

from typer.testing import CliRunner

from chaincrf.cli.main import app
from chaincrf.errors import ConfigError
from chaincrf.tuning import search
from corpora import toy_file
from tuning.test_search import Stub

from .commands import SMALL, run, start

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_a_search_that_is_interrupted_and_its_recipe(tmp_path):
    toy = toy_file(tmp_path / "toy.tsv")
    (tmp_path / "space.toml").write_text("learning_rate = { low = 0.001, high = 0.05, log = true }\n")
    command = (
        "tune",
        "--train",
        toy,
        "--dev",
        toy,
        *SMALL,
        "--epochs",
        3,
        "--space",
        tmp_path / "space.toml",
    )
    command = (*command, "--out", tmp_path / "search", "--json", "--trials")
    with start(*command, 50) as process:
        assert any("the best is" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "the same command goes on" in err
    out, err = run(*command, 3)
    assert "trial 1 of 3" not in err
    result = json.loads(out)
    assert result["complete"]
    assert len(result["trials"]) == 3
    assert result["dev_score"] == max(one["dev_score"] for one in result["trials"] if not one["pruned"])

    data = ("train", "--train", toy, "--dev", toy, "--out", tmp_path / "model", "--json")
    trained = json.loads(run(*data, "--recipe", result["recipe"])[0])
    assert trained["dev_score"] == pytest.approx(result["dev_score"]), "the same run again"
    said = json.loads((tmp_path / "model" / "config.json").read_text())["training"]["recipe"]
    assert said["learning_rate"] == result["values"]["learning_rate"]
    assert said["word_dim"] == 16


def test_what_it_says(tmp_path, monkeypatch, unchecked):
    monkeypatch.setattr(search, "train", Stub())
    toy = toy_file(tmp_path / "toy.tsv")
    command = ["tune", "--train", str(toy), "--dev", str(toy), "--out", str(tmp_path / "s"), "--epochs", "4"]
    result = CliRunner().invoke(app, [*command, "--trials", "8"])
    assert result.exit_code == 0, result.output
    assert "trial 3 of 8: learning rate 0.0" in result.stderr
    assert "ended early after" in result.stderr
    head = " ".join(result.stdout.splitlines()[0].split())
    assert head == "trial dev F1 epochs s learning rate dropout word dropout hidden batch size"
    assert result.stdout.splitlines()[1].split()[-1] == "best"
    assert len(result.stdout.splitlines()) == 1 + 8 + 2
    assert f"next: chaincrf train --recipe {tmp_path / 's' / 'best.toml'}" in result.stdout
    result = CliRunner().invoke(app, [*command, "--trials", "9", "--time", "1e-9"])
    assert "the time is over after 8 of 9 trials; the same command goes on" in result.stderr
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, ConfigError)
