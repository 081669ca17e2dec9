"""The launches of loss and gradient."""

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from ...reference.counts import Counts, no_counts
from .counts import collect
from .counts import weighted as weighted_kernel
from .launch import on_device, options, plain
from .log_space import log_space
from .scaled import forward_backward
from .scan import boundaries
from .scan import products as products_
from .tiled import COLUMNS, INNER, TILE, backward_tile, forward_tile, verdict
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
    B, T, K = emissions.shape
    shared = transitions.dim() == 2
    new = emissions.new_empty
    value, counts = new(B), no_counts(emissions)
    if gradient:
        unary = new((B, T, K)) if shared else emissions.new_zeros((B, T, K))
        moves = new((B, K, K)) if shared else emissions.new_zeros(transitions.shape)
        counts = Counts(unary, moves, new((B, K)), new((B, K)))
    if B:
        with on_device(emissions):
            _solve(plain(emissions, transitions, start, end, mask, tags), value, counts, gradient)
    return value, *counts


def reduced_loss(
    emissions: Tensor, *others: Tensor | None, gradient: bool, reduction: str
) -> tuple[Tensor, Counts] | None:
    """None: a reduced loss is made of those of the sequences."""
    return None


def weighted(counts: Counts, weights: Tensor, shared: bool) -> tuple[Tensor, ...]:
    """Counts times the weights of their sequences, summed for what the sequences share.

    Args:
        counts: of the sequences.
        weights: ``(B,)``.
        shared: whether the transitions are shared by all positions.
    """
    B, T, K = counts.emissions.shape
    new = counts.emissions.new_empty
    pairs = counts.transitions[0].numel() if B else 0
    if not B:
        zeros = counts.emissions.new_zeros
        moves = zeros((K, K)) if shared else counts.transitions
        return counts.emissions, moves, zeros(K), zeros(K)
    moves = new((K, K)) if shared else new(counts.transitions.shape)
    out = new((B, T, K)), moves, new(K), new(K)
    block, columns = 1024, 32
    by_token, by_tag = triton.cdiv(T * K, block), triton.cdiv(K, columns)
    by_pair = triton.cdiv(pairs, columns if shared else block)
    programs = B * by_token + (by_pair if shared else B * by_pair) + 2 * by_tag
    with on_device(weights):
        weighted_kernel[(programs,)](
            *counts, weights, *out, B, weights.stride(0), T * K, pairs, K, by_token, by_pair, by_tag,
            SHARED=shared, BLOCK=block, COLUMNS=columns, **options(4),
        )  # fmt: skip
    return out


class _Scratch(NamedTuple):
    """What the kernels hand on to one another; a tensor of one number in the place of what is not needed."""

    blocks: Tensor  # (B, FIELDS, count): the facts about blocks of tokens
    status: Tensor  # (B,): what became of each sequence
    moves: Tensor  # (K, K): A
    ends: Tensor  # (2, K): start and end
    facts: Tensor  # (4,): about the parameters
    into: Tensor  # (B, stride, K): U, then q
    before: Tensor  # (B, rows, K): alpha before each token
    observed: Tensor  # (B, K, K): moves of the gold path
    none: Tensor


def _solve(chain: list[Tensor | None], value: Tensor, counts: Counts, gradient: bool) -> Tensor:
    """Launch what is needed; the status of each sequence."""
    emissions, transitions, start, end, mask, tags = chain
    assert emissions is not None
    assert transitions is not None
    B, T, K = emissions.shape
    shared, masked, golden = transitions.dim() == 2, mask is not None, tags is not None
    chunk = chunk_of(B, T, K) if shared else T
    chunks = triton.cdiv(T, chunk)
    stride, tokens, tiled = chunk * chunks, tokens_of(K), shared and K > IN_REGISTERS
    count = triton.cdiv(stride, tokens)
    rows = stride + tiled if gradient else 2
    observe = golden and gradient and shared
    x = _scratch(emissions, count, stride, rows, shared, observe)
    x.before[:, T:stride].zero_()
    mask_, tags_ = (x.none if given is None else given for given in (mask, tags))
    flags = {"SHARED": shared, "GOLDEN": golden, "WIDTH": width_of(K)}
    weigh[(B * count,)](
        emissions, transitions, start, end, mask_, tags_, x.moves, x.ends, x.facts, x.into, x.blocks,
        x.observed, T, stride, K, count,
        MASKED=masked, OBSERVE=observe, TOKENS=tokens, **flags, **options(4),
    )  # fmt: skip
    products = x.none
    if shared:
        given = mask_, tags_, end
        recur = _tiles if tiled else _registers
        recur(x, given, value, counts.emissions, T, chunk, masked, golden, gradient)
        if gradient:
            before = x.before[:, :stride]
            if chunks > 1:
                before = before.reshape(B * chunks, chunk, K)
            products = torch.bmm(before.transpose(1, 2), x.into.view(B * chunks, chunk, K))
    log_space[(B,)](
        emissions, transitions, start, end, mask_, tags_, x.blocks, x.status, x.before, products, value,
        counts.emissions, counts.transitions, T, rows, K, count, chunks,
        MASKED=masked, GRADIENT=gradient, COLUMNS=block_of_columns(K), **flags,
        **options(4 if K <= 32 else 8),
    )  # fmt: skip
    if gradient:
        collect[(B, triton.cdiv(K * K, 1024) if shared else 1)](
            products, x.moves, x.observed, counts.emissions, x.blocks, x.status, counts.transitions,
            counts.start, counts.end, T, K, count, chunks, BLOCK=1024, **flags, **options(4),
        )  # fmt: skip
    return x.status


def _scratch(emissions: Tensor, count: int, stride: int, rows: int, shared: bool, observe: bool) -> _Scratch:
    B, _, K = emissions.shape

    def doubles(*shape: int) -> Tensor:
        return emissions.new_empty(shape, dtype=torch.float64)

    none = doubles(1)
    status = emissions.new_empty(B, dtype=torch.int32)
    observed = emissions.new_zeros((B, K, K), dtype=torch.int32) if observe else none
    parameters = (doubles(K, K), doubles(2, K), doubles(4)) if shared else (none,) * 3
    into = doubles(B, stride, K) if shared else none
    blocks = doubles(B, FIELDS.value, count)
    return _Scratch(blocks, status, *parameters, into, doubles(B, rows, K), observed, none)


def _registers(
    x: _Scratch, given: tuple[Tensor, ...], value: Tensor, unary: Tensor, T: int, chunk: int,
    masked: bool, golden: bool, gradient: bool,
) -> None:  # fmt: skip
    """The recursion with the moves in registers, in chunks if there are several."""
    mask, tags, end = given
    (B, stride, K), count = x.into.shape, x.blocks.shape[2]
    chunks = stride // chunk
    how = options(warps_of(K)) | {"WIDTH": width_of(K)}
    entry = exit = x.none
    if chunks > 1:
        entry, exit = x.into.new_empty((2, B, chunks, K))
        matrices, lows = x.into.new_empty((B, chunks, K, K)), x.into.new_empty((B, chunks))
        exponents = x.into.new_empty((B, chunks, K), dtype=torch.int64)
        products_[(B, chunks)](
            x.into, mask, x.moves, x.ends, x.blocks, matrices, exponents, lows, T, stride, K, count, chunk,
            MASKED=masked, **how | options(2 * warps_of(K)),
        )  # fmt: skip
        boundaries[(B,)](
            matrices, exponents, lows, x.ends, x.blocks, x.facts, end, tags, entry, exit, value, x.status,
            T, K, count, chunks, GOLDEN=golden, GRADIENT=gradient, **how,
        )  # fmt: skip
    if gradient or chunks == 1:
        forward_backward[(B, chunks)](
            x.into, x.before, unary, mask, tags, end, x.moves, x.ends, x.facts, x.blocks, entry, exit, value,
            x.status, T, stride, K, count, chunk,
            CHUNKED=chunks > 1, MASKED=masked, GOLDEN=golden, GRADIENT=gradient, **how,
        )  # fmt: skip


def _tiles(
    x: _Scratch, given: tuple[Tensor, ...], value: Tensor, unary: Tensor, T: int, _chunk: int,
    masked: bool, golden: bool, gradient: bool,
) -> None:  # fmt: skip
    """The recursion for many tags."""
    mask, tags, end = given
    (B, stride, K), count, rows = x.into.shape, x.blocks.shape[2], x.before.shape[1]
    sums = x.into.new_empty((B, 4))
    exponents = x.into.new_empty((B, T), dtype=torch.int32)
    how = options(8) | {"MASKED": masked, "TILE": TILE, "COLUMNS": COLUMNS, "INNER": INNER}
    grid = (triton.cdiv(B, TILE),)
    forward_tile[grid](
        x.into, x.before, exponents, sums, mask, x.moves, x.ends, B, T, stride, rows, K,
        GRADIENT=gradient, **how,
    )  # fmt: skip
    verdict[(B,)](
        sums, x.blocks, x.facts, end, tags, value, x.status, T, K, count, GOLDEN=golden, **options(4)
    )
    if gradient:
        backward_tile[grid](
            x.into, x.before, exponents, sums, x.status, mask, tags, x.moves, x.ends, unary,
            B, T, stride, rows, K, GOLDEN=golden, **how,
        )  # fmt: skip
