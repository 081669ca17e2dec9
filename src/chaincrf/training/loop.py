"""The training loop, on Lightning Fabric: one can read it in a minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from math import ceil
from statistics import fmean

import numpy as np
import torch
from jaxtyping import Float, Int
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor

from ..data.batching import EncodedSentences
from ..data.streaming import StreamedSentences
from ..errors import NotFiniteError
from ..evaluation import Score, evaluate_tags, token_accuracy
from ..nn import BiLSTMTagger
from ..tagging.predict import Way, predict_tags
from .checkpoint import Checkpoints
from .finite import FiniteCheck
from .heap import keep_freed_memory
from .processes import Processes, launch
from .recipe import Recipe
from .record import Epoch, Fit, Kept
from .schedule import rate
from .setup import Prepared
from .state import TrainingState
from .updates import Updates

__all__ = ["dev_score", "fit"]

_Index = Int[np.ndarray, " _"]


def fit(
    model: BiLSTMTagger,
    prepared: Prepared,
    recipe: Recipe,
    *,
    decoders: Mapping[str, Way] | None = None,
    checkpoints: Checkpoints | None = None,
    on_step: Callable[[int, int, Tensor], None] = lambda done, total, loss: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Fit:
    """Train a model; after every epoch decode the development data and keep the best weights.

    Args:
        model: the model as it was built, changed in place; its last weights are not the best ones, see
            ``Fit.kept``.
        prepared: the data.
        recipe: how to train.
        decoders: names of ways to decode, with the ``constrained`` argument of each. Every one of them
            keeps its own best epoch.
        checkpoints: where the run is saved, and whether it goes on from there.
        on_step: called after every step with the steps done, those of the whole run, and the step's loss; the
            loss is on the device, and to look at it is to wait for that.
        on_epoch: called after every epoch.

    Raises:
        NotFiniteError: if the loss or the gradient is not finite in the first epoch.
        ConfigError: if the device is not there, or cannot compute in the recipe's precision.
        ModelError: if there is a checkpoint to go on from, but of another run.

    After the first epoch a keyboard interrupt, or a loss that is not finite, ends the run and returns what
    was best so far: see ``Fit.interrupted`` and ``Fit.failure``.
    """
    decoders, checkpoints = decoders or {"": None}, checkpoints or Checkpoints(None)
    keep_freed_memory()
    fabric = launch(recipe)
    processes = Processes(fabric)
    processes.seed(recipe.seed)  # the same dropout for every head, whatever building it drew
    fabric.to_device(model)
    processes.align(model)
    checkpoints.begin(recipe, prepared, model, processes)
    updates = Updates(model, recipe, processes)
    wrapped, optimizer = fabric.setup(model, updates.optimizer, move_to_device=False)
    result = Fit({name: Kept(recipe.patience) for name in decoders})
    state = TrainingState(model, updates, fabric, processes, np.random.default_rng(recipe.seed), result)
    checkpoints.restore(state)

    def train_one_epoch() -> float:
        plan = prepared.train.plan(recipe.batch_size, tokens=recipe.batch_tokens, generator=state.order)
        steps, finite = (
            ceil(len(plan) / recipe.accumulate),
            FiniteCheck(state.epoch, gradient=recipe.precision != "16-mixed"),
        )
        scores = [fmean(epoch.scores.values()) for epoch in result.epochs]
        start = time.perf_counter() - state.seconds
        model.train()
        for group in islice(_groups(plan, recipe.accumulate), state.step, None):
            with updates.lookup(prepared.train, group):
                loss = _backward(fabric, wrapped, processes, prepared.train, group)
            updates.exchange(loss, prepared.train, group)
            norm = updates.clip(fabric, wrapped, optimizer)
            finite.check(state.step + 1, group, loss, norm)
            done = (state.epoch - 1) * steps + state.step
            updates.step(optimizer, rate(recipe, done, steps, scores))
            state.loss += loss
            state.step += 1
            state.seconds = time.perf_counter() - start
            on_step(done + 1, recipe.epochs * steps, loss)
            if state.step < steps and checkpoints.due(state):
                finite.settle()
                checkpoints.save(state)
        finite.settle()
        return state.loss.item() / steps

    try:
        while state.epoch <= recipe.epochs and not result.finished:
            loss = train_one_epoch()
            with updates.averaged():
                scores = _dev_scores(model, prepared, decoders, processes)
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
    return _score(_counts(gold, predicted, scheme))


def _counts(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], scheme: str | None
) -> tuple[int, int, int]:
    """Correct, predicted and gold spans; for POS tokens."""
    if scheme is None:
        found = token_accuracy(gold, predicted)
        return found.correct, found.total, found.total
    overall = evaluate_tags(gold, predicted, scheme).overall
    return overall.correct, overall.predicted, overall.gold


def _score(counts: Sequence[int]) -> float:
    return Score(*counts).f1


def _dev_scores(
    model: BiLSTMTagger, prepared: Prepared, decoders: Mapping[str, Way], processes: Processes
) -> dict[str, float]:
    """The scores of all decoders; every process decodes its share of the sentences."""
    part = slice(processes.number, None, processes.count)
    dev, gold = replace(prepared.dev, sentences=prepared.dev.sentences[part]), prepared.dev_tags[part]
    results = predict_tags(model, dev, prepared.vocabulary.tags, constrained=list(decoders.values()))
    counts = [_counts(gold, tags, prepared.scheme) for tags in results]
    return {name: _score(processes.total(found)) for name, found in zip(decoders, counts, strict=True)}


def _groups(plan: Iterable[_Index], size: int) -> Iterator[list[_Index]]:
    batches = iter(plan)
    while group := list(islice(batches, size)):
        yield group


def _backward(
    fabric: Fabric,
    model: _FabricModule,
    processes: Processes,
    data: EncodedSentences | StreamedSentences,
    group: Sequence[_Index],
) -> Float[Tensor, ""]:
    """The loss of several batches, the mean over all their sentences, and its gradient.

    Of several processes each has its share of that sum: ``Updates.exchange`` adds them up.
    """
    weight = 1 / sum(map(len, group))
    total = torch.zeros((), device=fabric.device)
    for index in group:
        share = processes.share(index, data.lengths)
        # A process without a sentence takes one that does not count, to have gradients to exchange.
        batch = data.batch(share if len(share) else index[:1]).to(fabric.device)
        loss = model(**batch.inputs, tags=batch.tags) * (len(share) * weight)
        fabric.backward(loss)
        total += loss.detach()
    return total
