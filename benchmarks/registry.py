"""The measurements: each a function that yields rows, plain dictionaries of what was measured."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import accuracy as accuracies
import comparisons
import crf as layers
import features as sparse
import gpu as devices
import rows as tables_by_rows
import serve as serving
import shards as sharding
import steps as tagging_steps
import tag as tagging
import train as training

__all__ = ["BENCHMARKS", "benchmark"]

Row = dict[str, Any]
BENCHMARKS: dict[str, Callable[..., Iterator[Row]]] = {}
"""By name. Each takes the folder of data, or None, and the options that it names (see ``run.py``)."""


def benchmark(function: Callable[..., Iterator[Row]]) -> Callable[..., Iterator[Row]]:
    """Register a measurement under its name."""
    BENCHMARKS[function.__name__] = function
    return function


benchmark(layers.crf)
benchmark(comparisons.compare)
benchmark(training.train)
benchmark(accuracies.accuracy)
benchmark(accuracies.tune)
benchmark(tables_by_rows.rows)
benchmark(sparse.features)
benchmark(devices.gpu)
benchmark(devices.gpu_chunks)
benchmark(serving.serve)
benchmark(tagging_steps.steps)
benchmark(tagging.tag)
benchmark(sharding.shards)


def milliseconds(contestants: dict[str, Callable[[], object]], rounds: int = 15) -> dict[str, float]:
    """The median time of each, measured in turns so that a busy moment of the machine hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 2):  # two rounds to warm up
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            if number >= 2:
                times[name].append(time.perf_counter() - start)
    return {name: round(1000 * statistics.median(values), 3) for name, values in times.items()}


@benchmark
def ncbi(data: Path | None) -> Iterator[Row]:
    """The comparison on the built-in disease corpus with five seeds: the table of the README."""
    from chaincrf.compare import compare, text_report
    from chaincrf.compare.plots import save_png
    from chaincrf.data import get_corpus, read_corpus
    from chaincrf.training import Recipe

    del data
    train, dev, test = (read_corpus(path) for path in get_corpus("ncbi-disease").splits.values())
    comparison, _ = compare(
        train,
        dev,
        test,
        Recipe(epochs=8),
        seeds=range(1, 6),
        jobs=1,
        on_run=lambda job, done, total: print(
            f"run {done + 1} of {total}: {job.title}, seed {job.recipe.seed}", flush=True
        ),
    )
    print(text_report(comparison))
    save_png(comparison, Path(__file__).parent / "results" / "ncbi.png")
    for variant in comparison.variants:
        for run in variant.runs:
            yield {"variant": variant.name} | run.model_dump(
                mode="json", exclude={"labels", "slices", "calibration", "worst_moves"}
            )


@benchmark
def encoder(data: Path | None) -> Iterator[Row]:
    """A training step of the BiLSTM, compiled, against PyTorch's LSTM, padded and packed; reading too."""
    import torch
    from torch import nn

    from chaincrf.nn import BiLSTM
    from chaincrf.nn.fused_bilstm import FusedBiLSTM

    del data
    for B, T, D, H in ((10, 15, 130, 200), (16, 25, 130, 100), (32, 25, 150, 100), (32, 40, 130, 256)):
        torch.manual_seed(0)
        lengths = torch.randint(4 * T // 5, T + 1, (B,))
        mask = torch.arange(int(lengths.max())) < lengths[:, None]
        inputs = torch.randn(*mask.shape, D, requires_grad=True)
        ours, dropped, plain = BiLSTM(D, H), BiLSTM(D, H, recurrent_dropout=0.2), BiLSTM(D, H)
        for lstm in (*plain.forwards, *plain.backwards):
            lstm.register_forward_hook(lambda *_: None)  # then PyTorch computes it
        theirs = nn.LSTM(D, H, batch_first=True, bidirectional=True)

        def packed() -> None:
            given = nn.utils.rnn.pack_padded_sequence(inputs, lengths, True, False)  # noqa: B023
            states, _ = nn.utils.rnn.pad_packed_sequence(theirs(given)[0], True)  # noqa: B023
            states.sum().backward()

        def padded(module: nn.Module) -> None:
            (module(inputs, mask) * mask[..., None]).sum().backward()  # noqa: B023

        times = milliseconds(
            {
                "compiled": lambda: padded(ours),  # noqa: B023
                "compiled, recurrent dropout": lambda: padded(dropped),  # noqa: B023
                "padded": lambda: padded(plain),  # noqa: B023
                "packed": packed,
            }
        )
        fused, order = FusedBiLSTM(ours.eval()), lengths.sort(descending=True)[0].numpy()
        table, types = (
            fused.project(inputs.detach().flatten(0, 1)),
            torch.arange(mask.numel()).view(mask.shape),
        )
        with torch.inference_mode():
            times |= milliseconds(
                {
                    "reading": lambda: ours(inputs, mask),  # noqa: B023
                    "reading, fused": lambda: fused.read(table, types, order),  # noqa: B023
                }
            )
        ratios = {
            "padded / compiled": ("padded", "compiled"),
            "packed / compiled": ("packed", "compiled"),
            "reading / fused": ("reading", "reading, fused"),
        }
        yield (
            {"B": B, "T": T, "D": D, "H": H}
            | times
            | {name: round(times[one] / times[two], 2) for name, (one, two) in ratios.items()}
        )


@benchmark
def dropout(data: Path | None) -> Iterator[Row]:
    """Dropout with masks of random bits against PyTorch's, forward and backward, one thread."""
    import torch
    from torch import nn

    from chaincrf.nn import Dropout

    del data
    torch.set_num_threads(1)
    for shape in ((350, 16, 30), (32, 25, 130), (32, 25, 256)):
        numbers = torch.randn(shape, requires_grad=True)
        contestants = {
            name: lambda module=module: module(numbers).sum().backward()  # noqa: B023
            for name, module in (("chaincrf", Dropout(0.5)), ("torch", nn.Dropout(0.5)))
        }
        times = milliseconds(contestants, rounds=31)
        yield {"shape": shape} | times | {"torch / chaincrf": round(times["torch"] / times["chaincrf"], 2)}


@benchmark
def vectors(data: Path | None) -> Iterator[Row]:
    """400,000 word vectors of 100 numbers: read from text, converted, and opened again."""
    import numpy as np

    from chaincrf.data.vectors import convert_vectors, load_vectors

    del data
    numbers = np.random.default_rng(0).normal(size=100)
    with tempfile.TemporaryDirectory() as folder:
        text, table = Path(folder) / "v.txt", Path(folder) / "v.safetensors"
        line = " ".join(f"{number:.5f}" for number in numbers)
        text.write_text("".join(f"word{i} {line}\n" for i in range(400_000)))
        start = time.perf_counter()
        convert_vectors(text, table)
        seconds = time.perf_counter() - start
        opened = milliseconds({"open": lambda: load_vectors(table).row("Word399999")}, rounds=5)["open"]
        yield {"words": 400_000, "D": 100, "convert text, s": round(seconds, 1), "open converted, ms": opened}


@benchmark
def fallback(data: Path | None) -> Iterator[Row]:
    """How many sequences the kernel gave back to log space while taggers were trained."""
    from unittest import mock

    from chaincrf.crf.kernels import numba_cpu
    from chaincrf.data import get_corpus, read_corpus
    from chaincrf.training import Recipe, train

    del data
    scaled, logs = numba_cpu.reduced_loss, numba_cpu._log_space
    for corpus, task in (("ncbi-disease", "ner"), ("ewt-pos", "pos")):
        splits = {name: read_corpus(path, task=task) for name, path in get_corpus(corpus).splits.items()}
        for constrained in (False, True) if task == "ner" else (False,):
            seen = {"sequences": 0, "given back": 0}

            def counted(emissions: Any, *rest: Any, **options: Any) -> Any:
                seen["sequences"] += len(emissions)  # noqa: B023 (each has its own)
                return scaled(emissions, *rest, **options)

            def counted_again(*given: Any) -> None:
                seen["given back"] += len(given[-1])  # noqa: B023
                logs(*given)

            recipe = Recipe(task=task, head="crf", constrain="always" if constrained else "never", epochs=8)
            with (
                mock.patch.object(numba_cpu, "reduced_loss", counted),
                mock.patch.object(numba_cpu, "_log_space", counted_again),
            ):
                train(splits["train"], splits["dev"], recipe)
            yield {"corpus": corpus, "constrained": constrained, "epochs": 8} | seen
