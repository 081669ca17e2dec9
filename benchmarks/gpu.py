"""The layer on a GPU: against a softmax and other layers in one run; without one, rows "not measured"."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from chaincrf import CRF
from crf import (
    Problem,
    agrees,
    chaincrf,
    cross_entropy,
    geometric_mean,
    pytorch_crf,
    torch_struct,
    with_gradient,
    without_gradient,
)

__all__ = ["gpu", "gpu_chunks"]

SHAPES = [
    (32, 128, 9), (64, 512, 17), (256, 128, 25), (64, 512, 64), (16, 512, 256), (4, 65536, 17),
    (1, 1_000_000, 9),
]  # fmt: skip
LONGEST = 100_000
"""Tokens from which on the others, with launches for each token, are not waited for."""
LONGEST_COMPARED = 2_000
"""Tokens up to which values are compared with the reference, which has launches for each token too."""
CHUNKED = [
    (1, 1024, 9), (1, 2048, 9), (8, 4096, 9), (32, 4096, 9), (1, 4096, 17), (8, 4096, 17), (16, 4096, 17),
    (32, 4096, 17), (64, 4096, 17), (4, 4096, 64), (4, 65536, 17), (1, 1_000_000, 9), (64, 512, 17),
    (64, 512, 64),
]  # fmt: skip
LARGEST_STRUCT = 2**30
"""Numbers of torch-struct's matrices of all positions, of 4 bytes, that a device holds several times."""
MOST_CHUNKS = 8192
CONTESTANTS = (chaincrf, cross_entropy, pytorch_crf, torch_struct)
STEP = (64, 128, 17)
"""Of the training step of a BiLSTM-CRF."""
BARS = [
    "loss and gradient: pytorch-crf / chaincrf, geometric mean",
    "(256, 128, 25) loss and gradient: chaincrf / cross-entropy",
    "decoding: pytorch-crf / chaincrf, geometric mean",
    "(64, 512, 17) forward, us a token step",
    "BiLSTM training step (64, 128, 17): with a CRF / with a softmax",
]

Run = Callable[[], Any]


def on(device: str, problem: Problem) -> Problem:
    """The same problem there."""
    fields = {name: value.detach().to(device) for name, value in vars(problem).items()}
    return replace(problem, **fields | {"emissions": fields["emissions"].requires_grad_()})


def milliseconds(runs: dict[str, Run], rounds: int = 31) -> dict[str, float]:
    """The median time of each by CUDA events, in turns; three turns to compile and to warm up.

    What takes over a second is run twice, and the second time counts.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 3):
        for name, run in runs.items():
            if number > 1 and times[name][-1] > 1000:
                continue
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            run()
            end.record()
            end.synchronize()
            times[name].append(start.elapsed_time(end))
    return {name: round(statistics.median(t[3:] or t[-1:]), 4) for name, t in times.items()}


def captured(run: Run) -> Run:
    """The run as a CUDA graph: its time is that of the device, without Python's."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def bandwidth() -> float:
    """Bytes a second that a copy of 1 GiB moves."""
    x = torch.empty(2**28, device="cuda")
    y = torch.empty_like(x)
    return 2 * x.nbytes / (milliseconds({"copy": lambda: y.copy_(x)})["copy"] / 1000)


def there(path: Any, T: int) -> Tensor:
    """A decoded batch, which others return as lists, on the device."""
    if isinstance(path, Tensor):
        return path.clone()  # made for inference, it could not be differentiated by
    rows = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in path], batch_first=True)
    return F.pad(rows, (0, T - rows.shape[1])).cuda()


def contestants(problem: Problem, refused: list[str]) -> tuple[dict[str, Run], dict[str, Run]]:
    """Losses with their gradients, and decoders, of those that can run and are right.

    They are made, not run, with the device as PyTorch's default, which costs time at each call.
    """
    T = problem.emissions.shape[1]
    losses, decoders = {}, {}
    for contestant in CONTESTANTS:
        name = contestant.__name__
        others = contestant in (pytorch_crf, torch_struct)
        if others and T > LONGEST:
            refused.append(f"{name}: too large")
            continue
        try:
            with torch.device("cuda"), patch("crf.LARGEST_STRUCT", LARGEST_STRUCT):
                loss, decode = contestant(problem)
            if loss is None:
                refused.append(f"{name}: too large")
                continue
            run = with_gradient(loss, problem.emissions)
            find = without_gradient(decode) if decode is not None else None
            run()
            path = there(find(), T) if find is not None else None
            compared = contestant is not cross_entropy and T <= LONGEST_COMPARED
            right = not compared or agrees(problem, loss, path if path is None else lambda path=path: path)
        except (ImportError, RuntimeError) as error:
            if contestant is chaincrf and not isinstance(error, torch.OutOfMemoryError):
                raise
            refused.append(f"{name}: {type(error).__name__}: {error}"[:300])
            continue
        if not right:
            refused.append(f"{name}: disagrees with the reference")
            continue
        losses[name] = run
        if find is not None:
            decoders[name] = find
    return losses, decoders


def one_shape(shape: tuple[int, int, int], speed: float) -> dict[str, Any]:
    """All contestants at a shape."""
    B, T, K = shape
    problem = on("cuda", Problem.draw(*shape))
    refused: list[str] = []
    losses, decoders = contestants(problem, refused)
    rounds = 31 if B * T * K < 10**7 else 7
    row: dict[str, Any] = {
        "shape (B, T, K)": list(shape),
        "loss and gradient, ms": milliseconds(losses, rounds),
        "decoding, ms": milliseconds(decoders, rounds),
        "no speed": refused,
    }
    if "chaincrf" not in losses:
        return row
    with torch.device("cuda"):
        loss, _ = chaincrf(problem)
    assert loss is not None

    def forward() -> Tensor:
        with torch.no_grad():
            return loss()

    alone = {"loss and gradient": losses["chaincrf"], "forward": forward, "decoding": decoders["chaincrf"]}
    graphs = milliseconds({name: captured(run) for name, run in alone.items()}, rounds)
    moved = 8 * B * T * K + 9 * B * T  # emissions and their gradient, tags and mask
    return row | {
        "chaincrf in a CUDA graph, ms": graphs,
        "forward, us a token step": round(1000 * graphs["forward"] / T, 4),
        "bytes that must move / (time x bandwidth)": round(
            moved / (graphs["loss and gradient"] / 1000 * speed), 4
        ),
    }


def training_step() -> dict[str, float]:
    """A step of a BiLSTM (cuDNN, hidden 256) with a CRF, and with a softmax: forward, backward, Adam."""
    B, T, K = STEP
    torch.manual_seed(0)
    inputs, tags = torch.randn(B, T, 256, device="cuda"), torch.randint(K, (B, T), device="cuda")
    mask = torch.arange(T, device="cuda") < torch.randint(T // 3, T + 1, (B, 1), device="cuda")
    gold = torch.where(mask, tags, -100).flatten()

    def step(crf: bool) -> Run:
        encoder = nn.LSTM(256, 256, batch_first=True, bidirectional=True, device="cuda")
        linear, layer = nn.Linear(512, K, device="cuda"), CRF(K).to("cuda")
        parameters = [*encoder.parameters(), *linear.parameters(), *(layer.parameters() if crf else ())]
        optimizer = torch.optim.Adam(parameters, fused=True)

        def run() -> None:
            emissions = linear(encoder(inputs)[0])
            loss = layer(emissions, tags, mask) if crf else F.cross_entropy(emissions.flatten(0, 1), gold)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        return run

    return milliseconds({"crf": step(True), "softmax": step(False)}, 51)


def summary(rows: list[dict[str, Any]], step: dict[str, float]) -> dict[str, Any]:
    """What the issue asks for."""

    def ratios(what: str) -> list[float]:
        times = [row[what] for row in rows]
        return [t["pytorch_crf"] / t["chaincrf"] for t in times if {"pytorch_crf", "chaincrf"} <= t.keys()]

    by_shape = {tuple(row["shape (B, T, K)"]): row for row in rows}
    wide = by_shape[256, 128, 25]["loss and gradient, ms"]
    losses, decoding = ratios("loss and gradient, ms"), ratios("decoding, ms")
    none = "not measured"
    values = [
        geometric_mean(losses) if losses else none,
        round(wide["chaincrf"] / wide["cross_entropy"], 2)
        if {"chaincrf", "cross_entropy"} <= wide.keys()
        else none,
        geometric_mean(decoding) if decoding else none,
        by_shape[64, 512, 17].get("forward, us a token step", none),
        round(step["crf"] / step["softmax"], 3),
    ]
    return dict(zip(BARS, values, strict=True)) | {"BiLSTM training step, ms": step}


def gpu(data: Path | None) -> Iterator[dict[str, Any]]:
    """Loss with its gradient, and decoding, on a CUDA device; without one, rows that say "not measured"."""
    del data
    if not torch.cuda.is_available():
        why = {"measured": "not measured: no CUDA device"}
        for shape in SHAPES:
            yield {"shape (B, T, K)": list(shape)} | why
        yield dict.fromkeys(BARS, "not measured") | why
        return
    warnings.filterwarnings("ignore", message=".*arg_constraints")  # torch-struct's
    properties = torch.cuda.get_device_properties(0)
    speed = bandwidth()
    yield {"device": properties.name, "bandwidth of a copy, GB/s": round(speed / 1e9)}
    rows = []
    for shape in SHAPES:
        rows.append(one_shape(shape, speed))
        yield rows[-1]
        torch.cuda.empty_cache()
    yield summary(rows, training_step())


def gpu_chunks(data: Path | None) -> Iterator[dict[str, Any]]:
    """Sequences cut into chunks of several sizes, or not at all: what the choice by shape rests on."""
    del data
    if not torch.cuda.is_available():
        yield {"measured": "not measured: no CUDA device"}
        return
    from chaincrf.crf.kernels.triton_gpu import forward_backward

    yield {"device": torch.cuda.get_device_properties(0).name}
    usual = forward_backward.chunk_of
    for shape in CHUNKED:
        problem = on("cuda", Problem.draw(*shape))
        with torch.device("cuda"):
            loss, _ = chaincrf(problem)
        assert loss is not None
        run, T = with_gradient(loss, problem.emissions), shape[1]
        times = {}
        for chunk in (32, 64, 128, 256, 512, 1024, 2048, T):
            if chunk > T or T // chunk > MOST_CHUNKS or (chunk == T and T > LONGEST_COMPARED * 10):
                continue
            forward_backward.chunk_of = lambda B, T, K, chunk=chunk: chunk
            times[str(chunk) if chunk < T else "whole"] = milliseconds({"": captured(run)}, 9)[""]
        forward_backward.chunk_of = usual
        yield {"shape (B, T, K)": list(shape), "chosen": usual(*shape), "tokens of a chunk: ms": times}
        torch.cuda.empty_cache()
