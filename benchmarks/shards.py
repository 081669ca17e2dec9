"""Tagging shards on Ray, from one worker to two, in turns."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from chaincrf import Recipe, Tagger, read_corpus
from chaincrf.data import get_corpus
from chaincrf.tagging.files import Job
from chaincrf.tagging.scale import shard_outputs, tag_shards
from chaincrf.training import build_model, prepare

__all__ = ["shards"]

SHARDS, COPIES = 24, 4


def shards(data: Path | None, *, rounds: int = 3) -> Iterator[dict[str, Any]]:
    """Shards of text to JSON lines with probabilities on Ray, one worker and two; a model of default size."""
    import ray

    del data
    splits = {name: read_corpus(path) for name, path in get_corpus("ncbi-disease").splits.items()}
    recipe = Recipe()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        Tagger(build_model(prepare(splits["train"], splits["dev"], recipe), recipe)).save(folder / "model")
        text = "".join(" ".join(s.tokens) + "\n" for s in splits["test"].sentences)
        inputs = [folder / f"{number:02}.txt" for number in range(SHARDS)]
        for path in inputs:
            path.write_text(text * COPIES, encoding="utf-8")
        ray.init(num_cpus=2, log_to_driver=False, configure_logging=False, include_dashboard=False)
        found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
        for turn in range(rounds):
            for workers, own in found.items():
                own.append(tagged(folder / "model", inputs, folder / f"out-{workers}-{turn}", workers))
                print(f"{workers} workers: {own[-1][0]:.0f} s, {own[-1][1]:.0f} tokens a second", flush=True)
        ray.shutdown()
    seconds, rates = (
        {workers: statistics.median(pair[i] for pair in own) for workers, own in found.items()}
        for i in (0, 1)
    )
    for workers in found:
        yield {
            "workers": workers,
            "shards": SHARDS,
            "seconds, start included": round(seconds[workers], 1),
            "tokens a second, start left out": round(rates[workers]),
        }
    ratios = round(rates[2] / rates[1], 2), round(seconds[1] / seconds[2], 2)
    yield dict(zip(("two workers / one", "start included"), ratios, strict=True))


def tagged(model: Path, inputs: list[Path], output: Path, workers: int) -> tuple[float, float]:
    """The seconds of a run, and tokens a second from when each worker has done a shard to the end."""
    start = perf_counter()
    manifest = tag_shards(model, inputs, output, Job(), workers=workers)
    seconds = perf_counter() - start
    places = shard_outputs(inputs, output, Job().output_format).values()
    ends = sorted(place.stat().st_mtime for place in places)
    tokens = manifest["total"]["tokens"] * (SHARDS - workers) / SHARDS
    return seconds, tokens / (ends[-1] - ends[workers - 1])
