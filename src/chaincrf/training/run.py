"""Train one tagger."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .. import __version__
from ..data.corpus import Corpus
from ..data.shards import ShardedCorpus
from ..tagging import Bundle, Tagger
from .checkpoint import Checkpoints
from .loop import fit
from .named import named_recipe
from .recipe import Recipe
from .record import Epoch, Fit, Kept
from .setup import build_model, prepare

__all__ = ["environment", "finished_tagger", "run_record", "train"]


def train(
    train: Corpus | ShardedCorpus,
    dev: Corpus,
    recipe: Recipe | None = None,
    *,
    checkpoints: Checkpoints | None = None,
    on_step: Callable[[int, int, Tensor], None] = lambda done, total, loss: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> tuple[Tagger, Fit]:
    """Train a tagger and return it with the weights of its best epoch.

    Args:
        train: the training data, in memory or in shards.
        dev: the development data, by which the best epoch is chosen.
        recipe: how to train; by default the named recipe of the data's task.
        checkpoints: where the run is saved, and whether it goes on from there.
        on_step: called after every step with the steps done, those of the whole run, and the step's loss; the
            loss is on the device, and to look at it is to wait for that.
        on_epoch: called after every epoch.

    Returns:
        The tagger, and the record of its training: :attr:`Fit.failure` says if it ended before its time.

    Raises:
        DataError: if the data cannot be trained on.
        NotFiniteError: if the loss or the gradient is not finite in the first epoch.
        ModelError: if there is a checkpoint to go on from, but of another run.
    """
    recipe = recipe or named_recipe(train.report.task)
    prepared = prepare(train, dev, recipe)
    bundle = build_model(prepared, recipe)
    record = fit(bundle.model, prepared, recipe, checkpoints=checkpoints, on_step=on_step, on_epoch=on_epoch)
    (kept,) = record.kept.values()
    return finished_tagger(bundle, recipe, kept, train, dev), record


def finished_tagger(
    bundle: Bundle, recipe: Recipe, kept: Kept, train: Corpus | ShardedCorpus, dev: Corpus
) -> Tagger:
    """A tagger with the kept weights, and with the record of how it came about in its configuration."""
    kept.restore(bundle.model)
    bundle.model.to("cpu").eval()
    provenance = {
        **run_record(recipe, train, dev),
        "epochs": kept.epochs,
        "best_epoch": kept.epoch,
        "dev_score": kept.score,
        "train_seconds": round(kept.train_seconds, 2),
    }
    return Tagger(replace(bundle, config=bundle.config.model_copy(update={"training": provenance})))


def run_record(recipe: Recipe, train: Corpus | ShardedCorpus, dev: Corpus) -> dict[str, Any]:
    """What is trained with what: the recipe with its seed, the data with their hashes, the versions."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "data": {
            split: {"path": str(corpus.report.path), "sha256": corpus.report.sha256}
            | ({"unknown": corpus.report.unknown} if corpus.report.unknown else {})
            for split, corpus in (("train", train), ("dev", dev))
        },
        "environment": environment(),
    }


def environment() -> dict[str, str]:
    """Versions and machine, for the record of a run."""
    return {
        "chaincrf": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "threads": str(torch.get_num_threads()),
    }
