"""Parallel in time, for few sequences that are long: they are cut into chunks.

1. ``products``: of each chunk the product of its steps, a matrix: row i is the recursion from tag i alone,
   with an exponent of its own. All chunks at the same time.
2. ``boundaries``: alpha before and beta after each chunk, from chunk to chunk; a program a sequence.
3. ``scaled.forward_backward``: the tokens of each chunk, from there. All chunks at the same time.

The work is K times that of 1. without, and the wait that of a chunk and of a step for each chunk: the square
root of T twice, in place of T. What rounds to 0 is found as in ``scaled``: by a floor under each number.
"""

import triton
import triton.language as tl

from .scaled import field, judge, token_counts
from .tiles import FIRST, exponent_of, parts_of, power_of

__all__ = ["boundaries", "products"]


@triton.jit
def products(
    into, mask, factors, blocks, matrices, exponents, lows, T, stride, K, count, chunk,
    MASKED: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """The product of the steps of a chunk; the identity for tokens that do not count.

    Args:
        into, factors, blocks: what ``weigh`` wrote.
        mask: as given.
        matrices: ``(2, B, chunks, K, K)`` doubles, written: from tag i before the chunk to tag j at its end;
            and the same transposed.
        exponents: ``(B, chunks, K)`` int64, written: what each row was divided by.
        lows: ``(B, chunks)`` doubles, written: the lowest number that came up.
    """
    b, c = tl.program_id(0).to(tl.int64), tl.program_id(1)
    moves, _turned, ends, _facts = parts_of(factors, K)
    k = tl.arange(0, WIDTH)
    real = k < K
    square = k[:, None] * K + k[None, :]
    inside = real[:, None] & real[None, :]
    weight = tl.load(moves + square, inside, 0.0)
    begin = tl.load(ends + k, real, 0.0)
    first = field(blocks, b, count, FIRST, "min").to(tl.int64)
    low = c.to(tl.int64) * chunk
    matrix = tl.where(inside & (k[:, None] == k[None, :]), 1.0, 0.0).to(tl.float64)
    left = tl.zeros((WIDTH,), tl.int64)
    lowest = tl.full((WIDTH,), 1.0, tl.float64)
    high = tl.minimum(low + chunk, T)
    counts = token_counts(mask, b * T + low, MASKED)
    u = tl.load(into + (b * stride + low) * K + k, real, 0.0)
    for t in range(low, high):
        ahead = tl.minimum(t + 1, high - 1)
        counts_ahead = token_counts(mask, b * T + ahead, MASKED)
        u_ahead = tl.load(into + (b * stride + ahead) * K + k, real, 0.0)
        top = tl.max(matrix, 1)
        e = exponent_of(tl.where(top > 0, top, 1.0))
        e = tl.where(counts & (t > first), e, 0)
        new = tl.dot(matrix, weight, input_precision="ieee", out_dtype=tl.float64)
        new = tl.where(t == first, begin[None, :], new * power_of(e)[:, None]) * u[None, :]
        matrix = tl.where(counts, new, matrix)
        left += e
        lowest = tl.minimum(lowest, tl.min(tl.where(matrix > 0, matrix, 1.0), 1))
        counts, u = counts_ahead, u_ahead
    place = b * tl.num_programs(1) + c
    tl.store(matrices + place * K * K + square, matrix, inside)
    turned = matrices + tl.num_programs(0).to(tl.int64) * tl.num_programs(1) * K * K
    tl.store(turned + place * K * K + k[None, :] * K + k[:, None], matrix, inside)
    tl.store(exponents + place * K + k, left, real)
    tl.store(lows + place, tl.min(lowest))


@triton.jit
def balanced(v, exponents, lowest, real):
    """What a row is multiplied by, so that v times the rows is about 1; that exponent; the lowest number."""
    e = tl.where(v > 0, exponent_of(tl.where(v > 0, v, 1.0)) + exponents, -(2**62))
    top = tl.max(e)
    top = tl.where(top > -(2**61), top, 0)
    down = tl.where(v > 0, exponents - top, 0)  # v times 2^down is under 2
    lost = (v > 0) & (e - top < -440)
    lowest = tl.minimum(lowest, tl.min(tl.where(lost, 0.0, 1.0)))
    factor = tl.where(lost, 0.0, power_of(-tl.minimum(tl.maximum(down, -1000), 1000)))
    return tl.where(v > 0, factor, 0.0), top, lowest


@triton.jit
def read_chunk(matrices, exponents, lows, place, inside, K, WIDTH: tl.constexpr):
    """What ``products`` wrote of a chunk."""
    k = tl.arange(0, WIDTH)
    matrix = tl.load(matrices + place * K * K + k[:, None] * K + k[None, :], inside, 0.0)
    return matrix, tl.load(exponents + place * K + k, k < K, 0), tl.load(lows + place)


@triton.jit
def boundaries(
    matrices, exponents, lows, factors, blocks, end, tags, entry, exit, value, status,
    B, T, K, count, chunks,
    GOLDEN: tl.constexpr, GRADIENT: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Alpha before each chunk and beta after it, and the value of a sequence.

    Args:
        matrices, exponents, lows: of the chunks.
        factors, blocks: what ``weigh`` wrote.
        end, tags: as given.
        entry, exit: ``(B, chunks, K)`` doubles, written; the product of both sums to 1, if there is a path.
        value, status: ``(B,)``, ``(2 B + 1,)``, written.
    """
    b = tl.program_id(0).to(tl.int64)
    _moves, _turned, ends, facts = parts_of(factors, K)
    k = tl.arange(0, WIDTH)
    real = k < K
    inside = real[:, None] & real[None, :]
    v = tl.where(k == 0, 1.0, 0.0).to(tl.float64)  # before the first token all rows are the same
    left = b * 0
    lowest = tl.full((), 1.0, tl.float64)
    matrix, exponent, low = read_chunk(matrices, exponents, lows, b * chunks, inside, K, WIDTH)
    for c in range(0, chunks):
        place = b * chunks + c
        ahead = b * chunks + tl.minimum(c + 1, chunks - 1)
        matrix_ahead, exponent_ahead, low_ahead = read_chunk(
            matrices, exponents, lows, ahead, inside, K, WIDTH
        )
        tl.store(entry + place * K + k, v, real)
        factor, top, lowest = balanced(v, exponent, lowest, real)
        v = tl.sum((v * factor)[:, None] * matrix, 0)
        left += top
        lowest = tl.minimum(lowest, tl.min(tl.where(v > 0, v, 1.0)))
        lowest = tl.minimum(lowest, low)
        matrix, exponent, low = matrix_ahead, exponent_ahead, low_ahead
    x = tl.load(ends + K + k, real, 0.0)
    z = tl.sum(v * x)
    judge(b, z, left, lowest, blocks, facts, end, tags, value, status, B, T, K, count, GOLDEN)
    if GRADIENT:
        tl.debug_barrier()
        x = x / tl.where(z > 0, z, 1.0)
        place = b * chunks + chunks - 1
        matrices += tl.num_programs(0).to(tl.int64) * chunks * K * K  # transposed: summed over as above
        matrix, exponent, low = read_chunk(matrices, exponents, lows, place, inside, K, WIDTH)
        v = tl.load(entry + place * K + k, real, 0.0)
        for n in range(0, chunks):
            place = b * chunks + chunks - 1 - n
            ahead = tl.maximum(place - 1, b * chunks)
            matrix_ahead, exponent_ahead, low = read_chunk(matrices, exponents, lows, ahead, inside, K, WIDTH)
            v_ahead = tl.load(entry + ahead * K + k, real, 0.0)
            tl.store(exit + place * K + k, x, real)
            factor, _, lowest = balanced(v, exponent, lowest, real)
            x = factor * tl.sum(matrix * x[:, None], 0)
            matrix, exponent, v = matrix_ahead, exponent_ahead, v_ahead
