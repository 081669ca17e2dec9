"""Row-wise updates of word vectors against PyTorch's dense ones: lookup, backward, step, average."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.optim import SGD, AdamW, Optimizer

from chaincrf.nn.embeddings import WordEmbedding
from chaincrf.training.average import Average
from chaincrf.training.rows import RowUpdates

__all__ = ["rows"]

STEPS = 60


def rows(data: Path | None) -> Iterator[dict[str, Any]]:
    """A step of word vectors alone, 400 tokens: rows of the batch against the whole table."""
    del data
    for number in (2_000, 8_000, 25_000, 341_000):
        for kind in ("sgd", "adamw"):
            for ema in (0.0, 0.999):
                steps = _steps(number, kind, ema)
                times: dict[str, list[float]] = {name: [] for name in steps}
                for words in (torch.rand(STEPS, 16, 25) ** 3 * number).long():  # some words are frequent
                    for name, step in steps.items():
                        start = time.perf_counter()
                        step(words)
                        times[name].append(time.perf_counter() - start)
                found = {name: 1000 * statistics.median(each[5:]) for name, each in times.items()}
                yield (
                    {"rows": number, "D": 100, "optimizer": kind, "ema": ema}
                    | {f"{name}, ms": round(value, 2) for name, value in found.items()}
                    | {"dense / by rows": round(found["dense"] / found["by rows"], 1)}
                )


def _steps(number: int, kind: str, ema: float) -> dict[str, Callable[[torch.Tensor], None]]:
    torch.manual_seed(0)
    whole, table = WordEmbedding(number, 100), WordEmbedding(number, 100)
    lazy = RowUpdates(table)
    dense_optimizer, optimizer = (_optimizer(kind, part) for part in (whole.weight, lazy.parameter))
    dense_average, average = Average(whole, ema), Average(table, ema, table.weight)
    lazy.bind(optimizer, average.by_rows)

    def dense(words: torch.Tensor) -> None:
        whole(words).sum().backward()
        dense_optimizer.step()
        dense_optimizer.zero_grad()
        dense_average.update()

    def by_rows(words: torch.Tensor) -> None:
        with lazy.lookup(words.reshape(-1)):
            table(words).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        lazy.store(average.update())

    return {"dense": dense, "by rows": by_rows}


def _optimizer(kind: str, parameter: torch.Tensor) -> Optimizer:
    if kind == "sgd":
        return SGD([parameter], 0.01, 0.9, weight_decay=1e-4, fused=True)
    return AdamW([parameter], 0.001, weight_decay=1e-4, fused=True)
