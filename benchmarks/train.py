"""Training speed: this tagger against the same one as usually written, and against Flair, in turns."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from chaincrf.data import Corpus, get_corpus, read_corpus
from chaincrf.data.batching import Batch, EncodedSentences
from chaincrf.data.vectors import WordVectors, save_vectors
from chaincrf.labels import tags_to_spans
from chaincrf.training import Prepared, Recipe, build_model, fit, prepare
from usual import usual_turns

__all__ = ["in_turns", "ratio", "train"]

Turn = Callable[[], tuple[float, float]]
SECONDS = 1.0
"""A turn ends with the step that is done then: the first steps after a pause are slower."""
STARTS = 5
"""Times that processes which train together are started: one start gains 1.5, the next 1.9."""
SIZES: dict[str, Any] = {"hidden": 128, "batch_size": 32, "optimizer": "sgd", "learning_rate": 0.015}
SIZES |= {"layers": 1, "dropout_mask": "token", "recurrent_dropout": 0.0, "weight_decay": 0.0, "ema": 0.0}
SIZES |= {"char_encoder": "cnn", "char_dim": 30, "char_filters": 30, "shape_dim": 0, "dropout": 0.5}
SIZES |= {"vectors": "builtin", "pretrained_words": 0, "batch_tokens": 0, "accumulate": 1, "device": "cpu"}


class Counted(EncodedSentences):
    """Counts the tokens of the batches that it makes."""

    tokens = 0

    def batch(self, index: np.ndarray) -> Batch:
        Counted.tokens += sum(len(self.sentences[i]) for i in index)
        return super().batch(index)


class Run:
    """Training in a process of its own, or in several at once, which goes on for a turn at a time.

    In one process, contestants have threads that hinder each other: where there are more of OpenMP's than
    cores, those that wait for work go to sleep at once, and each step wakes them a hundred times.

    Args:
        work: what trains, called with a pipe and the arguments.
        arguments: those.
        threads: of each process; as many as here by default.
        environments: variables of each process.
    """

    def __init__(
        self,
        work: Callable[..., None],
        *arguments: Any,
        threads: int | None = None,
        environments: Sequence[Mapping[str, str]] = ({},),
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes, self._processes = [], []
        for environment in environments:
            pipe, theirs = context.Pipe()
            given = (work, theirs, threads or torch.get_num_threads(), environment, *arguments)
            process = context.Process(target=_run, args=given, daemon=True)
            process.start()
            theirs.close()  # so that its end is seen
            self._pipes.append(pipe)
            self._processes.append(process)
        for pipe in self._pipes:
            pipe.recv()

    def turn(self) -> tuple[float, float]:
        """Some steps: the tokens of all processes in a second, each by its own clock, and that second."""
        for pipe in self._pipes:
            pipe.send(None)
        found = [pipe.recv() for pipe in self._pipes]
        return sum(tokens / seconds for tokens, seconds in found), 1.0

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
            process.join()


def _run(
    work: Callable[..., None], pipe: Connection, threads: int, environment: Mapping[str, str], *arguments: Any
) -> None:
    os.environ.update(environment)
    torch.set_num_threads(threads)
    work(pipe, *arguments)


def ours(pipe: Connection, train: Corpus, dev: Corpus, recipe: Recipe, steps: int | None = None) -> None:
    """The package's own training loop; a turn ends after so many steps, or when its time is over."""
    recipe = recipe.model_copy(update={"epochs": 10_000, "patience": 10_000})
    prepared = prepare(train, dev, recipe)
    prepared = replace(prepared, train=Counted(**vars(prepared.train)))
    tokens, start, done = 0, 0.0, 0

    def on_step(*_: Any) -> None:
        nonlocal tokens, start, done
        done += 1
        if done == steps or (steps is None and perf_counter() > start + SECONDS):
            pipe.send((Counted.tokens - tokens, perf_counter() - start))
            pipe.recv()
            tokens, start, done = Counted.tokens, perf_counter(), 0

    model = build_model(prepared, recipe).model
    pipe.send(None)
    pipe.recv()
    start = perf_counter()
    fit(model, prepared, recipe, on_step=on_step)


def usual(pipe: Connection, train: Corpus, dev: Corpus, recipe: Recipe) -> None:
    """The same tagger as one usually writes it."""
    turns = usual_turns(prepare(train, dev, recipe), recipe, SECONDS)
    pipe.send(None)
    while True:
        pipe.recv()
        pipe.send(next(turns))


def flair_turns(python: Path, prepared: Prepared, train: Corpus, folder: Path) -> Iterator[tuple[int, float]]:
    """Flair's tagger over the same sentences and vectors, in its own interpreter."""
    assert prepared.vectors is not None
    assert train.report.scheme is not None
    rows, vectors = prepared.vectors
    sentences = [
        (s.tokens, tags_to_spans(s.tags or (), train.report.scheme)) for s in train.sentences if s.tokens
    ]
    content = {
        "words": [prepared.vocabulary.words[row] for row in rows.tolist()],
        "vectors": vectors.float().tolist(),
        "sentences": [(tokens, [tuple(span) for span in spans]) for tokens, spans in sentences],
        "labels": sorted({span.label for _, spans in sentences for span in spans}),
        "hidden": SIZES["hidden"],
        "batch": SIZES["batch_size"],
        "threads": torch.get_num_threads(),
    }
    (folder / "flair.json").write_text(json.dumps(content), encoding="utf-8")
    command = [python, Path(__file__).with_name("flair_turns.py"), folder / "flair.json", str(SECONDS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        print(process.stdout.readline().strip(), flush=True)
        try:
            while True:
                process.stdin.write("\n")
                process.stdin.flush()
                tokens, seconds = process.stdout.readline().split()
                yield int(tokens), float(seconds)
        finally:
            process.terminate()


def in_turns(contestants: Mapping[str, Turn], rounds: int, warm: int = 2) -> dict[str, list[float]]:
    """The tokens a second of each in each round, after some to warm up; each round another begins."""
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds + warm):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            tokens, seconds = contestants[name]()
            if number >= warm:
                rates[name].append(tokens / seconds)
    return rates


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """The median of the ratios of each round: the machine is not the same at all times."""
    return round(statistics.median(a / b for a, b in zip(one, other, strict=True)), 3)


def speeds(train: Corpus, dev: Corpus, flair: Path | None, rounds: int) -> Iterator[dict[str, Any]]:
    """Tokens a second of all contestants, in one run."""
    recipe = Recipe(**SIZES, head="crf", constrain="never")
    words = recipe.model_copy(update={"freeze_vectors": True, "char_filters": 0})
    runs = {
        "chaincrf, CRF": Run(ours, train, dev, recipe),
        "chaincrf, softmax": Run(ours, train, dev, recipe.model_copy(update={"head": "softmax"})),
        "chaincrf, frozen words alone": Run(ours, train, dev, words),
        "the same, written the usual way": Run(usual, train, dev, recipe),
    }
    contestants: dict[str, Turn] = {name: run.turn for name, run in runs.items()}
    with tempfile.TemporaryDirectory() as folder:
        other = flair_turns(flair, prepare(train, dev, words), train, Path(folder)) if flair else None
        if other is not None:
            contestants["Flair, frozen words alone"] = lambda: next(other)
        found = in_turns(contestants, rounds)
        if other is not None:
            other.close()
    for run in runs.values():
        run.close()
    crf, softmax, alone, theirs, *rest = found.values()
    ratios = {
        "chaincrf / the usual way": ratio(crf, theirs),
        "CRF step / softmax step, time": ratio(softmax, crf),
    }
    if rest:
        ratios["chaincrf / Flair"] = ratio(alone, rest[0])
    yield {
        "corpus": train.report.path.name,
        "tokens": train.report.tokens,
        "turns": rounds,
        "seconds in a turn": SECONDS,
        "sizes": SIZES,
        "tokens a second (quartiles)": {
            name: [round(q) for q in statistics.quantiles(rates, n=4)] for name, rates in found.items()
        },
    } | ratios


LAUNCH = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, flush=True)
sys.exit(status)
"""


def command_seconds(command: Sequence[str | Path]) -> tuple[dict[str, Any], float]:
    """What a ``chaincrf train --json`` says, and the most memory that it held, GB.

    Started by a small process: at first the peak of a new one is that of the one that started it.
    """
    source = str(Path(__file__).parent.parent / "src")
    paths = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
    whole = [sys.executable, "-c", LAUNCH, sys.executable, *map(str, command)]
    environment = os.environ | {"PYTHONPATH": paths}
    text = subprocess.run(whole, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    output, _, peak = text.rstrip().rpartition("\n")
    return json.loads(output[output.index("{") :]), int(peak) / 1e6  # Linux counts kilobytes


def memory(train: Corpus, tokens: int = 200_000, words: int = 400_000) -> Iterator[dict[str, Any]]:
    """The most memory that ``chaincrf train`` holds, with as many tokens and vectors."""
    generator = np.random.default_rng(0)
    names = dict.fromkeys(token.lower() for s in train.sentences for token in s.tokens)
    names |= dict.fromkeys(f"word-{i}" for i in range(words - len(names)))
    vectors = torch.from_numpy(generator.normal(size=(words, 100)).astype(np.float16))
    with tempfile.TemporaryDirectory() as folder:
        table, file = Path(folder) / "v.safetensors", Path(folder) / "train.tsv"
        save_vectors(WordVectors(tuple(names)[:words], vectors), table)
        written = 0
        with file.open("w", encoding="utf-8") as lines:
            while written < tokens:
                for sentence in random.Random(0).sample(train.sentences, len(train.sentences)):
                    for token, tag in zip(sentence.tokens, sentence.tags or (), strict=True):
                        lines.write(f"{token}\t{tag}\n")
                    lines.write("\n")
                    written += len(sentence)
                    if written >= tokens:
                        break
        options = ["--vectors", table, "--epochs", "1", "--device", "cpu", "--json", "--out", f"{folder}/m"]
        result, peak = command_seconds(["-m", "chaincrf", "train", "--train", file, *options])
    yield {
        "tokens": written,
        "vectors": words,
        "peak memory, GB": round(peak, 2),
        "train seconds": round(result["train_seconds"], 1),
    }


def together(count: int) -> list[dict[str, str]]:
    """What ``torchrun`` tells processes of one machine; by the identifier of its run Fabric knows it."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    same = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "benchmark"}
    same |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "GROUP_RANK": "0"}
    return [same | {"RANK": str(number), "LOCAL_RANK": str(number)} for number in range(count)]


def processes(train: Corpus, dev: Corpus, rounds: int) -> Iterator[dict[str, Any]]:
    """Tokens a second of one process of one thread, and of two of one thread each, in turns.

    A batch is shared out among the processes, so each step is half the work for each, and not half the time;
    where each has a batch of its own, it is as long, and there are half as many. Two runs at once that know
    nothing of each other show what the machine can gain at all. Processes that train together end a turn with
    the same step, after about as long. All are started several times.
    """
    recipe = Recipe(**SIZES, head="crf", constrain="never")
    double = recipe.model_copy(update={"batch_size": 2 * recipe.batch_size})
    found: dict[str, list[float]] = {}
    for _ in range(STARTS):
        runs = {
            "one process": Run(ours, train, dev, recipe, threads=1),
            "two processes": Run(ours, train, dev, recipe, 48, threads=1, environments=together(2)),
            "two, each its batch": Run(ours, train, dev, double, 31, threads=1, environments=together(2)),
            "two runs at once": Run(ours, train, dev, recipe, threads=1, environments=[{}, {}]),
        }
        contestants = {name: run.turn for name, run in runs.items()}
        for name, rates in in_turns(contestants, ceil(rounds / STARTS)).items():
            found.setdefault(name, []).extend(rates)
        for run in runs.values():
            run.close()
    one, two, wide, alone = found.values()
    yield {
        "turns": len(one),
        "starts": STARTS,
        "tokens a second (quartiles)": {
            name: [round(q) for q in statistics.quantiles(rates, n=4)] for name, rates in found.items()
        },
        "two processes / one process": ratio(two, one),
        "two, each with a batch as large as the one's / one process": ratio(wide, one),
        "two runs at once / one process": ratio(alone, one),
    }


def train(data: Path | None, *, flair: Path | None = None, rounds: int = 15) -> Iterator[dict[str, Any]]:
    """Training tokens a second against the usual way and Flair (--flair PYTHON), memory, two processes."""
    if data is None:
        splits = get_corpus("ncbi-disease").splits
        files = splits["train"], splits["dev"]
    else:
        folder = data / "ncbi-disease" if (data / "ncbi-disease").is_dir() else data
        files = folder / "train.tsv", folder / "devel.tsv"
    train_data, dev = map(read_corpus, files)
    small = replace(dev, sentences=dev.sentences[:32])
    yield from speeds(train_data, small, flair, rounds)
    yield from memory(train_data)
    yield from processes(train_data, small, rounds)
