"""What a training run has given so far: its epochs, and the best weights for each decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ..errors import NotFiniteError
from ..nn import BiLSTMTagger

__all__ = ["Epoch", "Fit", "Kept"]


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training data gave."""

    number: int
    loss: float
    scores: Mapping[str, float]
    train_seconds: float


@dataclass
class Kept:
    """The weights that one decoder's best development score selected.

    It watches a run until its patience is at an end, whatever other decoders do.

    Attributes:
        patience: epochs without a better score after which the decoder is finished.
        score: the best development score, 0..1.
        epoch: the epoch it belongs to, counted from 1.
        state: the parameters after that epoch; a model's buffers never change.
        epochs: epochs watched.
        train_seconds: seconds of their training steps, evaluation excluded.
    """

    patience: int
    score: float = -1.0
    epoch: int = 0
    state: Mapping[str, Tensor] = field(default_factory=dict)
    epochs: int = 0
    train_seconds: float = 0.0

    @property
    def finished(self) -> bool:
        """Whether the patience is at an end."""
        return self.epochs - self.epoch >= self.patience

    def watch(self, score: float, epoch: Epoch, model: BiLSTMTagger) -> None:
        """Keep the weights if they are the best so far; of those that find nothing at all, the latest."""
        if self.finished:
            return
        self.epochs = epoch.number
        self.train_seconds += epoch.train_seconds
        if score > self.score or score == 0:
            self.score, self.epoch = score, epoch.number
            self.state = {name: value.detach().cpu().clone() for name, value in model.named_parameters()}

    def restore(self, model: BiLSTMTagger) -> None:
        """Give a model the kept weights."""
        model.load_state_dict({**model.state_dict(), **self.state})


@dataclass
class Fit:
    """A training run: its epochs, and the best weights for each decoder.

    Attributes:
        kept: by the decoder's name.
        epochs: in order.
        interrupted: whether a keyboard interrupt ended it.
        failure: the loss or gradient that was not finite, if one ended it; what was kept is from before.
    """

    kept: dict[str, Kept]
    epochs: list[Epoch] = field(default_factory=list)
    interrupted: bool = False
    failure: NotFiniteError | None = None

    def add(self, epoch: Epoch, model: BiLSTMTagger) -> None:
        """Take another epoch in: its record, and the model's weights wherever they are the best so far."""
        self.epochs.append(epoch)
        for name, kept in self.kept.items():
            kept.watch(epoch.scores[name], epoch, model)

    @property
    def finished(self) -> bool:
        """Whether the patience of every decoder is at an end."""
        return all(kept.finished for kept in self.kept.values())

    def capture(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {
            "kept": {name: dict(vars(kept)) for name, kept in self.kept.items()},
            "epochs": [dict(vars(epoch)) for epoch in self.epochs],
        }

    def restore(self, captured: Mapping[str, Any]) -> None:
        """Go back to what was captured."""
        self.kept = {name: Kept(**kept) for name, kept in captured["kept"].items()}
        self.epochs = [Epoch(**epoch) for epoch in captured["epochs"]]
