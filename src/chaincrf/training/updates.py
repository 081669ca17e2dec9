"""A step of training: the norm of the gradient, the optimiser, the averages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from ..data.batching import EncodedSentences
from ..data.streaming import StreamedSentences
from ..nn import BiLSTMTagger
from .average import Average
from .processes import Processes
from .recipe import Recipe
from .rows import RowUpdates

__all__ = ["MIN_ROWS", "Updates", "updates_rows"]

MIN_ROWS = 8_000
"""Rows from which on a table is updated by rows: a small one is faster updated as a whole."""


def updates_rows(model: BiLSTMTagger, recipe: Recipe) -> bool:
    """Whether the word vectors are updated by rows: where that is faster, and gives the same.

    Not on a GPU, for which a table is one more small tensor; nor for Adam with L2.
    """
    linear = recipe.optimizer != "adam" or not recipe.weight_decay
    cpu = model.words.weight.device.type == "cpu"
    return cpu and linear and model.words.num_trained >= MIN_ROWS


class Updates:
    """What changes the parameters: an optimiser, an average, and a table's rows.

    Args:
        model: on its device, the same in all processes.
        recipe: names the optimiser and its settings.
        processes: that train together.
    """

    def __init__(self, model: BiLSTMTagger, recipe: Recipe, processes: Processes) -> None:
        self._recipe, self._processes = recipe, processes
        self._table = model.words
        table = self._table.weight
        self.rows = RowUpdates(model.words) if updates_rows(model, recipe) else None
        parameters: list[Tensor] = [*model.parameters()]
        if self.rows is not None:
            parameters = [value for value in parameters if value is not table] + [self.rows.parameter]
        self.optimizer = _optimizer(parameters, recipe)
        self.average = Average(model, recipe.ema, None if self.rows is None else table)
        if self.rows is not None:
            self.rows.bind(self.optimizer, self.average.by_rows)

    @contextmanager
    def lookup(
        self, data: EncodedSentences | StreamedSentences, group: Sequence[Int[np.ndarray, " _"]]
    ) -> Iterator[None]:
        """Around the forward and backward passes of a step over these batches, of all processes together."""
        if self.rows is None:
            yield
        else:
            with self.rows.lookup(data.words(np.concatenate(group))):
                yield

    def exchange(
        self,
        loss: Float[Tensor, ""],
        data: EncodedSentences | StreamedSentences,
        group: Sequence[Int[np.ndarray, " _"]],
    ) -> None:
        """Give the loss and the gradients of a step over these batches their sums over the processes.

        Of a table of word vectors only the rows that some process has read: there are no other gradients.
        """
        if self._processes.count == 1:
            return
        parameters = [value for part in self.optimizer.param_groups for value in part["params"]]
        table = self._table.weight
        values = [loss, *(p.grad for p in parameters if p.grad is not None and p is not table)]
        if table.grad is None:
            self._processes.add_up(values)
        else:
            rows = self._table.trained_rows(data.words(np.concatenate(group))).to(table.device)
            read = table.grad.index_select(0, rows)
            self._processes.add_up([*values, read])
            table.grad.index_copy_(0, rows, read)

    def clip(self, fabric: Fabric, model: _FabricModule, optimizer: _FabricOptimizer) -> Float[Tensor, ""]:
        """Bound the norm of the gradient, and return what it was; model and optimizer are Fabric's."""
        clipped = fabric.clip_gradients(
            model, optimizer, max_norm=self._recipe.clip, error_if_nonfinite=False
        )
        assert clipped is not None
        return clipped

    def step(self, optimizer: _FabricOptimizer, rate: float) -> None:
        """Take a step, at a share of the recipe's learning rate; the optimizer is Fabric's."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._recipe.learning_rate * rate
        optimizer.step()
        optimizer.zero_grad()
        past = self.average.update()
        if self.rows is not None:
            self.rows.store(past)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """While the block runs, the model has the averaged parameters, the table's rows caught up."""
        if self.rows is not None:
            self.rows.catch_up()
        with self.average.in_place():
            yield

    def capture(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        optimizer = self.optimizer.state_dict()
        return {
            "optimizer": optimizer | {"state": {str(i): s for i, s in optimizer["state"].items()}},
            "average": self.average.capture(),
            "rows": None if self.rows is None else self.rows.capture(),
        }

    def restore(self, captured: Mapping[str, Any]) -> None:
        """Go back to what was captured."""
        optimizer = captured["optimizer"]
        self.optimizer.load_state_dict(
            optimizer | {"state": {int(i): s for i, s in optimizer["state"].items()}}
        )
        self.average.restore(captured["average"])
        if self.rows is not None:
            self.rows.restore(captured["rows"])


def _optimizer(parameters: Sequence[Tensor], recipe: Recipe) -> Optimizer:
    # One fused kernel saves a fifth of a training step on a CPU. A gradient scaler could not clip with it.
    fused = recipe.precision != "16-mixed"
    lr, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimizer == "sgd":
        return SGD(parameters, lr, recipe.momentum, weight_decay=decay, fused=fused)
    kind = AdamW if recipe.optimizer == "adamw" else Adam
    return kind(parameters, lr, weight_decay=decay, fused=fused)
