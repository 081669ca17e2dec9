"""Row-wise updates of word vectors against PyTorch's dense ones, in a whole step of training."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chaincrf.nn import BiLSTMTagger
from chaincrf.training import Recipe, updates
from chaincrf.training.processes import Processes, launch

__all__ = ["rows"]

TURNS, STEPS, B, T, K = 12, 8, 16, 25, 9


class Words:
    """Words in place of a corpus: a step of it reads the words that it is given."""

    def __init__(self, words: torch.Tensor) -> None:
        self._words = words

    def words(self, index: np.ndarray) -> torch.Tensor:
        return self._words.flatten()


def rows(data: Path | None) -> Iterator[dict[str, Any]]:
    """A step of training with tables of word vectors: rows of the batch against the whole table."""
    del data
    for number in (2_000, 4_000, 8_000, 25_000, 341_000):
        for optimizer in ("sgd", "adamw"):
            for ema in (0.0, 0.999):
                recipe = Recipe(optimizer=optimizer, ema=ema, weight_decay=0.0001, momentum=0.9, device="cpu")
                steps = {"dense": _step(number, recipe, 10**9), "by rows": _step(number, recipe, 0)}
                times: dict[str, list[float]] = {name: [] for name in steps}
                for _ in range(TURNS):
                    # Zipf's law, as far as the table goes
                    turn = (number ** torch.rand(STEPS, B, T)).long().clamp(max=number - 1)
                    for name, step in steps.items():
                        start = time.perf_counter()
                        for words in turn:
                            step(words)
                        times[name].append((time.perf_counter() - start) / STEPS)
                found = {name: 1000 * statistics.median(each[1:]) for name, each in times.items()}
                yield (
                    {"rows": number, "D": 100, "optimizer": optimizer, "ema": ema}
                    | {f"{name}, ms": round(value, 2) for name, value in found.items()}
                    | {"dense / by rows": round(found["dense"] / found["by rows"], 2)}
                )


def _step(number: int, recipe: Recipe, least: int) -> Callable[[torch.Tensor], None]:
    torch.manual_seed(0)
    model = BiLSTMTagger(num_words=number, num_tags=K, hidden=128)
    fabric, usual = launch(recipe), updates.MIN_ROWS
    updates.MIN_ROWS = least
    update = updates.Updates(model, recipe, Processes(fabric))
    updates.MIN_ROWS = usual
    wrapped, optimizer = fabric.setup(model, update.optimizer)
    mask, tags = torch.ones(B, T, dtype=torch.bool), torch.randint(K, (B, T))

    def step(words: torch.Tensor) -> None:
        with update.lookup(Words(words), [np.arange(B)]):  # type: ignore[arg-type]
            fabric.backward(wrapped(words, mask, tags=tags))
        update.clip(fabric, wrapped, optimizer)
        update.step(optimizer, 1.0)

    return step
