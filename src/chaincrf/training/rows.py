"""Updates of a table of word vectors that touch only the rows of a step.

A batch of 400 tokens reads some 300 rows of a table of 25,000 or 340,000. A dense optimiser gives every row
its step all the same: weight decay, what is left of the momentum, the moving average of the weights. Here a
row that no batch reads is left alone, and when it is read again (or all of them are wanted) it is *caught
up* with the steps that it missed, in closed form.

Without a gradient a step is linear in a row's state (p, q, a): the parameter, what pushes it, its average.
With the rate l, the decay w, and d the average's weight of the past, a step is a matrix M of nine numbers:

- SGD, where q is the momentum: q' = mu q + w p, p' = p - l q', a' = d a + (1 - d) p'.
- Adam and AdamW, where q = m / (sqrt(v) + eps): q' = b1 / sqrt(b2) q, p' = (1 - l w) p - l c q' with the
  bias correction c = sqrt(1 - b2^t) / (1 - b1^t) of step t, and a' as above; m' = b1 m and v' = b2 v.

The steps that a row missed are together the product of their matrices, whatever the schedule did meanwhile;
the products from every step of a window to the present are kept up to date, a 3x3 product each. So a row has
what the dense optimiser would have given it: for SGD exactly, up to rounding; for Adam and AdamW up to eps,
which stays in the proportion to sqrt(v) that it had when the row was last read. The rows that *are* read have
their step from the same PyTorch optimiser as all other parameters, as a parameter of their own: their
gradients are summed over the batch, and count in the norm that is clipped. Adam with L2 (the decay as a part
of the gradient) is not linear, and not done here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from ..nn.embeddings import WordEmbedding

__all__ = ["RowUpdates"]

_WINDOW = 1024  # steps after which all rows are caught up
_BLOCK = 16_384  # rows caught up together


class RowUpdates:
    """The rows of a table of word vectors as parameters of an optimiser, a step's rows at a time.

    For every step: look the rows up (:meth:`lookup`) around the forward and backward passes, let the
    optimiser take its step, and put them back (:meth:`store`). Between the two the table lags behind; before
    it is read as a whole, :meth:`catch_up`.

    Args:
        table: the embedding; its first ``num_trained`` rows are updated.

    Cost: a step touches the rows of the batch, and 9 numbers for each of up to 1,024 steps; memory that of a
    dense optimiser, without the gradient of the table.
    """

    def __init__(self, table: WordEmbedding) -> None:
        weight = table.weight.detach()
        self.table = table
        self.parameter = nn.Parameter(weight[:0].clone())
        self.average: Tensor | None = None
        self._state: dict[str, Tensor] = {}
        self._taken = 0  # steps since the beginning
        self._last = torch.zeros(len(weight), dtype=torch.long, device=weight.device)  # within the window
        self._products = torch.zeros(3, _WINDOW + 1, 3, dtype=torch.float64)  # from after a step to now
        self._index = self._last[:0]
        self._begin_window()

    def bind(self, optimizer: Optimizer, average: Tensor | None) -> None:
        """Take part in an optimiser of one group with :attr:`parameter`, and in the moving average."""
        self._optimizer, self.average = optimizer, average
        self._sgd = isinstance(optimizer, SGD)
        names = ("exp_avg", "exp_avg_sq")
        if self._sgd:
            names = ("momentum_buffer",) if optimizer.param_groups[0]["momentum"] else ()
        self._state = {name: torch.zeros_like(self.table.weight, requires_grad=False) for name in names}

    @contextmanager
    def lookup(self, words: Int[Tensor, " N"]) -> Iterator[None]:
        """While the block runs, the table has its rows of these words (row 0 and 1 besides) as a parameter.

        Args:
            words: the indices of the words in all batches of the step, in all processes.
        """
        if self._steps == _WINDOW:
            self.catch_up()
        self._index = index = self.table.trained_rows(words)
        self._catch_up(index)
        self.parameter.data = self.table.weight.detach()[index]
        if self._taken:  # the optimiser begins with a state of its own
            state: dict[str, Any] = {name: value[index] for name, value in self._state.items()}
            if not self._sgd:
                state["step"] = torch.tensor(float(self._taken))
            self._optimizer.state[self.parameter] = state
        self.table.looked_up = (index, self.parameter)
        try:
            yield
        finally:
            self.table.looked_up = None

    @torch.no_grad()
    def store(self, past: float) -> None:
        """Put the rows back after the optimiser's step.

        Args:
            past: the average's weight of the past in this step.
        """
        state = self._optimizer.state.pop(self.parameter, {})
        index, new = self._index, self.parameter.detach()
        self.table.weight.detach()[index] = new
        for name, value in self._state.items():
            value[index] = state[name]
        if self.average is not None:
            self.average[index] = self.average[index].lerp_(new, 1 - past)
        self._taken += 1
        now = self._steps + 1
        flat = self._products[:, :now].reshape(3, 3 * now)
        self._products[:, :now] = (self._missed(past) @ flat).view(3, now, 3)
        self._products[:, now] = torch.eye(3, dtype=torch.float64)
        self._steps = now
        self._last[index] = now

    @torch.no_grad()
    def catch_up(self) -> None:
        """Give every row the steps that it missed."""
        if self._steps:
            for index in torch.arange(len(self._last)).split(_BLOCK):
                self._catch_up(index)
            self._begin_window()

    @property
    def _group(self) -> dict[str, Any]:
        return self._optimizer.param_groups[0]

    def _begin_window(self) -> None:
        self._steps = 0
        self._last.zero_()
        self._products[:, 0] = torch.eye(3, dtype=torch.float64)

    @torch.no_grad()
    def _catch_up(self, index: Int[Tensor, " U"]) -> None:
        last = self._last[index]
        weight = self.table.weight.detach()
        old = weight[index]
        # (3, U, 3): what the state at a row's last step has become
        become = self._products[:, last].to(old.dtype)
        to_p, to_q, to_a = (part[..., None] for part in become.unbind(0))
        state = {name: value[index] for name, value in self._state.items()}
        push = self._push(state)
        new = to_p[:, 0] * old
        if push is not None:
            new += to_p[:, 1] * push
        if self.average is not None:
            average = to_a[:, 0] * old + to_a[:, 2] * self.average[index]
            self.average[index] = average if push is None else average + to_a[:, 1] * push
        if self._sgd and push is not None:
            self._state["momentum_buffer"][index] = to_q[:, 0] * old + to_q[:, 1] * push
        elif not self._sgd:
            missed = (self._steps - last).to(old.dtype)[:, None]
            for name, beta in zip(("exp_avg", "exp_avg_sq"), self._group["betas"], strict=True):
                self._state[name][index] = state[name] * beta**missed
        weight[index] = new

    def _push(self, state: Mapping[str, Tensor]) -> Tensor | None:
        if self._sgd:
            return state.get("momentum_buffer")
        return state["exp_avg"] / (state["exp_avg_sq"].sqrt() + self._group["eps"])

    def _missed(self, past: float) -> Float[Tensor, "3 3"]:
        """The matrix of the step that was just taken."""
        rate, decay = self._group["lr"], self._group["weight_decay"]
        if self._sgd:
            q = [decay, self._group["momentum"], 0.0]
            p = [1 - rate * decay, -rate * q[1], 0.0]
        else:
            first, second = self._group["betas"]
            q = [0.0, first / math.sqrt(second), 0.0]
            correction = math.sqrt(1 - second**self._taken) / (1 - first**self._taken)
            p = [1 - rate * decay, -rate * correction * q[1], 0.0]
        a = [(1 - past) * p[0], (1 - past) * p[1], past]
        return torch.tensor([p, q, a], dtype=torch.float64)

    def capture(self) -> dict[str, Any]:
        """What a checkpoint holds of it, besides the table and its average: nothing is caught up for it."""
        return {
            "state": self._state,
            "taken": self._taken,
            "steps": self._steps,
            "last": self._last,
            "products": self._products[:, : self._steps + 1],
        }

    def restore(self, captured: Mapping[str, Any]) -> None:
        """Go back to what was captured."""
        for name, value in self._state.items():
            value.copy_(captured["state"][name])
        self._taken, self._steps = captured["taken"], captured["steps"]
        self._last.copy_(captured["last"])
        self._products[:, : self._steps + 1] = captured["products"]
