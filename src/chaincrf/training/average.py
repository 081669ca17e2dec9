"""An average of the weights over the steps of a run, which often scores above the last weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

__all__ = ["Average"]


class Average:
    """The exponential moving average of a model's parameters.

    ``average = d * average + (1 - d) * parameter`` after every step, with d = min(decay, (1 + n) / (10 + n))
    at step n: the first steps are soon forgotten.

    Args:
        model: its parameters are averaged.
        decay: weight of the past; 0: there is no average, and nothing is done.
        by_rows: a parameter whose average is moved elsewhere, see :class:`chaincrf.training.rows.RowUpdates`.
    """

    def __init__(self, model: nn.Module, decay: float, by_rows: Tensor | None = None) -> None:
        self.decay = decay
        self.updates = 0
        self._parameters = dict(model.named_parameters()) if decay else {}
        self._values = {name: value.detach().clone() for name, value in self._parameters.items()}
        self._moved = [name for name, value in self._parameters.items() if value is not by_rows]
        rest = self._parameters.keys() - set(self._moved)
        self.by_rows = self._values[rest.pop()] if rest else None

    @torch.no_grad()
    def update(self) -> float:
        """Take the parameters of another step in, and return the weight of the past."""
        self.updates += 1
        past = min(self.decay, (1 + self.updates) / (10 + self.updates))
        if self._moved:
            values, new = ([part[name] for name in self._moved] for part in (self._values, self._parameters))
            get_ema_multi_avg_fn(past)(values, new, self.updates)
        return past

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the averaged parameters while the block runs."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self._parameters.items():
            own = parameter.clone()
            parameter.copy_(self._values[name])
            self._values[name].copy_(own)

    def capture(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"updates": self.updates, "values": self._values}

    @torch.no_grad()
    def restore(self, captured: Mapping[str, Any]) -> None:
        """Go back to what was captured."""
        self.updates = captured["updates"]
        for name, value in self._values.items():
            value.copy_(captured["values"][name])
