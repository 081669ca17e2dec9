"""The best path and its score: ``reference/viterbi.py``, sums in the same order, so the very same result.

Forward only the scores are kept; on the way back the best tag before is found again, along the one path.
A program a sequence.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import alignment, launch, on_device, plain
from .scaled import token_counts
from .tiles import IN_REGISTERS, width_of

__all__ = ["columns_of", "viterbi", "warps_of"]


def columns_of(K: int) -> int:
    """How many next tags are computed together where the moves are read again at each token."""
    return min(width_of(K), max(16, 16384 // width_of(K)))


def warps_of(K: int) -> int:
    """Threads of a program, by 32."""
    return 1 if K <= 32 else 4 if K <= IN_REGISTERS else 8


@triton.jit
def moves_into(transitions, b, t, j, wanted, T, K, SHARED: tl.constexpr, WIDTH: tl.constexpr):
    """A[i, j] for some j, -inf where there is no tag, no number, or none wanted; and which j are bad."""
    i = tl.arange(0, WIDTH)
    if not SHARED:
        transitions += (b * (T - 1) + t - 1) * K * K
    place = transitions + i[:, None] * K + j[None, :]
    inside = (i < tl.where(wanted, K, 0))[:, None] & (j < K)[None, :]
    w = tl.load(place, inside, -float("inf")).to(tl.float64)
    number = w < float("inf")
    return tl.where(number, w, -float("inf")), tl.max((~number).to(tl.int32), 0)


@triton.jit
def numbers(scores, j, K):
    """Some scores, -inf where there is no tag, or no number; and which are bad."""
    x = tl.load(scores + j, j < K, -float("inf")).to(tl.float64)
    number = x < float("inf")
    return tl.where(number, x, -float("inf")), (~number).to(tl.int32)


@triton.jit
def forward_in_registers(
    row, b, emissions, transitions, start, mask, deltas, T, K,
    SHARED: tl.constexpr, MASKED: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Delta after each token, written; the last token that counts, and whether a number is bad.

    What a token needs from memory is asked for one token earlier, and no branch waits for it.
    """
    k = tl.arange(0, WIDTH)
    begin, bad_begin = numbers(start, k, K)
    w = tl.zeros((WIDTH, WIDTH), tl.float64)
    bad_moves = tl.zeros((WIDTH,), tl.int32)
    if SHARED:
        w, bad_moves = moves_into(transitions, b, 1, k, row >= 0, T, K, SHARED, WIDTH)
    delta = tl.full((WIDTH,), -float("inf"), tl.float64)
    bad = tl.zeros((WIDTH,), tl.int32)
    last = row * 0 - 1
    counts = token_counts(mask, row, MASKED)
    u, bad_u = numbers(emissions + row * K, k, K)
    for t in range(row * 0, T):  # in 64 bits
        ahead = tl.minimum(t + 1, T - 1)
        counts_ahead = token_counts(mask, row + ahead, MASKED)
        u_ahead, bad_ahead = numbers(emissions + (row + ahead) * K, k, K)
        begun = last >= 0
        if not SHARED:
            w, bad_moves = moves_into(transitions, b, t, k, counts & begun, T, K, SHARED, WIDTH)
        best = tl.where(begun, tl.max(delta[:, None] + w, 0), begin)
        delta = tl.where(counts, best + u, delta)
        bad |= tl.where(counts, bad_u | tl.where(begun, bad_moves, bad_begin), 0)
        last = tl.where(counts, t, last)
        tl.store(deltas + t * K + k, delta, k < K)
        counts, u, bad_u = counts_ahead, u_ahead, bad_ahead
    return last, tl.max(bad)


@triton.jit
def forward(
    row, b, emissions, transitions, start, mask, deltas, T, K,
    SHARED: tl.constexpr, MASKED: tl.constexpr, WIDTH: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The same for many tags, some at a time; delta is written at the tokens that count."""
    i = tl.arange(0, WIDTH)
    bad = tl.zeros((COLUMNS,), tl.int32)
    last = row * 0 - 1
    for t in range(row * 0, T):  # in 64 bits
        if token_counts(mask, row + t, MASKED):
            begun = last >= 0
            place = deltas + tl.maximum(last, 0) * K + i
            delta = tl.load(place, i < tl.where(begun, K, 0), -float("inf"))
            for n in range(0, K, COLUMNS):
                j = n + tl.arange(0, COLUMNS)
                u, bad_u = numbers(emissions + (row + t) * K, j, K)
                begin, bad_begin = numbers(start, j, K)
                w, bad_moves = moves_into(transitions, b, t, j, begun, T, K, SHARED, WIDTH)
                best = tl.where(begun, tl.max(delta[:, None] + w, 0), begin)
                bad |= bad_u | tl.where(begun, bad_moves, bad_begin)
                tl.store(deltas + t * K + j, best + u, j < K)
            tl.debug_barrier()
            last = tl.zeros_like(last) + t
    return last, tl.max(bad)


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
    if IN_REGISTERS:
        last, bad = forward_in_registers(
            row, b, emissions, transitions, start, mask, deltas, T, K, SHARED, MASKED, WIDTH
        )
    else:
        last, bad = forward(
            row, b, emissions, transitions, start, mask, deltas, T, K, SHARED, MASKED, WIDTH, COLUMNS
        )
    tl.debug_barrier()  # what threads have written, others read
    some = last >= 0
    ends, bad_end = numbers(end, i, K)
    wrong = some & ((bad | tl.max(bad_end)) > 0)
    x = tl.load(deltas + tl.maximum(last, 0) * K + i, i < tl.where(some, K, 0), -float("inf")) + ends
    score, tag = highest(x, WIDTH)
    none = (score == -float("inf")) & ~wrong
    current = last
    counts = token_counts(mask, row + T - 1, MASKED)
    delta = tl.load(deltas + (row * 0 + T - 1) * K + i, i < K, -float("inf"))
    for n in range(0, T):
        t = (T - 1 - n).to(tl.int64)
        ahead = tl.maximum(t - 1, 0)
        counts_ahead = token_counts(mask, row + ahead, MASKED)
        delta_ahead = tl.load(deltas + ahead * K + i, i < K, -float("inf"))
        moved = counts & (t < last)
        moves = transitions
        if not SHARED:
            moves += (b * (T - 1) + tl.maximum(current, 1) - 1) * K * K
        column, _ = numbers(moves + tag, i * K, tl.where(moved, (K - 1) * K + 1, 0))
        _, found = highest(delta + column, WIDTH)
        tag = tl.where(moved, found, tag)
        current = tl.where(moved, t, current)
        tl.store(tags + row + t, tl.where(counts & ~none, tag, -1).to(tl.int64))
        counts, delta = counts_ahead, delta_ahead
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
        constants = {
            "SHARED": transitions.dim() == 2,
            "MASKED": mask_ is not None,
            "IN_REGISTERS": K <= IN_REGISTERS,
            "WIDTH": width_of(K),
            "COLUMNS": columns_of(K),
        }
        key = (emissions.device, emissions.dtype, B, T, K, *alignment(*chain, mask_))
        with on_device(emissions):
            launch(
                best_paths, key, (B, 1, 1),
                *chain, deltas if mask_ is None else mask_, deltas, tags, value, T, K,
                warps=warps_of(K), **constants,
            )  # fmt: skip
    return tags, value
