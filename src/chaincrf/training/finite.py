"""A loss that is not finite stops a run at once, and the error names the batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import NotFiniteError

__all__ = ["FiniteCheck"]

_PATIENCE = 16  # steps between two looks at a GPU's numbers: each look waits for the GPU
_SHOWN = 32


class FiniteCheck:
    """Looks at the loss and the gradient's norm of every step of an epoch.

    On a CPU it looks before the optimiser's step, so that the weights stay as they were; on another device
    only every few steps and when told to, because looking waits for the device.

    Args:
        epoch: the epoch's number, for the message.
        gradient: whether the gradient must be finite too; with a gradient scaler it need not.
    """

    def __init__(self, epoch: int, *, gradient: bool = True) -> None:
        self._epoch = epoch
        self._gradient = gradient
        self._unseen: list[tuple[int, list[int], Tensor, Tensor | None]] = []

    def check(
        self, step: int, group: Sequence[Int[np.ndarray, " _"]], loss: Float[Tensor, ""], norm: Tensor | None
    ) -> None:
        """Look at a step over these batches of sentences, now or later.

        Raises:
            NotFiniteError: if this or an earlier step was not finite.
        """
        numbers = [number + 1 for index in group for number in index.tolist()]
        self._unseen.append((step, numbers, loss.detach(), norm if self._gradient else None))
        if loss.device.type == "cpu" or len(self._unseen) == _PATIENCE:
            self.settle()

    def settle(self) -> None:
        """Look at all steps that were not looked at yet.

        Raises:
            NotFiniteError: if one was not finite.
        """
        for step, numbers, loss, norm in self._unseen:
            for name, value in (("loss", loss), ("gradient's norm", norm)):
                if value is not None and not math.isfinite(value.item()):
                    shown = ", ".join(map(str, numbers[:_SHOWN])) + (", ..." if numbers[_SHOWN:] else "")
                    raise NotFiniteError(
                        f"epoch {self._epoch}, step {step}: the {name} is {value.item()}; the batch: "
                        f"sentences {shown} of the training data, empty ones not counted; "
                        "a lower learning rate may help"
                    )
        self._unseen.clear()
