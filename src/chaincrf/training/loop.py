"""The training loop, on Lightning Fabric: one can read it in a minute."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ..errors import ChainCRFError, ConfigError
from ..evaluation import evaluate_tags, token_accuracy
from ..nn import BiLSTMTagger
from ..tagging.predict import predict_tags
from .recipe import Recipe
from .setup import Prepared

__all__ = ["Epoch", "Fit", "Kept", "dev_score", "fit"]


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
        state: the weights after that epoch.
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
            self.state = {key: value.detach().cpu().clone() for key, value in model.state_dict().items()}


@dataclass
class Fit:
    """A finished training run: its epochs, and the best weights for each decoder."""

    kept: dict[str, Kept]
    epochs: list[Epoch] = field(default_factory=list)
    interrupted: bool = False


def fit(
    model: BiLSTMTagger,
    prepared: Prepared,
    recipe: Recipe,
    *,
    decoders: Mapping[str, bool | None] | None = None,
    on_step: Callable[[int, int], None] = lambda done, total: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Fit:
    """Train a model; after every epoch decode the development data and keep the best weights.

    Args:
        model: the model, changed in place; its last weights are not the best ones, see ``Fit.kept``.
        prepared: the data.
        recipe: how to train.
        decoders: names of ways to decode, with the ``constrained`` argument of each. Every one of them
            keeps its own best epoch.
        on_step: called after every step with the steps done and those of the whole run.
        on_epoch: called after every epoch.

    Raises:
        ChainCRFError: if the loss is not finite.
        ConfigError: if the device is not there, or cannot compute in the recipe's precision.

    A keyboard interrupt after the first epoch ends the run and returns what was best so far.
    """
    decoders = decoders or {"": None}
    result = Fit({name: Kept(recipe.patience) for name in decoders})
    fabric = _fabric(recipe)
    torch.manual_seed(recipe.seed)  # the same dropout for every head, whatever building it drew
    order = np.random.default_rng(recipe.seed)
    steps = math.ceil(sum(map(bool, map(len, prepared.train.sentences))) / recipe.batch_size)
    optimizer = _optimizer(model, recipe)
    schedule = LambdaLR(optimizer, lambda step: _rate(step, steps, recipe))
    wrapped, wrapped_optimizer = fabric.setup(model, optimizer)

    def train_one_epoch(number: int) -> float:
        model.train()
        loss_sum = torch.zeros((), device=fabric.device)
        for step, batch in enumerate(prepared.train.batches(recipe.batch_size, generator=order), start=1):
            moved = batch.to(fabric.device)
            loss = wrapped(**moved.inputs, tags=moved.tags)
            fabric.backward(loss)
            fabric.clip_gradients(wrapped, wrapped_optimizer, max_norm=recipe.clip, error_if_nonfinite=False)
            wrapped_optimizer.step()
            wrapped_optimizer.zero_grad()
            schedule.step()
            loss_sum += loss.detach()
            on_step((number - 1) * steps + step, recipe.epochs * steps)
        return loss_sum.item() / steps

    try:
        for number in range(1, recipe.epochs + 1):
            start = time.perf_counter()
            loss = train_one_epoch(number)
            seconds = time.perf_counter() - start
            if not math.isfinite(loss):
                raise ChainCRFError(
                    f"the loss of epoch {number} is {loss}: "
                    f"try a lower learning rate than {recipe.learning_rate}"
                )
            epoch = Epoch(number, loss, _dev_scores(model, prepared, decoders), seconds)
            result.epochs.append(epoch)
            for name, kept in result.kept.items():
                kept.watch(epoch.scores[name], epoch, model)
            on_epoch(epoch)
            if all(kept.finished for kept in result.kept.values()):
                break
    except KeyboardInterrupt:
        if not result.epochs:
            raise
        result.interrupted = True
    return result


def dev_score(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], scheme: str | None) -> float:
    """The score that selects an epoch: span F1 (spans read as conlleval does), or token accuracy for POS."""
    if scheme is None:
        return token_accuracy(gold, predicted).accuracy
    return evaluate_tags(gold, predicted, scheme).overall.f1


def _fabric(recipe: Recipe) -> Fabric:
    if recipe.precision == "16-mixed" and recipe.device == "auto" and not torch.accelerator.is_available():
        raise ConfigError("precision: 16-mixed needs a GPU; on the CPU take bf16-mixed or 32-true")
    try:
        fabric = Fabric(accelerator=recipe.device, devices=1, precision=recipe.precision)
    except (RuntimeError, ValueError, MisconfigurationException) as error:
        raise ConfigError(
            f"device: expected one that this machine has, got {recipe.device!r}: {error}"
        ) from None
    fabric.launch()
    return fabric


def _dev_scores(
    model: BiLSTMTagger, prepared: Prepared, decoders: Mapping[str, bool | None]
) -> dict[str, float]:
    results = predict_tags(model, prepared.dev, prepared.vocabulary.tags, constrained=list(decoders.values()))
    return {
        name: dev_score(prepared.dev_tags, tags, prepared.scheme)
        for name, tags in zip(decoders, results, strict=True)
    }


def _optimizer(model: BiLSTMTagger, recipe: Recipe) -> Optimizer:
    # One fused kernel saves a fifth of a training step on a CPU. A gradient scaler could not clip with it.
    fused = recipe.precision != "16-mixed"
    if recipe.optimizer == "adam":
        return Adam(model.parameters(), lr=recipe.learning_rate, fused=fused)
    return SGD(model.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum, fused=fused)


def _rate(step: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """The learning rate at a step, as a share of the recipe's."""
    if recipe.schedule == "inverse-time":
        return 1 / (1 + recipe.decay * (step // steps_per_epoch))
    if recipe.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * min(1.0, step / (recipe.epochs * steps_per_epoch))))
    return 1.0
