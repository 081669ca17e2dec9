"""The best path and its score: ``reference/viterbi.py``, sums in the same order, so the very same result.

Forward only the scores are kept; on the way back the best tag before is found again, along the one path.
A program a sequence.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import on_device, options, plain
from .scaled import token_counts
from .tiles import IN_REGISTERS, block_of_columns, warps_of, width_of

__all__ = ["viterbi"]


@triton.jit
def moves_into(transitions, b, t, j, T, K, SHARED: tl.constexpr, WIDTH: tl.constexpr):
    """A[i, j] for some j, -inf where there is no tag, or no number; and whether all are numbers."""
    i = tl.arange(0, WIDTH)
    if not SHARED:
        transitions += (b * (T - 1) + t - 1) * K * K
    place = transitions + i[:, None] * K + j[None, :]
    w = tl.load(place, (i < K)[:, None] & (j < K)[None, :], -float("inf")).to(tl.float64)
    number = w < float("inf")
    return tl.where(number, w, -float("inf")), tl.min(tl.min(number.to(tl.int32), 1))


@triton.jit
def numbers(scores, j, K):
    """Some scores, -inf where there is no tag, or no number; and whether all are numbers."""
    x = tl.load(scores + j, j < K, -float("inf")).to(tl.float64)
    return tl.where(x < float("inf"), x, -float("inf")), tl.min((x < float("inf")).to(tl.int32))


@triton.jit
def step(
    delta, row, b, t, begun, emissions, transitions, start, w, j, T, K,
    SHARED: tl.constexpr, IN_REGISTERS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """The scores of some tags at a token, and whether all that they come from are numbers."""
    u, fine = numbers(emissions + (row + t) * K, j, K)
    number = 1
    if begun > 0:
        if not IN_REGISTERS or not SHARED:
            w, number = moves_into(transitions, b, t, j, T, K, SHARED, WIDTH)
        best = tl.max(delta[:, None] + w, 0)
    else:
        best, number = numbers(start, j, K)
    return best + u, tl.minimum(fine, number)


@triton.jit
def forward(
    row, b, emissions, transitions, start, mask, deltas, T, K,
    SHARED: tl.constexpr, MASKED: tl.constexpr, IN_REGISTERS: tl.constexpr,
    WIDTH: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Delta at each token that counts, written; the last of these, and whether all are numbers."""
    i = tl.arange(0, WIDTH)
    begun, fine, last = 0, 1, row * 0 - 1
    delta = tl.full((WIDTH,), -float("inf"), tl.float64)
    w = tl.zeros((WIDTH, WIDTH if IN_REGISTERS else COLUMNS), tl.float64)
    moves_fine = 1
    if IN_REGISTERS and SHARED:
        w, moves_fine = moves_into(transitions, b, 1, i, T, K, SHARED, WIDTH)
    for t in range(row * 0, T):  # in 64 bits
        if token_counts(mask, row + t, MASKED):
            if IN_REGISTERS:
                new, number = step(
                    delta, row, b, t, begun, emissions, transitions, start, w, i, T, K,
                    SHARED, IN_REGISTERS, WIDTH,
                )  # fmt: skip
                fine = tl.minimum(fine, tl.minimum(number, tl.where(begun > 0, moves_fine, 1)))
                tl.store(deltas + t * K + i, new, i < K)
                delta = new
            else:
                if begun > 0:
                    delta = tl.load(deltas + last * K + i, i < K, -float("inf"))
                for n in range(0, K, COLUMNS):
                    j = n + tl.arange(0, COLUMNS)
                    new, number = step(
                        delta, row, b, t, begun, emissions, transitions, start, w, j, T, K,
                        SHARED, IN_REGISTERS, WIDTH,
                    )  # fmt: skip
                    fine = tl.minimum(fine, number)
                    tl.store(deltas + t * K + j, new, j < K)
                tl.debug_barrier()
            begun = 1
            last = tl.zeros_like(last) + t
    return last, fine


@triton.jit
def highest(x, WIDTH: tl.constexpr):
    """The largest number, and the first tag that has it; tag 0 where nothing is larger than -inf."""
    top = tl.max(x)
    i = tl.arange(0, WIDTH)
    tag = tl.min(tl.where(x == top, i, WIDTH))
    return top, tl.where((top > -float("inf")) & (tag < WIDTH), tag, 0)


@triton.jit
def best_paths(
    emissions, transitions, start, end, mask, deltas, tags, value, T, K,
    SHARED: tl.constexpr, MASKED: tl.constexpr, IN_REGISTERS: tl.constexpr,
    WIDTH: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The best path of a sequence.

    Args:
        emissions, transitions, start, end, mask: as given.
        deltas: ``(B, T, K)`` doubles, written over.
        tags, value: ``(B, T)`` int64 and ``(B,)``, written.
    """
    b = tl.program_id(0).to(tl.int64)
    row = b * T
    deltas += row * K
    i = tl.arange(0, WIDTH)
    last, fine = forward(
        row, b, emissions, transitions, start, mask, deltas, T, K,
        SHARED, MASKED, IN_REGISTERS, WIDTH, COLUMNS,
    )  # fmt: skip
    tl.debug_barrier()  # what threads have written, others read
    some = last >= 0
    ends, number = numbers(end, i, K)
    fine = tl.minimum(fine, number)
    wrong = some & (fine == 0)
    x = tl.load(deltas + last * K + i, i < tl.where(some, K, 0), -float("inf")) + ends
    score, tag = highest(x, WIDTH)
    none = (score == -float("inf")) & ~wrong
    current = last
    for n in range(0, T):
        t = (T - 1 - n).to(tl.int64)
        counts = token_counts(mask, row + t, MASKED)
        if counts & (t < last):
            moves = transitions
            if not SHARED:
                moves += (b * (T - 1) + current - 1) * K * K
            column, _ = numbers(moves + tag, i * K, (K - 1) * K + 1)
            _, tag = highest(tl.load(deltas + t * K + i, i < K, -float("inf")) + column, WIDTH)
            current = t
        tl.store(tags + row + t, tl.where(counts & ~none, tag, -1).to(tl.int64))
    score = tl.where(some, score, 0.0)
    tl.store(value + b, tl.where(wrong, float("nan"), score))


def viterbi(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The best tags, -1 where masked and where there is no path, and their score.

    Args:
        emissions: ``(B, T, K)``.
        transitions: ``(K, K)`` or ``(B, T-1, K, K)``.
        start: ``(K,)``.
        end: ``(K,)``.
        mask: ``(B, T)`` bool, None: all tokens count.
    """
    B, T, K = emissions.shape
    new = emissions.new_empty
    tags, value = new((B, T), dtype=torch.int64), new(B)
    if B:
        deltas = new((B, T, K), dtype=torch.float64)
        *chain, mask_ = plain(emissions, transitions, start, end, mask)
        small = K <= IN_REGISTERS
        with on_device(emissions):
            best_paths[(B,)](
                *chain, deltas if mask_ is None else mask_, deltas, tags, value, T, K,
                SHARED=transitions.dim() == 2, MASKED=mask_ is not None, IN_REGISTERS=small,
                WIDTH=width_of(K), COLUMNS=block_of_columns(K), **options(warps_of(K)),
            )  # fmt: skip
    return tags, value
