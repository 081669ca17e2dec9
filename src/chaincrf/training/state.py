"""All that a training run changes: what a checkpoint holds, and what going on from it brings back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from ..nn import BiLSTMTagger
from .processes import Processes
from .record import Fit
from .updates import Updates

__all__ = ["TrainingState"]


@dataclass
class TrainingState:
    """A run between two steps.

    Attributes:
        model, updates: of the run.
        fabric: its precision may keep a scale of the gradients.
        processes: each has random states of its own.
        order: draws the batches, once an epoch.
        fit: what the finished epochs gave.
        epoch: the epoch that is going on, counted from 1.
        step: steps of it that are done.
        loss: the sum of their losses.
        seconds: the time that they took.
    """

    model: BiLSTMTagger
    updates: Updates
    fabric: Fabric
    processes: Processes
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
        """The state as a tree of JSON values and tensors; called in all processes, the same in all."""
        random = {"cpu": self.processes.gather(torch.get_rng_state())}
        if self.fabric.device.type == "cuda":
            random["cuda"] = self.processes.gather(torch.cuda.get_rng_state())
        return {
            "parameters": dict(self.model.named_parameters()),
            "updates": self.updates.capture(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "random": random,
            "order": self._order_at_start,
            "fit": self.fit.capture(),
            "epoch": self.epoch,
            "step": self.step,
            "loss": self.loss,
            "seconds": self.seconds,
        }

    def restore(self, captured: Mapping[str, Any]) -> None:
        """Go back to a captured state: bit for bit on the same device, with as many processes."""
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(captured["parameters"][name])
        self.updates.restore(captured["updates"])
        self.fabric.strategy.precision.load_state_dict(captured["precision"])
        random, number = captured["random"], self.processes.number
        if len(random["cpu"]) == self.processes.count:
            torch.set_rng_state(random["cpu"][number].clone())  # a view makes PyTorch crash
            if "cuda" in random and self.fabric.device.type == "cuda":
                torch.cuda.set_rng_state(random["cuda"][number].clone())
        self.order.bit_generator.state = self._order_at_start = captured["order"]
        self.fit.restore(captured["fit"])
        self.epoch, self.step = captured["epoch"], captured["step"]
        self.loss = captured["loss"].to(self.fabric.device)
        self.seconds = captured["seconds"]
