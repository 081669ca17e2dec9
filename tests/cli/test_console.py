"""What is seen on a terminal while a command trains."""

from __future__ import annotations

import io

import torch
from rich.console import Console

from chaincrf.cli import console
from chaincrf.training import Epoch


def test_the_bar_has_rate_loss_score_and_time_left(monkeypatch):
    terminal = Console(file=io.StringIO(), force_terminal=True, width=150, highlight=False)
    monkeypatch.setattr(console, "stderr", lambda: terminal)
    monkeypatch.setattr(console, "_LOOK", 0.0)
    with console.ticker("F1") as shown:
        shown.title("training a toy")
        for step in range(1, 4):
            shown.step(step, 8, torch.tensor(2.5))
        shown.epoch(Epoch(1, 2.75, {"": 0.845}, 1.0))
        shown.step(4, 8, torch.tensor(1.25))
    said = terminal.file.getvalue().splitlines()
    assert "epoch   1  loss   2.7500  dev F1 84.50  (1.0 s)" in "".join(said)
    bar = next(line for line in reversed(said) if "4/8" in line)
    assert "training a toy" in bar
    assert "steps/s" in bar
    assert "loss 1.2500  dev F1 84.50" in bar
    assert "0:00:0" in bar
