"""The launches of loss and gradient."""

import torch
import triton
from torch import Tensor

from ...reference.counts import Counts, no_counts
from .counts import collect
from .counts import weighted as weighted_kernel
from .launch import on_device, options, plain
from .log_space import log_space
from .scaled import forward_backward
from .tiles import FIELDS, block_of_columns, tokens_of, warps_of, width_of
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


def _solve(chain: list[Tensor | None], value: Tensor, counts: Counts, gradient: bool) -> None:
    emissions, transitions, start, end, mask, tags = chain
    assert emissions is not None
    assert transitions is not None
    B, T, K = emissions.shape
    shared, masked, golden = transitions.dim() == 2, mask is not None, tags is not None
    double = torch.float64
    new, width, tokens = emissions.new_empty, width_of(K), tokens_of(K)
    observe = golden and gradient and shared
    count, chunks, warps = triton.cdiv(T, tokens), 1, warps_of(K)
    stride = T
    # what is not used is a tensor of one number
    none = new(1, dtype=double)
    blocks, status = new((B, FIELDS.value, count), dtype=double), new(B, dtype=torch.int32)
    moves = ends = facts = into = before = products = none
    observed = emissions.new_zeros((B, K, K), dtype=torch.int32) if observe else none
    if shared:
        moves, ends, facts = new((K, K), dtype=double), new((2, K), dtype=double), new(4, dtype=double)
        into = new((B, stride, K), dtype=double)
    rows = stride if gradient else 2
    before = new((B, rows, K), dtype=double)
    mask_, tags_ = (none if x is None else x for x in (mask, tags))
    flags = {"SHARED": shared, "MASKED": masked, "GOLDEN": golden, "WIDTH": width}
    weigh[(B * count,)](
        emissions, transitions, start, end, mask_, tags_, moves, ends, facts, into, blocks, observed,
        T, stride, K, count, OBSERVE=observe, TOKENS=tokens, **flags, **options(4),
    )  # fmt: skip
    if shared:
        forward_backward[(B, chunks)](
            into, before, counts.emissions, mask_, tags_, end, moves, ends, facts, blocks, none, none, value,
            status, T, stride, K, count, stride,
            CHUNKED=False, MASKED=masked, GOLDEN=golden, GRADIENT=gradient, WIDTH=width, **options(warps),
        )  # fmt: skip
        if gradient:
            products = torch.bmm(before.transpose(1, 2), into)
    log_space[(B,)](
        emissions, transitions, start, end, mask_, tags_, blocks, status, before, products, value,
        counts.emissions, counts.transitions, T, rows, K, count, chunks,
        GRADIENT=gradient, COLUMNS=block_of_columns(K), **flags, **options(max(warps, 4)),
    )  # fmt: skip
    if gradient:
        collect[(B, triton.cdiv(K * K, 1024) if shared else 1)](
            products, moves, observed, counts.emissions, blocks, status, counts.transitions, counts.start,
            counts.end, T, K, count, chunks,
            SHARED=shared, GOLDEN=golden, BLOCK=1024, WIDTH=width, **options(4),
        )  # fmt: skip
