"""All that a training run changes: what a checkpoint holds, and what going on from it brings back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import Optimizer

from ..nn import BiLSTMTagger
from .average import Average
from .record import Fit

__all__ = ["TrainingState"]


@dataclass
class TrainingState:
    """A run between two steps.

    Attributes:
        model, optimizer, average: of the run.
        fabric: its precision may keep a scale of the gradients.
        order: draws the batches, once an epoch.
        fit: what the finished epochs gave.
        epoch: the epoch that is going on, counted from 1.
        step: steps of it that are done.
        loss: the sum of their losses.
        seconds: the time that they took.
    """

    model: BiLSTMTagger
    optimizer: Optimizer
    average: Average
    fabric: Fabric
    order: np.random.Generator
    fit: Fit
    epoch: int = 1
    step: int = 0
    loss: Tensor = field(default_factory=lambda: torch.zeros(()))
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.loss = torch.zeros((), device=self.fabric.device)
        self._order_at_start = self.order.bit_generator.state

    def begin_epoch(self, number: int) -> None:
        """No step of this epoch is done, and its batches are yet to be drawn."""
        self.epoch, self.step, self.seconds = number, 0, 0.0
        self.loss = torch.zeros((), device=self.fabric.device)
        self._order_at_start = self.order.bit_generator.state

    def capture(self) -> dict[str, Any]:
        """The state as a tree of JSON values and tensors."""
        optimizer = self.optimizer.state_dict()
        cuda = self.fabric.device.type == "cuda"
        return {
            "parameters": dict(self.model.named_parameters()),
            "optimizer": optimizer | {"state": {str(i): s for i, s in optimizer["state"].items()}},
            "average": self.average.capture(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "random": {"cpu": torch.get_rng_state()} | ({"cuda": torch.cuda.get_rng_state()} if cuda else {}),
            "order": self._order_at_start,
            "fit": self.fit.capture(),
            "epoch": self.epoch,
            "step": self.step,
            "loss": self.loss,
            "seconds": self.seconds,
        }

    def restore(self, captured: Mapping[str, Any]) -> None:
        """Go back to a captured state, bit for bit."""
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(captured["parameters"][name])
        optimizer = captured["optimizer"]
        self.optimizer.load_state_dict(
            optimizer | {"state": {int(i): s for i, s in optimizer["state"].items()}}
        )
        self.average.restore(captured["average"])
        self.fabric.strategy.precision.load_state_dict(captured["precision"])
        torch.set_rng_state(captured["random"]["cpu"])
        if "cuda" in captured["random"]:
            torch.cuda.set_rng_state(captured["random"]["cuda"])
        self.order.bit_generator.state = self._order_at_start = captured["order"]
        self.fit.restore(captured["fit"])
        self.epoch, self.step = captured["epoch"], captured["step"]
        self.loss = captured["loss"].to(self.fabric.device)
        self.seconds = captured["seconds"]
