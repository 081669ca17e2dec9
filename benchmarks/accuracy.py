"""Accuracy of the named recipes on open corpora, and what changes of them do on development data."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Literal

import torch

from chaincrf.evaluation import measure, token_accuracy
from chaincrf.training import Recipe, in_scheme
from chaincrf.training import train as train_tagger
from chaincrf.training.recipe import RECIPES
from splits import CORPORA, TAGGING, VECTORS, splits, tuning_splits

__all__ = ["CHANGES", "accuracy", "tune"]

Row = dict[str, Any]
HEADS: dict[str, dict[str, Any]] = {
    "crf": {"head": "crf"},
    "softmax": {"head": "softmax", "constrain": "never"},
}
SGD: dict[str, Any] = {
    "optimizer": "sgd", "learning_rate": 0.015, "momentum": 0.9, "schedule": "cosine", "batch_size": 10,
    "epochs": 30, "patience": 30, "ema": 0.999, "hidden": 128,
}  # fmt: skip
ADAM: dict[str, Any] = {
    "optimizer": "adam", "learning_rate": 0.005, "schedule": "cosine", "batch_size": 16, "epochs": 12,
    "patience": 5, "ema": 0.0, "hidden": 100,
}  # fmt: skip
AVERAGED: dict[str, Any] = ADAM | {"epochs": 30, "patience": 30, "learning_rate": 0.002, "ema": 0.999}
CHANGES: dict[str, dict[str, Any]] = {
    "recipe": dict(RECIPES["ner"].values),
    "sgd": SGD,
    "adam": ADAM,
    "adam, frozen vectors": ADAM | {"freeze_vectors": True},
    "adam, shapes": ADAM | {"shape_dim": 10},
    "adam, 30 epochs": ADAM | {"epochs": 30, "patience": 30},
    "averaged adam": AVERAGED,
    "averaged adam, hidden 200": AVERAGED | {"hidden": 200},
    "averaged adam, 2 layers": AVERAGED | {"layers": 2},
    "averaged adam, 20 epochs": AVERAGED | {"epochs": 20, "patience": 20},
    "averaged adam, rate 0.001": AVERAGED | {"learning_rate": 0.001},
    "averaged adam, rate 0.004": AVERAGED | {"learning_rate": 0.004},
    "averaged adam, batch 32": AVERAGED | {"batch_size": 32, "learning_rate": 0.003},
    "averaged adam, locked dropout": AVERAGED | {"dropout_mask": "sentence"},
    "averaged adam, recurrent dropout 0.2": AVERAGED | {"recurrent_dropout": 0.2},
    "averaged adam, word dropout 0.01": AVERAGED | {"word_dropout": 0.01},
    "averaged adam, word dropout 0.1": AVERAGED | {"word_dropout": 0.1},
    "averaged adam, shapes": AVERAGED | {"shape_dim": 10},
    "averaged adam, char filters 50": AVERAGED | {"char_filters": 50},
    "averaged adam, frozen vectors": AVERAGED | {"freeze_vectors": True},
    "sgd, frozen vectors": SGD | {"freeze_vectors": True},
    "sgd, no ema": SGD | {"ema": 0.0},
    "sgd, hidden 200": SGD | {"hidden": 200},
    "sgd, 2 layers": SGD | {"layers": 2},
    "sgd, batch 32": SGD | {"batch_size": 32},
    "sgd, inverse time": SGD | {"schedule": "inverse-time"},
    "sgd, warm-up of an epoch": SGD | {"warmup": 1.0},
    "sgd, rate 0.03": SGD | {"learning_rate": 0.03},
    "sgd, rate 0.0075": SGD | {"learning_rate": 0.0075},
    "sgd, 60 epochs": SGD | {"epochs": 60, "patience": 60},
    "sgd, locked dropout": SGD | {"dropout_mask": "sentence"},
    "sgd, recurrent dropout 0.2": SGD | {"recurrent_dropout": 0.2},
    "sgd, word dropout 0.01": SGD | {"word_dropout": 0.01},
    "sgd, word dropout 0.1": SGD | {"word_dropout": 0.1},
    "sgd, shapes": SGD | {"shape_dim": 10},
    "sgd, weight decay 1e-5": SGD | {"weight_decay": 1e-5},
    "sgd, char filters 50": SGD | {"char_filters": 50},
    "sgd, BIO": SGD | {"scheme": "BIO"},
}
"""What `tune` tries, as changes of the plain defaults: families that are written out, so that another recipe
`ner` leaves their results as they are, and what differs from them."""


@dataclass(frozen=True)
class Job:
    """One training run."""

    corpus: str
    variant: str
    seed: int
    data: Path
    changes: Mapping[str, Any]
    tuning: bool

    @property
    def task(self) -> Literal["ner", "pos"]:
        """Spans or one tag a token."""
        return "pos" if self.corpus in TAGGING else "ner"

    @property
    def recipe(self) -> Recipe:
        """What the run is trained by."""
        return Recipe(task=self.task, vectors=str(self.data / VECTORS), seed=self.seed, **self.changes)

    @property
    def key(self) -> Row:
        """What tells it from others; a run of another recipe is another run."""
        said = self.recipe.model_dump(mode="json", exclude={"task", "seed", "vectors"})
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]
        return {"corpus": self.corpus, "variant": self.variant, "seed": self.seed, "recipe": digest}


def perform(job: Job) -> Row:
    """Train, and score on what the job is for."""
    if job.tuning:
        train, dev = tuning_splits(job.corpus, job.data)
        test = None
    else:
        train, dev, test = splits(job.corpus, job.data)
    start = time.process_time()
    tagger, record = train_tagger(train, dev, job.recipe)
    processor = time.process_time() - start
    (kept,) = record.kept.values()
    if record.failure is not None:
        raise record.failure
    row = job.key | {
        "epochs": kept.epochs,
        "best epoch": kept.epoch,
        "dev F1": round(100 * kept.score, 2),
        "train seconds": round(kept.train_seconds, 1),
    }
    if test is None:
        last = [next(iter(epoch.scores.values())) for epoch in record.epochs[-3:]]
        return row | {"last dev F1": round(100 * sum(last) / len(last), 2), "changes": dict(job.changes)}
    row["processor seconds"] = round(processor, 1)
    if job.task == "pos":
        tags = [sentence.tags or () for sentence in test.sentences]
        found = token_accuracy(tags, tagger.tag_sentences(test.sentences))
        return row | {"test accuracy": round(100 * found.accuracy, 2)}
    gold = in_scheme(test, job.recipe.scheme)
    found = measure([s.tags or () for s in gold], tagger.tag_sentences(gold), job.recipe.scheme)
    scores = {repair: round(100 * score, 2) for repair, score in found.scores.items()}
    return row | {"test F1": scores}


def start() -> None:
    """One thread a process: waiting for another costs more than it gains. None outlives its parent."""
    torch.set_num_threads(1)
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def perform_all(jobs: Iterable[Job], done: Sequence[Row], workers: int) -> Iterator[Row]:
    """The rows of former calls that still hold, then those of the jobs that are left, as they end."""
    wanted = {json.dumps(job.key): job for job in jobs}
    same = {(job.variant, job.key["recipe"]) for job in wanted.values()}
    names, tasks = {variant for variant, _ in same}, {job.corpus in TAGGING for job in wanted.values()}
    for row in done:
        wanted.pop(json.dumps({name: row[name] for name in ("corpus", "variant", "seed", "recipe")}), None)
        others = row["variant"] not in names or (row["corpus"] in TAGGING) not in tasks
        if others or (row["variant"], row["recipe"]) in same:
            yield row
    with ProcessPoolExecutor(workers, get_context("spawn"), start) as pool:
        futures = [pool.submit(perform, job) for job in wanted.values()]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def make_jobs(
    data: Path | None,
    corpora: Sequence[str],
    variants: Mapping[str, Mapping[str, Any]],
    seeds: int,
    tuning: bool,
) -> list[Job]:
    """All runs: each variant in turn, so that the first results compare."""
    if data is None:
        raise SystemExit("this measurement needs --data FOLDER")
    known = CORPORA | TAGGING
    if unknown := [name for name in corpora if name not in known]:
        raise SystemExit(f"--corpora: expected some of {', '.join(known)}, got {', '.join(unknown)}")
    recipes = {name: {} if tuning else RECIPES["pos" if name in TAGGING else "ner"].values for name in known}
    return [
        Job(corpus, name, seed, data.resolve(), {**recipes[corpus], **changes}, tuning)
        for seed in range(1, seeds + 1)
        for corpus in corpora
        for name, changes in variants.items()
    ]


def chosen(names: Sequence[str] | None, known: Mapping[str, Row]) -> Mapping[str, Row]:
    """Those of the names, all by default."""
    if unknown := [name for name in names or [] if name not in known]:
        raise SystemExit(f"--variants: expected some of {', '.join(known)}, got {', '.join(unknown)}")
    return {name: known[name] for name in names or known}


def accuracy(
    data: Path | None,
    *,
    done: Sequence[Row] = (),
    corpora: Sequence[str] = tuple(CORPORA),
    variants: Sequence[str] | None = None,
    seeds: int = 5,
    jobs: int = 1,
) -> Iterator[Row]:
    """Test F1 (or accuracy) of the recipes with both heads, GloVe-100; goes on where it ended."""
    runs = make_jobs(data, corpora, chosen(variants, HEADS), seeds, tuning=False)
    yield from perform_all(runs, done, jobs)


def tune(
    data: Path | None,
    *,
    done: Sequence[Row] = (),
    corpora: Sequence[str] = ("ncbi-2500", "wikigold", "politics"),
    variants: Sequence[str] | None = None,
    seeds: int = 2,
    jobs: int = 1,
) -> Iterator[Row]:
    """Development F1 (or accuracy) of what a recipe could be; goes on where it ended."""
    runs = make_jobs(data, corpora, chosen(variants, CHANGES), seeds, tuning=True)
    yield from perform_all(runs, done, jobs)
