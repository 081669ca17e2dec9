"""The training loop, on Lightning Fabric: one can read it in a minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

import numpy as np
import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from ..data.batching import Batch
from ..errors import ConfigError, NotFiniteError
from ..evaluation import evaluate_tags, token_accuracy
from ..nn import BiLSTMTagger
from ..tagging.predict import Way, predict_tags
from .average import Average
from .checkpoint import Checkpoints
from .finite import FiniteCheck
from .recipe import Recipe
from .record import Epoch, Fit, Kept
from .schedule import rate
from .setup import Prepared
from .state import TrainingState

__all__ = ["dev_score", "fit"]


def fit(
    model: BiLSTMTagger,
    prepared: Prepared,
    recipe: Recipe,
    *,
    decoders: Mapping[str, Way] | None = None,
    checkpoints: Checkpoints | None = None,
    on_step: Callable[[int, int], None] = lambda done, total: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Fit:
    """Train a model; after every epoch decode the development data and keep the best weights.

    Args:
        model: the model as it was built, changed in place; its last weights are not the best ones, see
            ``Fit.kept``.
        prepared: the data.
        recipe: how to train.
        decoders: names of ways to decode, see :data:`chaincrf.tagging.predict.Way`. Every one of them keeps
            its own best epoch.
        checkpoints: where the run is saved, and whether it goes on from there.
        on_step: called after every step with the steps done and those of the whole run.
        on_epoch: called after every epoch.

    Raises:
        NotFiniteError: if the loss or the gradient is not finite in the first epoch.
        ConfigError: if the device is not there, or cannot compute in the recipe's precision.
        ModelError: if there is a checkpoint to go on from, but of another run.

    After the first epoch a keyboard interrupt, or a loss that is not finite, ends the run and returns what
    was best so far: see ``Fit.interrupted`` and ``Fit.failure``.
    """
    decoders = decoders or {"": None}
    checkpoints = (checkpoints or Checkpoints(None)).begin(recipe, prepared, model)
    fabric = _fabric(recipe)
    torch.manual_seed(recipe.seed)  # the same dropout for every head, whatever building it drew
    optimizer = _optimizer(model, recipe)
    wrapped, wrapped_optimizer = fabric.setup(model, optimizer)
    result = Fit({name: Kept(recipe.patience) for name in decoders})
    order = np.random.default_rng(recipe.seed)
    state = TrainingState(model, optimizer, Average(model, recipe.ema), fabric, order, result)
    checkpoints.restore(state)

    def train_one_epoch() -> float:
        plan = prepared.train.plan(recipe.batch_size, tokens=recipe.batch_tokens, generator=state.order)
        groups = [plan[i : i + recipe.accumulate] for i in range(0, len(plan), recipe.accumulate)]
        steps, finite = len(groups), FiniteCheck(state.epoch, gradient=recipe.precision != "16-mixed")
        scores = [fmean(epoch.scores.values()) for epoch in result.epochs]
        start = time.perf_counter() - state.seconds
        model.train()
        for group in groups[state.step :]:
            batches = [prepared.train.batch(index).to(fabric.device) for index in group]
            loss = _backward(fabric, wrapped, batches)
            norm = fabric.clip_gradients(
                wrapped, wrapped_optimizer, max_norm=recipe.clip, error_if_nonfinite=False
            )
            finite.check(state.step + 1, batches, loss, norm)
            done = (state.epoch - 1) * steps + state.step
            _set_rate(optimizer, recipe.learning_rate * rate(recipe, done, steps, scores))
            wrapped_optimizer.step()
            wrapped_optimizer.zero_grad()
            state.average.update()
            state.loss += loss
            state.step += 1
            state.seconds = time.perf_counter() - start
            on_step(done + 1, recipe.epochs * steps)
            if checkpoints.due and state.step < steps:
                finite.settle()
                checkpoints.save(state)
        finite.settle()
        return state.loss.item() / steps

    try:
        while state.epoch <= recipe.epochs and not result.finished:
            loss = train_one_epoch()
            with state.average.in_place():
                scores = _dev_scores(model, prepared, decoders)
                epoch = Epoch(state.epoch, loss, scores, state.seconds)
                result.add(epoch, model)
            on_epoch(epoch)
            state.begin_epoch(epoch.number + 1)
            checkpoints.save(state)
    except (KeyboardInterrupt, NotFiniteError) as error:
        if not all(kept.state for kept in result.kept.values()):
            raise
        result.failure = error if isinstance(error, NotFiniteError) else None
        result.interrupted = result.failure is None
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


def _backward(fabric: Fabric, model: nn.Module, batches: Sequence[Batch]) -> Float[Tensor, ""]:
    """The loss of several batches, the mean over all their sentences, and its gradient."""
    sentences = sum(len(batch.index) for batch in batches)
    total = torch.zeros((), device=fabric.device)
    for batch in batches:
        loss = model(**batch.inputs, tags=batch.tags) * (len(batch.index) / sentences)
        fabric.backward(loss)
        total += loss.detach()
    return total


def _dev_scores(model: BiLSTMTagger, prepared: Prepared, decoders: Mapping[str, Way]) -> dict[str, float]:
    results = predict_tags(model, prepared.dev, prepared.vocabulary.tags, constrained=list(decoders.values()))
    return {
        name: dev_score(prepared.dev_tags, tags, prepared.scheme)
        for name, tags in zip(decoders, results, strict=True)
    }


def _set_rate(optimizer: Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _optimizer(model: BiLSTMTagger, recipe: Recipe) -> Optimizer:
    # One fused kernel saves a fifth of a training step on a CPU. A gradient scaler could not clip with it.
    fused = recipe.precision != "16-mixed"
    lr, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimizer == "sgd":
        return SGD(model.parameters(), lr, recipe.momentum, weight_decay=decay, fused=fused)
    kind = AdamW if recipe.optimizer == "adamw" else Adam
    return kind(model.parameters(), lr, weight_decay=decay, fused=fused)
