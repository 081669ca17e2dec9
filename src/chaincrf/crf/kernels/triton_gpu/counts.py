"""What ends the passes: the counts of moves and of ends, rounded once, and the mean; their weighted sums."""

import triton
import triton.language as tl

from .log_space import solve
from .scaled import field
from .tiles import FIRST, IMPOSSIBLE, LAST, NOT_A_NUMBER, REDO, UNKNOWN_TAGS

__all__ = ["REDUCTIONS", "finish", "weighted"]

NONE, SUM, MEAN, TOKEN_MEAN = (tl.constexpr(n) for n in range(4))
REDUCTIONS = {"none": NONE, "sum": SUM, "mean": MEAN, "token_mean": TOKEN_MEAN}


@triton.jit
def add_up(value, status, total, units, B, REDUCTION: tl.constexpr):
    """The sum of the values by what they are a mean over, and that."""
    lane = tl.arange(0, 128)
    sums, number = tl.zeros((128,), tl.float64), tl.zeros((128,), tl.int64)
    for n in range(0, B, 128):
        b = (n + lane).to(tl.int64)
        sums += tl.load(value + b, b < B, 0.0).to(tl.float64)
        length = tl.load(status + B + b, b < B, 0)
        if REDUCTION == MEAN:
            number += tl.minimum(length, 1)
        else:
            number += length
    found = tl.maximum(tl.sum(number), 1).to(tl.float64)
    found = tl.where(REDUCTION == SUM, 1.0, found)
    tl.store(total, tl.sum(sums) / found)
    tl.store(units, found)


@triton.jit
def collect_ends(unary, blocks, first_out, last_out, b, T, K, count, WIDTH: tl.constexpr):
    """The gradient of start and end is that of the emissions at the first and at the last token."""
    k = tl.arange(0, WIDTH)
    first = field(blocks, b, count, FIRST, "min").to(tl.int64)
    last = field(blocks, b, count, LAST, "max").to(tl.int64)
    row = unary + b * T * K + k
    tags = k < tl.where(last >= 0, K, 0)
    tl.store(first_out + b * K + k, tl.load(row + first * K, tags, 0.0), k < K)
    tl.store(last_out + b * K + k, tl.load(row + last * K, tags, 0.0), k < K)


@triton.jit
def collect_moves(
    products, moves, observed, status, moves_out, b, i, K, chunks, GOLDEN: tl.constexpr, LANES: tl.constexpr
):  # fmt: skip
    """Expected less observed moves, some of them."""
    inside = i < K * K
    what = tl.load(status + b)
    redone = (what & REDO) != 0
    chunks_used = tl.where(redone, 1, chunks)
    lane = tl.arange(0, LANES)
    at = tl.where(redone, i, (i % K) * K + i // K)
    total = tl.zeros_like(i).to(tl.float64)
    for n in range(0, chunks_used, LANES):
        c = n + lane
        place = products + (b * chunks + c)[:, None] * K * K + at[None, :]
        total += tl.sum(tl.load(place, (c < chunks_used)[:, None] & inside[None, :], 0.0), 0)
    total *= tl.where(redone, 1.0, tl.load(moves + i, inside, 0.0))
    if GOLDEN:
        gold = (what & (IMPOSSIBLE | UNKNOWN_TAGS)) == 0
        seen = tl.load(observed + b * K * K + i, inside, 0).to(tl.float64)
        total -= tl.where(gold, seen, 0.0)
    total = tl.where(what == NOT_A_NUMBER, float("nan"), total)
    tl.store(moves_out + b * K * K + i, total, inside)


@triton.jit
def finish(
    emissions, transitions, start, end, mask, tags, factors, blocks, observed, alphas, products, status,
    value, unary, moves_out, first_out, last_out, total, units,
    B, T, rows, K, count, chunks,
    SHARED: tl.constexpr, MASKED: tl.constexpr, GOLDEN: tl.constexpr, GRADIENT: tl.constexpr,
    REDUCTION: tl.constexpr, BLOCK: tl.constexpr, LANES: tl.constexpr, WIDTH: tl.constexpr,
    COLUMNS: tl.constexpr,
):  # fmt: skip
    """A sequence in log space, if it is to be; its expected less observed counts; from the last one the mean.

    Args:
        emissions, transitions, start, end, mask, tags: as given.
        factors, blocks, observed: what ``weigh`` or ``forward_backward`` wrote; of ``factors`` the first.
        alphas: ``(B, rows, K)`` doubles, written over: T rows with a gradient, else 2.
        products: ``(B, chunks, K, K)`` doubles: moves of the chunks by [j, i], to be multiplied by A; where
            the status is REDO the first chunk's are written over, with moves as they are, by [i, j].
        status: ``(2 B + 1,)``: of each sequence (if not SHARED all are to be redone), their lengths, and
            0, where the programs that have ended are counted.
        value, unary, moves_out: ``(B,)``, ``(B, T, K)``, and ``(B, K, K)`` or ``(B, T-1, K, K)``, written;
            with transitions of each position they hold 0 where masked.
        first_out, last_out: ``(B, K)``, written with a GRADIENT.
        total, units: numbers, written by the last program to end where there is a REDUCTION.
    """
    b = tl.program_id(0).to(tl.int64)
    redo = b >= 0
    if SHARED:
        redo = (tl.load(status + b) & REDO) != 0
    if redo:
        solve(
            b, emissions, transitions, start, end, mask, tags, blocks, alphas + b * rows * K,
            products + b * chunks * K * K, value, unary, moves_out, T, K, count,
            SHARED, MASKED, GOLDEN, GRADIENT, WIDTH, COLUMNS,
        )  # fmt: skip
    tl.debug_barrier()  # what threads have written, others read
    if GRADIENT:
        collect_ends(unary, blocks, first_out, last_out, b, T, K, count, WIDTH)
        if SHARED:
            for n in range(0, K * K, BLOCK):
                i = n + tl.arange(0, BLOCK)
                collect_moves(products, factors, observed, status, moves_out, b, i, K, chunks, GOLDEN, LANES)
    if REDUCTION != NONE:  # noqa: SIM102 (one is known to the compiler)
        if tl.atomic_add(status + 2 * B, 1) == B - 1:  # the sum is in order, whoever is the last
            add_up(value, status, total, units, B, REDUCTION)


@triton.jit
def add_rows(rows, weights, step, unit, out, size, B, block, BLOCK: tl.constexpr):
    """Some columns of the weighted sum of the rows of a matrix, in a fixed order."""
    i = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    lane = tl.arange(0, 32)
    total = tl.zeros((32, BLOCK), tl.float64)
    for n in range(0, B, 32):
        b = (n + lane).to(tl.int64)
        w = tl.load(weights + b * step, b < B, 0.0).to(tl.float64) / unit
        x = tl.load(rows + b[:, None] * size + i[None, :], (b < B)[:, None] & (i < size)[None, :], 0.0)
        total += w[:, None] * x.to(tl.float64)
    tl.store(out + i, tl.sum(total, 0), i < size)


@triton.jit
def scale_row(rows, weights, step, unit, out, size, program, count, BLOCK: tl.constexpr):
    """Some of the rows of a matrix times their weights."""
    b = (program // count).to(tl.int64)
    i = (program % count).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(rows + b * size + i, i < size, 0.0)
    tl.store(out + b * size + i, x * (tl.load(weights + b * step).to(tl.float64) / unit), i < size)


@triton.jit
def weighted(
    unary, moves, first, last, weights, units, unary_out, moves_out, first_out, last_out,
    B, step, tokens, pairs, K, by_token, by_pair, by_tag,
    SHARED: tl.constexpr, DIVIDED: tl.constexpr, BLOCK: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The backward pass: counts times the gradients of their sequences, summed for what these share.

    Args:
        unary, moves, first, last: counts, a row a sequence.
        weights: ``(B,)``, ``step`` apart.
        units: a number that the weights are divided by, if DIVIDED.
        unary_out, moves_out, first_out, last_out: written.
        tokens, pairs, K: numbers in a row of ``unary``, ``moves``, and of the ends.
        by_token, by_pair, by_tag: programs for each of them: for each row of ``unary`` (of ``moves`` too if
            not SHARED), for all of the others.
    """
    unit = tl.full((), 1.0, tl.float64)
    if DIVIDED:
        unit = tl.load(units).to(tl.float64)
    program = tl.program_id(0)
    if program < B * by_token:
        scale_row(unary, weights, step, unit, unary_out, tokens, program, by_token, BLOCK)
    program -= B * by_token
    several = by_pair if SHARED else B * by_pair
    if (program >= 0) & (program < several):
        if SHARED:
            add_rows(moves, weights, step, unit, moves_out, pairs, B, program, COLUMNS)
        else:
            scale_row(moves, weights, step, unit, moves_out, pairs, program, by_pair, BLOCK)
    program -= several
    if (program >= 0) & (program < by_tag):
        add_rows(first, weights, step, unit, first_out, K, B, program, COLUMNS)
    if program >= by_tag:
        add_rows(last, weights, step, unit, last_out, K, B, program - by_tag, COLUMNS)
