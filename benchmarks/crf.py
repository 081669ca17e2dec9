"""The layer against a softmax and against other layers, side by side in one run."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from chaincrf import CRF
from chaincrf.crf import LinearChain
from chaincrf.crf.backends import backend, kernels_for

__all__ = ["crf"]

SHAPES = [(32, 50, 9), (32, 128, 9), (32, 128, 25), (64, 50, 50), (8, 512, 17), (16, 100, 200)]
SLOW = 1.0
"""Seconds from which a contestant is called three times only."""
LARGEST_STRUCT = 3_000_000
"""torch-struct holds matrices of all positions, several times: beyond so many numbers it takes seconds."""


@dataclass
class Problem:
    """A batch, and transitions as pytorch-crf draws them."""

    emissions: Tensor
    tags: Tensor
    mask: Tensor
    transitions: Tensor
    start: Tensor
    end: Tensor

    @classmethod
    def draw(cls, B: int, T: int, K: int) -> Problem:
        """Lengths are random in [T/3, T]."""
        g = torch.Generator().manual_seed(0)
        lengths = torch.randint(max(T // 3, 1), T + 1, (B,), generator=g)
        lengths[0] = T
        parameters = [torch.rand(shape, generator=g) * 0.2 - 0.1 for shape in ((K, K), (K,), (K,))]
        emissions = torch.randn(B, T, K, generator=g).requires_grad_()
        tags = torch.randint(0, K, (B, T), generator=g)
        return cls(emissions, tags, torch.arange(T) < lengths[:, None], *parameters)


Contestant = tuple[Callable[[], Tensor] | None, Callable[[], Any] | None]


def chaincrf(p: Problem) -> Contestant:
    """This layer."""
    layer = CRF(p.emissions.shape[2])
    load(layer, transitions=p.transitions, start_transitions=p.start, end_transitions=p.end)
    return lambda: layer(p.emissions, p.tags, p.mask), lambda: layer.decode(p.emissions, p.mask)


def cross_entropy(p: Problem) -> Contestant:
    """How a softmax tagger is trained."""
    gold = torch.where(p.mask, p.tags, -100)
    return lambda: F.cross_entropy(p.emissions.flatten(0, 1), gold.flatten()), None


def pytorch_crf(p: Problem) -> Contestant:
    """pytorch-crf 0.7.2."""
    import torchcrf

    layer = torchcrf.CRF(p.emissions.shape[2], batch_first=True)
    load(layer, transitions=p.transitions, start_transitions=p.start, end_transitions=p.end)
    return (
        lambda: -layer(p.emissions, p.tags, p.mask, reduction="mean"),
        lambda: layer.decode(p.emissions, p.mask),
    )


def torch_crf(p: Problem) -> Contestant:
    """TorchCRF 1.1."""
    import TorchCRF

    layer = TorchCRF.CRF(p.emissions.shape[2], use_gpu=False)
    load(layer, trans_matrix=p.transitions, start_trans=p.start, end_trans=p.end)
    return (
        lambda: -layer(p.emissions, p.tags, p.mask).mean(),
        lambda: layer.viterbi_decode(p.emissions, p.mask),
    )


def torch_struct(p: Problem) -> Contestant:
    """torch-struct 0.5, whose potentials are matrices: making them is part of the work."""
    import torch_struct as struct

    B, T, K = p.emissions.shape
    if B * T * K * K > LARGEST_STRUCT:
        return None, None
    lengths = p.mask.sum(1)
    transitions = p.transitions.clone().requires_grad_()
    parts = struct.LinearChainCRF.struct.to_parts(p.tags, K, lengths).float()
    at_start = (torch.arange(T - 1) == 0).float()[:, None, None]
    at_end = (torch.arange(T - 1) == (lengths - 2)[:, None]).float()[:, :, None, None]

    def chain() -> Any:
        potentials = transitions.T + p.emissions[:, 1:].unsqueeze(3)
        first = (p.emissions[:, 0] + p.start)[:, None, None, :]
        potentials = (potentials + at_start * first + at_end * p.end[:, None]).contiguous()
        return struct.LinearChainCRF(potentials, lengths=lengths)

    def decode() -> list[list[int]]:
        with torch.inference_mode(False), torch.enable_grad():  # it finds the path by differentiation
            moves = chain().argmax  # [to, from]
        path = torch.cat([moves[:, :1].sum(2).argmax(2), moves.sum(3).argmax(2)], dim=1)
        return [row[:n].tolist() for row, n in zip(path, lengths.tolist(), strict=True)]

    return lambda: -chain().log_prob(parts).mean(), decode


CONTESTANTS = (chaincrf, cross_entropy, pytorch_crf, torch_crf, torch_struct)


def load(layer: torch.nn.Module, **values: Tensor) -> None:
    """Set parameters."""
    with torch.no_grad():
        for name, value in values.items():
            getattr(layer, name).copy_(value)


def with_gradient(loss: Callable[[], Tensor], leaf: Tensor) -> Callable[[], Tensor]:
    """The loss, backward, and the gradient of the emissions."""

    def run() -> Tensor:
        leaf.grad = None
        loss().backward()
        assert leaf.grad is not None
        return leaf.grad

    return run


def without_gradient(decode: Callable[[], Any]) -> Callable[[], Any]:
    """Decoding as in production."""

    def run() -> Any:
        with torch.inference_mode():
            return decode()

    return run


def agrees(p: Problem, loss: Callable[[], Tensor], decode: Callable[[], Any] | None) -> bool:
    """Whether a contestant has the reference's loss, gradient, and score of the best path."""
    parts = [x.detach().double() for x in (p.emissions, p.transitions, p.start, p.end)]
    leaf = parts[0].requires_grad_()
    with backend("reference"):
        chain = LinearChain(*parts, p.mask)
        expected = chain.loss(p.tags)
        (gradient,) = torch.autograd.grad(expected, leaf)
        best = chain.viterbi()[1]
    same = torch.allclose(loss().double(), expected, rtol=1e-4)
    # as exact as single precision over 500 tokens lets the others be
    same &= torch.allclose(with_gradient(loss, p.emissions)().double(), gradient, atol=1e-3)
    if decode is not None:
        path = decode()
        if not isinstance(path, Tensor):
            path = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in path], batch_first=True)
            path = F.pad(path, (0, p.tags.shape[1] - path.shape[1]))
        same &= torch.allclose(chain.score(torch.where(p.mask, path, 0)), best, rtol=1e-4)
    return same


def quartiles(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Lower quartile, median and upper quartile of a call, ms.

    In turns, so that a busy moment hits all alike; a turn is at least 10 ms long, as a call that follows on
    another package's finds the caches of the processor cold.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    calls = dict.fromkeys(runs, 1)
    for number in range(rounds + 1):  # one to warm up
        for name, run in runs.items():
            if times[name] and times[name][-1] > SLOW and number > 2:
                continue
            turn = []
            for _ in range(calls[name]):
                start = time.perf_counter()
                run()
                turn.append(time.perf_counter() - start)
            if number == 0:
                run()
                calls[name] = max(1, min(20, int(0.01 / min(turn))))
            else:
                times[name].append(statistics.median(turn))
    return {
        name: [round(1000 * q, 4) for q in (statistics.quantiles(t, n=4) if len(t) > 1 else t * 3)]
        for name, t in times.items()
    }


def one_shape(shape: tuple[int, int, int], rounds: int) -> dict[str, Any]:
    """All contestants at a shape; null where the values are not those of the reference, or it cannot run."""
    problem = Problem.draw(*shape)
    losses: dict[str, Callable[[], Any]] = {}
    decoders: dict[str, Callable[[], Any]] = {}
    refused = []
    for contestant in CONTESTANTS:
        name = contestant.__name__
        try:
            loss, decode = contestant(problem)
        except ImportError:
            refused.append(f"{name}: not installed")
            continue
        if loss is None:
            refused.append(f"{name}: too large")
        elif name != "cross_entropy" and not agrees(problem, loss, decode):
            refused.append(f"{name}: disagrees with the reference")
        else:
            losses[name] = with_gradient(loss, problem.emissions)
            if decode is not None:
                decoders[name] = without_gradient(decode)
    return {
        "shape (B, T, K)": list(shape),
        "turns": rounds,
        "loss and gradient, ms (quartiles)": quartiles(losses, rounds),
        "decoding, ms (quartiles)": quartiles(decoders, rounds),
        "no speed": refused,
    }


def ratio(row: dict[str, Any], what: str, other: str) -> float:
    """How many times as fast as another."""
    times = row[what]
    return times[other][1] / times["chaincrf"][1]


def geometric_mean(values: list[float]) -> float:
    """The n-th root of the product."""
    return round(math.exp(statistics.fmean(math.log(x) for x in values)), 3)


def growth(name: str, shapes: dict[int, tuple[int, int, int]], threads: bool = False) -> dict[str, Any]:
    """The cost of this layer as one size grows."""
    before = torch.get_num_threads()
    rows = {}
    for size, shape in shapes.items():
        if threads:
            torch.set_num_threads(size)
        B, T, K = shape
        problem = Problem.draw(*shape)
        loss, decode = chaincrf(problem)
        assert loss is not None
        assert decode is not None
        runs = {"loss": with_gradient(loss, problem.emissions), "decode": without_gradient(decode)}
        rounds = max(3, min(30, int(1e9 / (B * T * K * K))))
        times = quartiles(runs, rounds)
        tokens = int(problem.mask.sum())
        rows[str(size)] = {
            what: {"ms": q[1], "ns a token": round(1e6 * q[1] / tokens, 1)} for what, q in times.items()
        }
    torch.set_num_threads(before)
    return {"as it grows": name, "shapes": {str(n): list(s) for n, s in shapes.items()}, "cost": rows}


FIRST = """
import time, torch
start = time.perf_counter()
from chaincrf import CRF
layer = CRF(9)
layer(torch.zeros(2, 3, 9, requires_grad=True), torch.zeros(2, 3, dtype=torch.long)).backward()
print(time.perf_counter() - start)
"""


def first_call() -> dict[str, float]:
    """Seconds from ``import chaincrf`` to the first loss and its gradient, in a process that has torch."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}

        def once() -> float:
            run = subprocess.run(
                [sys.executable, "-c", FIRST], env=environment, capture_output=True, text=True, check=True
            )
            return float(run.stdout)

        return {"cold cache": round(once(), 1), "warm cache": round(min(once() for _ in range(3)), 2)}


def where_the_time_goes(shape: tuple[int, int, int]) -> dict[str, float]:
    """Microseconds of a loss, step by step, beside those of a cross-entropy."""
    problem = Problem.draw(*shape)
    layer = CRF(shape[2])
    kernels = kernels_for(problem.emissions)
    assert kernels is not None
    chain = layer.chain(problem.emissions, problem.mask)._inputs()
    (loss, _), (softmax, _) = chaincrf(problem), cross_entropy(problem)
    assert loss is not None
    assert softmax is not None
    runs = {
        "kernel, with its gradient": lambda: kernels.reduced_loss(
            *chain, problem.tags, gradient=True, reduction="mean"
        ),
        "loss": loss,
        "loss and backward": with_gradient(loss, problem.emissions),
        "cross-entropy": softmax,
        "cross-entropy and backward": with_gradient(softmax, problem.emissions),
        "a sum and backward": with_gradient(problem.emissions.sum, problem.emissions),
    }
    return {name: round(1000 * q[1], 1) for name, q in quartiles(runs, 31).items()}


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Cost against each size."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(rows), figsize=(4 * len(rows), 3.4), layout="constrained")
    for axis, row in zip(axes, rows, strict=True):
        sizes = [int(n) for n in row["cost"]]
        unit = "ns a token" if row["as it grows"] == "T" else "ms"
        for what, label in (("loss", "loss and gradient"), ("decode", "decoding")):
            axis.plot(sizes, [c[what][unit] for c in row["cost"].values()], marker="o", label=label)
        if row["as it grows"] != "threads":
            axis.set_xscale("log")
            axis.set_yscale("log")
        else:
            axis.set_xticks(sizes)
            axis.set_ylim(bottom=0)
        first = next(iter(row["shapes"].values()))
        fixed = [f"{n} = {s}" for n, s in zip("BTK", first, strict=True) if n != row["as it grows"]]
        axis.set_title(", ".join(fixed), fontsize=10)
        axis.set_xlabel(row["as it grows"])
        axis.set_ylabel(unit)
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def crf(data: Path | None) -> Iterator[dict[str, Any]]:
    """Loss with its gradient, and decoding: ours, a masked cross-entropy, and other packages."""
    del data
    warnings.filterwarnings("ignore", message=".*arg_constraints")  # torch-struct's
    shapes = []
    for shape in SHAPES:
        row = one_shape(shape, rounds=31)
        shapes.append(row)
        yield row
    losses, decoding = "loss and gradient, ms (quartiles)", "decoding, ms (quartiles)"
    narrow = [row for row in shapes if row["shape (B, T, K)"][2] <= 25]
    problem = Problem.draw(1, 20, 9)
    _, decode = chaincrf(problem)
    assert decode is not None
    sentence = quartiles({"decode": without_gradient(decode)}, 100)["decode"]
    largest = shapes[-1]
    yield {
        "loss and gradient: pytorch-crf / chaincrf, geometric mean": geometric_mean(
            [ratio(row, losses, "pytorch_crf") for row in shapes]
        ),
        "loss and gradient: chaincrf / cross-entropy, K <= 25, geometric mean": geometric_mean(
            [1 / ratio(row, losses, "cross_entropy") for row in narrow]
        ),
        "decoding: pytorch-crf / chaincrf, geometric mean": geometric_mean(
            [ratio(row, decoding, "pytorch_crf") for row in shapes]
        ),
        "(16, 100, 200) loss and gradient: pytorch-crf / chaincrf": round(
            ratio(largest, losses, "pytorch_crf"), 1
        ),
        "(1, 20, 9) decoding, us": round(1000 * sentence[1], 1),
        "import to first loss, s": first_call(),
    }
    yield {f"where the time goes at {shape}, us": where_the_time_goes(shape) for shape in SHAPES[:3]}
    grown = [
        growth("T", {n: (1, n, 9) for n in (1_000, 10_000, 100_000, 1_000_000)}),
        growth("K", {n: (16, 50, n) for n in (2, 5, 9, 17, 25, 50, 100, 200, 500, 1500)}),
        growth("B", {n: (n, 50, 9) for n in (1, 4, 8, 16, 32, 64, 128, 256)}),
        growth("threads", dict.fromkeys(range(1, (os.cpu_count() or 1) + 1), (64, 50, 50)), threads=True),
    ]
    plot(grown, Path(__file__).parent / "results" / "crf.png")
    yield from grown
