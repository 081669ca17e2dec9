"""What is asked of Triton's kernels: each a function that raises where it is not so.

On a CPU they run in the interpreter, in a process of its own (``interpreter.py``); on a device where one is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from chaincrf.crf import LinearChain
from chaincrf.crf.backends import backend
from chaincrf.crf.kernels.triton_gpu import forward_backward, launch
from chaincrf.crf.kernels.triton_gpu.tiles import REDO
from chaincrf.crf.reference.counts import Counts, no_counts


def chain_of(
    shape: tuple[int, int, int],
    *,
    scale: float = 1.0,
    forbid: float = 0.0,
    by_position: bool = False,
    dtype: str = "float64",
    mask: bool = True,
    seed: int = 0,
    device: str = "cpu",
) -> tuple[LinearChain, Tensor]:
    """A chain with gaps, an empty row if there are three, and gold tags that it allows if there is a path."""
    B, T, K = shape
    g = torch.Generator().manual_seed(seed)
    shapes = [(B, T, K), (B, T - 1, K, K) if by_position else (K, K), (K,), (K,)]
    parts = [torch.randn(s, generator=g, dtype=torch.float64).mul(scale).clamp(-1e4, 1e4) for s in shapes]
    parts = [torch.where(torch.rand(x.shape, generator=g) < forbid, -torch.inf, x) for x in parts]
    counts = torch.rand(B, T, generator=g) < 0.7
    counts[2:3] = False
    chain = LinearChain(*parts, counts if mask else None)
    with backend("reference"):
        tags = chain.viterbi()[0].clamp(min=0)
    if not forbid:
        tags = torch.where(torch.rand(B, T, generator=g) < 0.5, tags, torch.randint(K, (B, T), generator=g))
    parts = [x.to(device, getattr(torch, dtype)) for x in parts]
    return LinearChain(*parts, counts.to(device) if mask else None), tags.to(device)


def some_unknown(tags: Tensor) -> Tensor:
    """The tags, of which two in five are not known, in every second sequence."""
    unknown = torch.rand(tags.shape, generator=torch.Generator().manual_seed(1)) < 0.4
    unknown[1::2] = False
    return torch.where(unknown.to(tags.device), -100, tags)


def loss_and_gradient(
    chain: LinearChain, tags: Tensor | None, name: str, exact: bool = False
) -> list[Tensor]:
    """Values, and the gradient of their sum with uneven weights."""
    parts = [x.detach().double() if exact else x.detach() for x in chain._inputs()[:4]]
    parts = [x.requires_grad_() for x in parts]
    with backend(name):
        fresh = LinearChain(*parts, chain.mask)
        values = fresh.log_partition() if tags is None else fresh.log_likelihood(tags)
        weights = torch.linspace(1, 2, len(values), dtype=values.dtype, device=values.device)
        gradients = torch.autograd.grad(torch.where(values.isfinite(), values, 0.0) @ weights, parts)
    return [values.detach(), *gradients]


def same(ours: list[Tensor], theirs: list[Tensor], rtol: float = 1e-9, atol: float = 1e-10) -> None:
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b.to(a.dtype), rtol=rtol, atol=atol, equal_nan=True)


def loss(shape: tuple[int, int, int], kind: str = "gold", **options: object) -> None:
    """Loss (or log Z) and gradient are those of the reference: rounded once, where in float32."""
    chain, tags = chain_of(tuple(shape), **options)
    given = {"gold": tags, "unknown": some_unknown(tags), "free": None}[kind]
    single = chain.emissions.dtype == torch.float32
    size = options.get("scale", 1.0) * shape[1]
    rtol, atol = (3e-7, 3e-6 * size) if single else (1e-9, max(1e-10, 1e-12 * size))
    same(
        loss_and_gradient(chain, given, "triton"), loss_and_gradient(chain, given, "reference", single),
        rtol, atol,
    )  # fmt: skip
    with torch.no_grad(), backend("triton"):
        value = chain.log_partition() if given is None else chain.log_likelihood(given)
    same([value], loss_and_gradient(chain, given, "reference", single)[:1], rtol, atol)


def reductions(shape: tuple[int, int, int], kind: str = "gold", **options: object) -> None:
    """A sum or a mean over the batch, and its gradient, with and without one being asked for."""
    chain, tags = chain_of(tuple(shape), **options)
    tags = some_unknown(tags) if kind == "unknown" else tags
    for reduction in ("sum", "mean", "token_mean"):
        found = []
        for name in ("triton", "reference"):
            parts = [x.detach().requires_grad_() for x in chain._inputs()[:4]]
            with backend(name):
                fresh = LinearChain(*parts, chain.mask)
                loss = fresh.loss(tags, reduction)
                with torch.no_grad():
                    value = fresh.loss(tags, reduction)
                if loss.isfinite():
                    found.append([loss.detach(), value, *torch.autograd.grad(2 * loss, parts)])
                else:
                    found.append([loss.detach(), value])
        size = options.get("scale", 1.0) * shape[0] * shape[1]
        same(*found, atol=max(1e-10, 1e-12 * size))


def other_reductions(device: str = "cpu") -> None:
    """The last program to end adds up: of chunks, of tiles, and what has been redone in log space."""
    with chunks_of(2):
        reductions((3, 5, 3), device=device)
    reductions((3, 2, 66), device=device)
    with patched(tile_of=lambda B: 16):
        reductions((3, 2, 66), device=device)
    reductions((3, 3, 3), "unknown", scale=1e3, forbid=0.3, device=device)


def viterbi(shape: tuple[int, int, int], **options: object) -> None:
    """The very same path, ties included, and the very same score."""
    chain, _ = chain_of(tuple(shape), **options)
    found = []
    for name in ("triton", "reference"):
        with backend(name):
            found.append(chain.viterbi())
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(ours, theirs), (ours, theirs)


@contextmanager
def patched(**sizes: Callable[..., int]) -> Iterator[None]:
    """Other sizes than usual."""
    usual = {name: getattr(forward_backward, name) for name in sizes}
    vars(forward_backward).update(sizes)
    try:
        yield
    finally:
        vars(forward_backward).update(usual)


def chunks_of(tokens: int) -> AbstractContextManager[None]:
    """Sequences are cut into chunks."""
    return patched(chunk_of=lambda B, T, K: tokens)


def chunked_loss(shape: tuple[int, int, int], chunk: int, kind: str = "gold", **options: object) -> None:
    """As ``loss``, the sequences cut into chunks."""
    with chunks_of(chunk):
        loss(shape, kind, **options)


def tiled_loss(shape: tuple[int, int, int], kind: str = "gold", **options: object) -> None:
    """As ``loss``, several sequences in a program."""
    with patched(tile_of=lambda B: 16):
        loss(shape, kind, **options)


def the_token_before_stands_in_another_block(device: str = "cpu") -> None:
    """Tokens are weighed in blocks, gaps may be longer."""
    chain, tags = chain_of((3, 9, 3), device=device)
    mask = torch.ones(3, 9, dtype=torch.bool, device=device)
    mask[0, 1:8] = mask[1, :5] = mask[2, 2:] = False
    chain = LinearChain(*chain._inputs()[:4], mask)
    theirs = loss_and_gradient(chain, tags, "reference")
    with patched(tokens_of=lambda K, warps: 2):
        same(loss_and_gradient(chain, tags, "triton"), theirs)


def given_back(chain: LinearChain, chunk: int | None = None, gradient: bool = False) -> list[bool]:
    """Which sequences are computed again in log space."""
    inputs = forward_backward.plain(*chain._inputs(), None)
    new, (B, T, K) = chain.emissions.new_empty, chain.emissions.shape
    counts = Counts(new(B, T, K), new(B, K, K), new(B, K), new(B, K))
    counts = counts if gradient else no_counts(chain.emissions)
    with chunks_of(chunk or T):
        status = forward_backward._solve(inputs, new(B), counts, gradient)
    return [bool(what & REDO.value) for what in status.tolist()]


def two_blocks(T: int, step: float, device: str = "cpu") -> LinearChain:
    """Two tags that never meet; the one that is better in the first half is worse over all."""
    emissions = torch.zeros(1, T, 2, dtype=torch.float64)
    emissions[0, : T // 2, 1] = -step
    emissions[0, T // 2 :, 0] = -2 * step
    transitions = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]], dtype=torch.float64)
    return LinearChain(emissions.to(device), transitions.to(device))


def a_block_of_tags_that_dies_silently_is_found(device: str = "cpu") -> None:
    """The largest alpha is always about 1, yet in scaled probabilities one block is lost."""
    for T, step, found in ((8, 20.0, False), (24, 60.0, True)):
        chain = two_blocks(T, step, device)
        for chunk in (None, 4):
            assert given_back(chain, chunk) == [found]
        exact = torch.logsumexp(torch.tensor([-2.0 * step * T / 2, -step * T / 2], dtype=torch.float64), 0)
        tags = torch.ones(1, T, dtype=torch.int64, device=device)
        for given in (None, tags):
            same(loss_and_gradient(chain, given, "triton"), loss_and_gradient(chain, given, "reference"))
        with backend("triton"):
            same([chain.log_partition()], [exact.unsqueeze(0).to(device)])


def a_chunk_may_be_the_only_one_to_find_it(device: str = "cpu") -> None:
    """A tag falls under the floor within a chunk, and is above it at both of its ends."""
    emissions = torch.zeros(1, 12, 2, dtype=torch.float64)
    emissions[0, :4, 1] = -52
    emissions[0, 4:6, 1] = emissions[0, 6:8, 0] = -50
    chain = LinearChain(emissions.to(device), two_blocks(12, 1.0, device).transitions)
    assert given_back(chain, 4) == [False]
    assert given_back(chain, 4, gradient=True) == [True]
    theirs = loss_and_gradient(chain, None, "reference")
    with chunks_of(4):
        same(loss_and_gradient(chain, None, "triton"), theirs)


def a_score_that_stands_for_forbidden_stays_in_the_fast_recursion(device: str = "cpu") -> None:
    """-10000 in the place of -inf, as many do."""
    chain, _ = chain_of((3, 9, 5), device=device)
    forbidden = torch.rand(5, 5, generator=torch.Generator().manual_seed(0)) < 0.3
    transitions = torch.where(forbidden, -1e4, 0.0).double().to(device)
    chain = LinearChain(chain.emissions, transitions, mask=chain.mask)
    assert given_back(chain) == [False] * 3
    same(loss_and_gradient(chain, None, "triton"), loss_and_gradient(chain, None, "reference"), atol=1e-8)


def what_is_no_number_stays_none(device: str = "cpu") -> None:
    """NaN and +inf make NaN of their own sequence, and of what its gradient depends on."""
    g = torch.Generator().manual_seed(0)
    tags = torch.tensor([[0, 0, 0], [1, 0, 2]], device=device)
    for bad in (torch.nan, torch.inf):
        emissions = torch.randn(2, 3, 3, generator=g)
        emissions[0, 1, 0] = bad
        leaf = emissions.to(device).requires_grad_()
        for shape in ((3, 3), (2, 2, 3, 3)):
            moves = torch.zeros(shape, device=device).requires_grad_()
            chain = LinearChain(leaf, moves)
            with backend("triton"):
                for given in (tags, torch.where(tags == 1, -100, tags), None):
                    values = chain.log_partition() if given is None else chain.log_likelihood(given)
                    assert values.isnan().tolist() == [True, False]
                    gradient, by_moves = torch.autograd.grad(values.sum(), (leaf, moves))
                    assert gradient[0].isnan().all()
                    assert not gradient[1].isnan().any()
                    assert by_moves.isnan().any()
                path, scores = chain.viterbi()
            assert scores.isnan().tolist() == [True, False]
            assert ((path >= 0) & (path < 3)).all()
    for shape in ((3, 3), (1, 1, 3, 3)):
        moves = torch.full(shape, torch.nan, device=device)
        with backend("triton"):
            chain = LinearChain(torch.zeros(1, 2, 3, device=device), moves)
            assert chain.log_partition().isnan().all()
            assert chain.viterbi()[1].isnan().all()
            alone = torch.tensor([[False, True]], device=device)  # makes no move
            if len(shape) == 2:
                assert LinearChain(chain.emissions, moves, mask=alone).log_partition().isfinite().all()


def a_tag_out_of_range_is_an_impossible_path(device: str = "cpu") -> None:
    """Nobody waits for a device to say so."""
    emissions = torch.zeros(2, 3, 3, device=device).requires_grad_()
    tags = torch.tensor([[0, 7, 0], [1, 0, 2]], device=device)
    for shape in ((3, 3), (2, 2, 3, 3)):
        with backend("triton"):
            values = LinearChain(emissions, torch.zeros(shape, device=device)).log_likelihood(tags)
        assert values[0] == -torch.inf
        assert values[1].isfinite()
        (gradient,) = torch.autograd.grad(values[1], emissions)
        assert (gradient[0] == 0).all()


def forms_of_inputs(device: str = "cpu") -> None:
    """An empty batch, strides, a lazy negation, one weight for all sequences."""
    chain, tags = chain_of((3, 3, 4), device=device)
    parts = chain._inputs()
    strided = [x.t().contiguous().t() if x.dim() == 2 else x for x in parts[:4]]
    strided[0] = torch._neg_view(-parts[0]).transpose(0, 1).contiguous().transpose(0, 1)
    other = LinearChain(*strided, chain.mask)
    same(loss_and_gradient(other, tags, "triton"), loss_and_gradient(chain, tags, "triton"), 0, 0)
    leaf = parts[0].clone().requires_grad_()
    found = []
    for name in ("triton", "reference"):
        with backend(name):
            loss = LinearChain(leaf, *parts[1:]).loss(tags, "token_mean")
            found.append([loss.detach(), *torch.autograd.grad(loss, leaf)])
    same(*found)
    with backend("triton"):
        empty = LinearChain(leaf[:0], parts[1].requires_grad_())
        assert empty.viterbi()[0].shape == (0, 3)
        empty.loss(tags[:0], "sum").backward()
        assert (parts[1].grad == 0).all()


def second_derivatives(device: str = "cpu") -> None:
    """The first derivative is the numerical one, and so is the second."""
    for by_position in (False, True):
        chain, tags = chain_of((1, 3, 2), by_position=by_position, mask=False, device=device)
        parts = [x.detach().requires_grad_() for x in chain._inputs()[:4]]

        def value(*x: Tensor, tags: Tensor = tags) -> Tensor:
            return LinearChain(*x).log_likelihood(tags)

        with backend("triton"):
            assert torch.autograd.gradcheck(value, parts, fast_mode=True)
            assert torch.autograd.gradgradcheck(value, parts, fast_mode=True)


def autocast_changes_nothing(device: str = "cpu") -> None:
    chain, tags = chain_of((2, 3, 3), dtype="float32", device=device)
    found = []
    for enabled in (False, True):
        with torch.autocast(device, torch.bfloat16, enabled=enabled), backend("triton"):
            found.append([*loss_and_gradient(chain, tags, "triton"), *chain.viterbi()])
    for plain, cast in zip(*found, strict=True):
        assert torch.equal(plain, cast)


def a_compiled_step_is_one_graph(device: str = "cpu") -> None:
    """``fullgraph`` raises at a break."""
    chain, tags = chain_of((2, 3, 3), dtype="float32", device=device)
    parts = [x.detach().requires_grad_() for x in chain._inputs()[:4]]

    def step(*x: Tensor) -> Tensor:
        return LinearChain(*x, chain.mask).loss(tags)

    def decode(*x: Tensor) -> Tensor:
        return LinearChain(*x, chain.mask).viterbi()[0]

    how: dict[str, Any] = {"fullgraph": True, "backend": "aot_eager" if device == "cpu" else "inductor"}
    with backend("triton"):
        found = [
            [loss.detach(), *torch.autograd.grad(loss, parts), path]
            for loss, path in (
                (torch.compile(step, **how)(*parts), torch.compile(decode, **how)(*parts)),
                (step(*parts), decode(*parts)),
            )
        ]
    same(*found, rtol=1e-6, atol=1e-6)


def the_same_bits_again(device: str = "cpu", shape: tuple[int, int, int] = (3, 6, 5)) -> None:
    for options in ({}, {"scale": 1e3, "forbid": 0.2}, {"by_position": True}):
        chain, tags = chain_of(shape, dtype="float32", device=device, **options)
        for a, b in zip(*(loss_and_gradient(chain, tags, "triton") for _ in range(2)), strict=True):
            assert torch.equal(a, b)


def unknown_tags_that_no_path_agrees_with(device: str = "cpu") -> None:
    """+inf, with gradient zero, as with a gold path that is forbidden."""
    for shape in ((2, 2), (1, 2, 2, 2)):
        moves = torch.where(torch.eye(2).bool(), 0.0, -torch.inf).expand(shape).double().to(device)
        chain = LinearChain(torch.zeros(1, 3, 2, dtype=torch.float64, device=device), moves)
        tags = torch.tensor([[0, -100, 1]], device=device)
        ours, theirs = (loss_and_gradient(chain, tags, name) for name in ("triton", "reference"))
        assert ours[0].item() == -torch.inf
        same(ours, theirs)


def kernels() -> dict[str, Any]:
    """All of them, by name."""
    modules = [m for name, m in sys.modules.items() if name.startswith("chaincrf.crf.kernels.triton_gpu.")]
    found = [x for m in modules for x in vars(m).values() if hasattr(x, "add_pre_run_hook")]
    return {x.fn.__name__: x for x in found if not isinstance(x, type) and "chaincrf" in x.fn.__module__}


def launched(run: Callable[..., object], *arguments: object) -> list[str]:
    """The kernels that are launched, in order."""
    names: list[str] = []
    launch._compiled.clear()  # what is kept of a kernel has no hooks
    for name, kernel in kernels().items():
        kernel.add_pre_run_hook(lambda *_, name=name, **__: names.append(name))
    run(*arguments)
    for kernel in kernels().values():
        kernel.pre_run_hooks.clear()
    return names


def what_is_launched(device: str = "cpu") -> None:
    """Of ours two for the loss and all counts, whatever the length; some more for many tags, or chunks."""
    for T in (1, 5):
        chain, tags = chain_of((2, T, 3), device=device)
        wide, wide_tags = chain_of((2, T, 65), device=device)
        own, own_tags = chain_of((2, T, 3), by_position=True, device=device)
        assert launched(loss_and_gradient, chain, tags, "triton") == [
            "forward_backward",
            "finish",
            "weighted",
        ]
        assert launched(loss_and_gradient, wide, wide_tags, "triton") == [
            "weigh", "forward_backward_tile", "finish", "weighted"
        ]  # fmt: skip
        assert launched(loss_and_gradient, own, own_tags, "triton") == ["weigh", "finish", "weighted"]
        with backend("triton"), torch.no_grad():
            assert launched(chain.loss, tags) == ["forward_backward", "finish"]
            assert launched(chain.log_likelihood, tags) == ["forward_backward", "finish"]
            assert launched(chain.viterbi) == ["best_paths"]
    with chunks_of(2):
        assert launched(loss_and_gradient, chain, None, "triton") == [
            "weigh", "products", "boundaries", "forward_backward", "finish", "weighted"
        ]  # fmt: skip


BATTERY: list[Callable[[], object]] = [
    lambda: loss((3, 3, 3), "unknown"),
    lambda: loss((2, 3, 3), "unknown", by_position=True),
    lambda: loss((1, 2, 3), by_position=True, mask=False),
    lambda: reductions((2, 2, 3)),
    lambda: [chunked_loss((2, 5, 3), 2), loss((1, 2, 33))],
    lambda: [check((1, 2, 65), mask=mask) for mask in (False, True) for check in (loss, tiled_loss)],
    lambda: [
        viterbi((2, 3, K), by_position=bool(by_position)) for K, by_position in ((3, 0), (3, 1), (65, 0))
    ],
    the_token_before_stands_in_another_block,
    a_chunk_may_be_the_only_one_to_find_it,
    unknown_tags_that_no_path_agrees_with,
]


def every_line_of_every_kernel_runs() -> int:
    """How many lines the kernels have, all of which ran; the interpreter alone can tell."""
    folder = Path(forward_backward.__file__).parent
    seen: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(str(folder)):
            return None
        seen.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    sys.settrace(trace)
    try:
        for run in BATTERY:
            run()
    finally:
        sys.settrace(None)
    lines = set()
    for kernel in kernels().values():
        code = kernel.rewrite().__code__
        numbers = {line for *_, line in code.co_lines() if line}
        lines |= {(code.co_filename, n) for n in numbers if n > code.co_firstlineno}
    missing = sorted((Path(file).name, n) for file, n in lines - seen if str(folder) in file)
    assert not missing, missing
    return len(lines)
