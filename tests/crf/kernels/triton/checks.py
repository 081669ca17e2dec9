"""What is asked of Triton's kernels: each a function that raises where it is not so.

On a CPU they run in the interpreter, in a process of its own (``interpreter.py``); on a device where one is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from chaincrf.crf import LinearChain
from chaincrf.crf.backends import backend
from chaincrf.crf.kernels.triton_gpu import forward_backward
from chaincrf.crf.kernels.triton_gpu.tiles import REDO
from chaincrf.crf.reference.counts import no_counts


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


def viterbi(shape: tuple[int, int, int], **options: object) -> None:
    """The very same path, ties included, and the very same score."""
    chain, _ = chain_of(tuple(shape), **options)
    found = []
    for name in ("triton", "reference"):
        with backend(name):
            found.append(chain.viterbi())
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(ours, theirs), (ours, theirs)


def chunked_loss(shape: tuple[int, int, int], chunk: int, kind: str = "gold", **options: object) -> None:
    """As ``loss``, the sequences cut into chunks."""
    usual = forward_backward.chunk_of
    forward_backward.chunk_of = lambda B, T, K: chunk
    try:
        loss(shape, kind, **options)
    finally:
        forward_backward.chunk_of = usual


def given_back(chain: LinearChain, chunk: int | None = None) -> list[bool]:
    """Which sequences are computed again in log space."""
    usual = forward_backward.chunk_of
    if chunk:
        forward_backward.chunk_of = lambda B, T, K: chunk
    inputs = forward_backward.plain(*chain._inputs(), None)
    value = chain.emissions.new_empty(len(chain.emissions))
    status = forward_backward._solve(inputs, value, no_counts(chain.emissions), False)
    forward_backward.chunk_of = usual
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


def a_score_that_stands_for_forbidden_stays_in_the_fast_recursion(device: str = "cpu") -> None:
    """-10000 in the place of -inf, as many do."""
    chain, _ = chain_of((3, 9, 5), device=device)
    forbidden = torch.rand(5, 5, generator=torch.Generator().manual_seed(0)) < 0.3
    transitions = torch.where(forbidden, -1e4, 0.0).double().to(device)
    chain = LinearChain(chain.emissions, transitions, mask=chain.mask)
    assert given_back(chain) == [False] * 3
    same(loss_and_gradient(chain, None, "triton"), loss_and_gradient(chain, None, "reference"), atol=1e-8)
