"""The launches of loss and gradient."""

from collections.abc import Hashable
from typing import NamedTuple

import torch
from torch import Tensor

from ...reference.counts import Counts, no_counts
from .counts import REDUCTIONS, finish
from .counts import weighted as weighted_kernel
from .launch import alignment, launch, on_device, plain
from .scaled import forward_backward
from .scan import boundaries
from .scan import products as products_
from .tiled import COLUMNS, INNER, WARPS, forward_backward_tile, tile_of
from .tiles import FIELDS, IN_REGISTERS, block_of_columns, chunk_of, tokens_of, warps_of, width_of
from .weigh import weigh

__all__ = ["loss", "reduced_loss", "weighted"]


def loss(
    emissions: Tensor,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
    mask: Tensor | None,
    tags: Tensor | None,
    gradient: bool,
) -> tuple[Tensor, ...]:
    """Log Z, or with tags the negative log-likelihood, and the four tensors of its gradient.

    A tag out of range makes the gold path impossible: nobody waits for the device to say so.

    Args:
        emissions: ``(B, T, K)``.
        transitions: ``(K, K)`` or ``(B, T-1, K, K)``.
        start: ``(K,)``.
        end: ``(K,)``.
        mask: ``(B, T)`` bool, None: all tokens count.
        tags: ``(B, T)`` int64, -100: unknown; None: log Z is asked for.
        gradient: whether it is computed; else its tensors are empty.
    """
    value = emissions.new_empty(emissions.shape[0])
    counts = _counts(emissions, transitions) if gradient else no_counts(emissions)
    if emissions.shape[0]:
        with on_device(emissions):
            _solve(plain(emissions, transitions, start, end, mask, tags), value, counts, gradient)
    return value, *counts


def reduced_loss(
    emissions: Tensor, transitions: Tensor, *others: Tensor | None, gradient: bool, reduction: str
) -> tuple[Tensor, Counts, Tensor] | None:
    """The negative log-likelihood of a batch, its gradient by sequence, and what its sum is divided by.

    Args:
        emissions: ``(B, T, K)``, B at least 1; else None is returned.
        transitions: ``(K, K)``.
        *others: start and end ``(K,)``, the mask ``(B, T)`` or None, tags ``(B, T)``.
        gradient: whether it is computed; else its tensors are empty.
        reduction: ``"sum"``, ``"mean"`` or ``"token_mean"``.
    """
    new = emissions.new_empty
    if not emissions.shape[0]:
        return None
    value, total, units = new(emissions.shape[0]), new(()), new(())
    counts = _counts(emissions, transitions) if gradient else no_counts(emissions)
    with on_device(emissions):
        _solve(plain(emissions, transitions, *others), value, counts, gradient, (reduction, total, units))
    return total, counts, units


def _counts(emissions: Tensor, transitions: Tensor) -> Counts:
    B, T, K = emissions.shape
    if transitions.dim() == 2:
        new = emissions.new_empty
        return Counts(new((B, T, K)), new((B, K, K)), new((B, K)), new((B, K)))
    zeros = emissions.new_zeros  # what is masked is not written
    return Counts(zeros((B, T, K)), zeros(transitions.shape), zeros((B, K)), zeros((B, K)))


def weighted(
    counts: Counts, weights: Tensor, shared: bool, units: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Counts times the weights of their sequences, summed for what the sequences share.

    Args:
        counts: of the sequences.
        weights: ``(B,)``.
        shared: whether the transitions are shared by all positions.
        units: a number that the weights are divided by.
    """
    B, T, K = counts.emissions.shape
    new = counts.emissions.new_empty
    if not B:
        zeros = counts.emissions.new_zeros
        moves = zeros((K, K)) if shared else counts.transitions
        return counts.emissions, moves, zeros(K), zeros(K)
    pairs = counts.transitions[0].numel()
    moves = new((K, K)) if shared else new(counts.transitions.shape)
    out = new((B, T, K)), moves, new(K), new(K)
    block, columns = 1024, 32
    by_token, by_tag = _ceil(T * K, block), _ceil(K, columns)
    by_pair = _ceil(pairs, columns if shared else block)
    programs = B * by_token + (by_pair if shared else B * by_pair) + 2 * by_tag
    step = weights.stride(0)
    divided = units is not None
    key = (weights.device, weights.dtype, B, T, K, shared, divided, step, *alignment(*counts, weights))
    with on_device(weights):
        launch(
            weighted_kernel, key, (programs, 1, 1),
            *counts, weights, units if divided else weights, *out,
            B, step, T * K, pairs, K, by_token, by_pair, by_tag,
            warps=4, SHARED=shared, DIVIDED=divided, BLOCK=block, COLUMNS=columns,
        )  # fmt: skip
    return out


def _ceil(n: int, by: int) -> int:
    return -(-n // by)


class _Scratch(NamedTuple):
    """What the kernels hand on to one another; some other tensor in the place of what is not needed."""

    blocks: Tensor  # (B, FIELDS, count): the facts about blocks of tokens
    status: Tensor  # (2 B + 1,): what became of each sequence, how many tokens count, how many are ready
    factors: Tensor  # (1, _) or (B, _): the exponentials of the parameters, see ``parts_of``
    into: Tensor  # (B, stride, K): U, then q
    before: Tensor  # (B, rows, K): alpha before each token
    observed: Tensor  # (B, K, K): moves of the gold path


class _Sizes(NamedTuple):
    """What the code depends on."""

    B: int
    T: int
    K: int
    shared: bool
    masked: bool
    golden: bool
    gradient: bool
    reduction: str
    chunk: int
    tokens: int
    width: int
    tensors: Hashable
    """Device, dtype, alignments."""


def _solve(
    chain: list[Tensor | None],
    value: Tensor,
    counts: Counts,
    gradient: bool,
    reduced: tuple[str, Tensor, Tensor] | None = None,
) -> Tensor:
    """Launch what is needed; the status of each sequence."""
    emissions, transitions, start, end, mask, tags = chain
    assert emissions is not None
    assert transitions is not None
    B, T, K = emissions.shape
    shared, golden = transitions.dim() == 2, tags is not None
    reduction, total, units = reduced or ("none", value, value)
    chunk = chunk_of(B, T, K) if shared else T
    tiled = shared and K > IN_REGISTERS
    alone = shared and not tiled and chunk >= T
    n = _Sizes(
        B, T, K, shared, mask is not None, golden, gradient, reduction, chunk,
        tokens_of(K, warps_of(K) if alone else 4), width_of(K),
        (emissions.device, emissions.dtype, alignment(*chain)),
    )  # fmt: skip
    chunks = _ceil(T, chunk)
    stride = chunk * chunks
    count = _ceil(stride, n.tokens)
    rows = stride + tiled if gradient else 2
    x = _scratch(n, emissions, alone, count, stride, rows)
    given = emissions, transitions, start, end, *(x.blocks if part is None else part for part in (mask, tags))
    if not alone:
        launch(
            weigh, n, (B * count, 1, 1),
            *given, x.factors, x.into, x.blocks, x.observed, T, stride, K, count,
            warps=4, MASKED=n.masked, GOLDEN=golden, SHARED=shared, OBSERVE=golden and gradient and shared,
            TOKENS=n.tokens, WIDTH=n.width,
        )  # fmt: skip
    products = x.blocks
    if shared:
        recur = _tiles if tiled else _registers
        products = recur(x, n, given, value, counts.emissions)
    launch(
        finish, n, (B, 1, 1),
        *given, x.factors, x.blocks, x.observed, x.before, products, x.status, value, *counts, total, units,
        B, T, rows, K, count, chunks,
        warps=4 if K <= 32 else 8, SHARED=shared, MASKED=n.masked, GOLDEN=golden, GRADIENT=gradient,
        REDUCTION=REDUCTIONS[reduction].value, BLOCK=1024, LANES=8 if chunks > 1 else 1, WIDTH=n.width,
        COLUMNS=block_of_columns(K),
    )  # fmt: skip
    return x.status[:B]


def _scratch(n: _Sizes, emissions: Tensor, alone: bool, count: int, stride: int, rows: int) -> _Scratch:
    B, K, new = n.B, n.K, emissions.new_empty
    blocks = new((B, FIELDS.value, count), dtype=torch.float64)
    status = new((2 * B + 1,), dtype=torch.int32)
    before = new((B, rows, K), dtype=torch.float64)
    factors = into = blocks
    observed = status
    if n.shared:
        factors = new((B if alone else 1, 2 * K * K + 2 * K + 4), dtype=torch.float64)
        into = new((B, stride, K), dtype=torch.float64)
        if n.golden and n.gradient:
            observed = (new if alone else emissions.new_zeros)((B, K, K), dtype=torch.int32)
    return _Scratch(blocks, status, factors, into, before, observed)


def _registers(x: _Scratch, n: _Sizes, given: tuple[Tensor, ...], value: Tensor, unary: Tensor) -> Tensor:
    """The recursion with the moves in registers, in chunks if there are several; see ``products``."""
    *_, end, mask, tags = given
    B, T, K, chunk = n.B, n.T, n.K, n.chunk
    stride, count = x.into.shape[1], x.blocks.shape[2]
    chunks, warps = stride // chunk, warps_of(K)
    entry = exit = products = x.blocks
    if n.gradient:
        products = x.into.new_empty((B, chunks, K, K))
    if chunks > 1:
        entry, exit = x.into.new_empty((2, B, chunks, K))
        matrices, lows = x.into.new_empty((2, B, chunks, K, K)), x.into.new_empty((B, chunks))
        exponents = x.into.new_empty((B, chunks, K), dtype=torch.int64)
        launch(
            products_, n, (B, chunks, 1),
            x.into, mask, x.factors, x.blocks, matrices, exponents, lows, T, stride, K, count, chunk,
            warps=2 * warps, MASKED=n.masked, WIDTH=n.width,
        )  # fmt: skip
        launch(
            boundaries, n, (B, 1, 1),
            matrices, exponents, lows, x.factors, x.blocks, end, tags, entry, exit, value, x.status,
            B, T, K, count, chunks,
            warps=warps, GOLDEN=n.golden, GRADIENT=n.gradient, WIDTH=n.width,
        )  # fmt: skip
    if n.gradient or chunks == 1:
        launch(
            forward_backward, n, (B, chunks, 1),
            *given, x.factors, x.into, x.before, x.blocks, x.observed, entry, exit,
            unary, value, x.status, products,
            B, T, stride, K, count, chunk, x.factors.stride(0) if chunks == 1 else 0,
            warps=warps, CHUNKED=chunks > 1, MASKED=n.masked, GOLDEN=n.golden, GRADIENT=n.gradient,
            TOKENS=n.tokens, WIDTH=n.width,
        )  # fmt: skip
    return products


def _tiles(x: _Scratch, n: _Sizes, given: tuple[Tensor, ...], value: Tensor, unary: Tensor) -> Tensor:
    """The recursion for many tags."""
    *_, end, mask, tags = given
    B, T, K = n.B, n.T, n.K
    stride, count, rows = x.into.shape[1], x.blocks.shape[2], x.before.shape[1]
    sums = x.into.new_empty((B, 4))
    exponents = x.into.new_empty((B, T), dtype=torch.int32)
    tile = tile_of(B)
    launch(
        forward_backward_tile, n, (_ceil(B, tile), 1, 1),
        end, mask, tags, x.factors, x.into, x.before, x.blocks, exponents, sums, unary, value, x.status,
        B, T, stride, rows, K, count,
        warps=WARPS, MASKED=n.masked, GOLDEN=n.golden, GRADIENT=n.gradient,
        TILE=tile, COLUMNS=COLUMNS, INNER=INNER,
    )  # fmt: skip
    return torch.bmm(x.into.transpose(1, 2), x.before[:, :T]) if n.gradient else x.blocks
