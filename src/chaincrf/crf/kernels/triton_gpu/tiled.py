"""The recursion of ``scaled`` for many tags: a tile of sequences at a time, a step a matrix product.

The moves do not fit into the registers of a program, so they are read again at each token, for all sequences
of a tile at once (one, where there are few); alpha and q go through memory. The products are of doubles:
there is no TF32 in them.
"""

import triton
import triton.language as tl

from .scaled import judge
from .tiles import IMPOSSIBLE, NOT_A_NUMBER, REDO, exponent_of, parts_of, power_of

__all__ = ["COLUMNS", "INNER", "WARPS", "forward_backward_tile", "tile_of"]

COLUMNS, INNER, WARPS = 128, 64, 8
"""Tags computed together, terms of a sum read together; threads, by 32."""
FEW = 128
"""Up to how many sequences each has a program of its own: about as many as a device can run at once."""


def tile_of(B: int) -> int:
    """Sequences of a tile."""
    return 1 if B <= FEW else 16


@triton.jit
def counting(mask, b, t, real, T, MASKED: tl.constexpr):
    """Which sequences have a token at t that counts."""
    if MASKED:
        return tl.load(mask + b * T + t, real, 0) != 0
    return real & (t >= 0)


@triton.jit
def block(rows, b, at, j, real, stride, K):
    """Some tags of a row of each sequence."""
    place = rows + (b * stride + at)[:, None] * K + j[None, :]
    return tl.load(place, real[:, None] & (j < K)[None, :], 0.0)


@triton.jit
def product(rows, matrix, TILE: tl.constexpr):
    """Rows of some sequences times a matrix, in double precision."""
    if TILE == 1:
        return tl.sum(tl.trans(rows) * matrix, 0)[None, :]
    else:  # noqa: RET505 (one is known to the compiler)
        return tl.dot(rows, matrix, input_precision="ieee", out_dtype=tl.float64)


@triton.jit
def forward_tile(
    into, before, exponents, sums, mask, factors, B, T, stride, rows, K,
    MASKED: tl.constexpr, GRADIENT: tl.constexpr,
    TILE: tl.constexpr, COLUMNS: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    """Alpha of a tile of sequences, and what is to be known about it."""
    moves, _turned, ends, _facts = parts_of(factors, K)
    b = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    real = b < B
    begun, left = tl.zeros((TILE,), tl.int32), tl.zeros((TILE,), tl.int64)
    top, lowest = tl.zeros((TILE,), tl.float64), tl.full((TILE,), 1.0, tl.float64)
    first = tl.zeros((TILE,), tl.int32) + T
    for n in range(0, K, COLUMNS):
        j = n + tl.arange(0, COLUMNS)
        place = before + (b * rows)[:, None] * K + j[None, :]
        tl.store(place, tl.zeros((TILE, COLUMNS), tl.float64), real[:, None] & (j < K)[None, :])
    tl.debug_barrier()
    for t in range(0, T):
        counts = counting(mask, b, t, real, T, MASKED)
        at, onto = t, t + 1
        if not GRADIENT:
            at, onto = t % 2, (t + 1) % 2
        e = exponent_of(tl.where(top > 0, top, 1.0)).to(tl.int32)
        power = power_of(e.to(tl.int64))
        if GRADIENT:
            tl.store(exponents + b * T + t, e, real)
        top = tl.zeros((TILE,), tl.float64)
        for n in range(0, K, COLUMNS):
            j = n + tl.arange(0, COLUMNS)
            total = tl.zeros((TILE, COLUMNS), tl.float64)
            for m in range(0, K, INNER):
                i = m + tl.arange(0, INNER)
                a = block(before, b, at, i, real, rows, K)
                w = tl.load(moves + i[:, None] * K + j[None, :], (i < K)[:, None] & (j < K)[None, :], 0.0)
                total += product(a, w, TILE)
            begin = tl.load(ends + j, j < K, 0.0)
            new = tl.where(begun[:, None] > 0, total * power[:, None], begin[None, :])
            new *= block(into, b, t, j, real, stride, K)
            new = tl.where(counts[:, None], new, block(before, b, at, j, real, rows, K))
            place = before + (b * rows + onto)[:, None] * K + j[None, :]
            tl.store(place, new, real[:, None] & (j < K)[None, :])
            top = tl.maximum(top, tl.max(new, 1))
            lowest = tl.minimum(lowest, tl.min(tl.where(new > 0, new, 1.0), 1))
        left += tl.where(counts & (begun > 0), e, 0)
        first = tl.minimum(first, tl.where(counts, t, T))
        begun = tl.where(counts, 1, begun)
        tl.debug_barrier()
    last = T if GRADIENT else T % 2
    z = tl.zeros((TILE,), tl.float64)
    for n in range(0, K, COLUMNS):
        j = n + tl.arange(0, COLUMNS)
        end = tl.load(ends + K + j, j < K, 0.0)
        z += tl.sum(block(before, b, last, j, real, rows, K) * end[None, :], 1)
    tl.store(sums + b * 4, z, real)
    tl.store(sums + b * 4 + 1, left.to(tl.float64), real)
    tl.store(sums + b * 4 + 2, lowest, real)
    tl.store(sums + b * 4 + 3, first.to(tl.float64), real)


@triton.jit
def backward_tile(
    into, before, exponents, sums, status, mask, tags, factors, unary, B, T, stride, rows, K,
    MASKED: tl.constexpr, GOLDEN: tl.constexpr,
    TILE: tl.constexpr, COLUMNS: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    """The marginals of a tile of sequences, less the gold tags, and q in the place of U."""
    _moves, turned, ends, _facts = parts_of(factors, K)
    b = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    real = b < B
    z, first = tl.load(sums + b * 4, real, 0.0), tl.load(sums + b * 4 + 3, real, 0.0)
    what = tl.load(status + b, real, 0)
    dead = ((what & (IMPOSSIBLE | REDO)) != 0) | (z == 0)  # or to be redone
    share = tl.where(dead, 0.0, 1 / tl.where(z > 0, z, 1.0))
    share = tl.where(what == NOT_A_NUMBER, float("nan"), share)
    gold = tl.where(dead, 0.0, 1.0).to(tl.float64)
    following = tl.zeros((TILE,), tl.int64) - 1
    for n in range(0, T):
        t = T - 1 - n
        counts = counting(mask, b, t, real, T, MASKED)
        power = power_of(tl.load(exponents + b * T + t, real, 0).to(tl.int64))
        onward = following >= 0
        onto = tl.maximum(following, 0)
        y = tl.zeros((TILE,), tl.int64)
        if GOLDEN:
            y = tl.load(tags + b * T + t, real, 0)
        for m in range(0, K, COLUMNS):
            j = m + tl.arange(0, COLUMNS)
            total = tl.zeros((TILE, COLUMNS), tl.float64)
            for k in range(0, K, INNER):
                i = k + tl.arange(0, INNER)
                q = block(into, b, onto, i, real & onward, stride, K)
                w = tl.load(turned + i[:, None] * K + j[None, :], (i < K)[:, None] & (j < K)[None, :], 0.0)
                total += product(q, w, TILE)
            end = tl.load(ends + K + j, j < K, 0.0)
            beta = tl.where(onward[:, None], total, end[None, :] * share[:, None])
            alpha = block(before, b, t + 1, j, real, rows, K)
            u = block(into, b, t, j, real, stride, K)
            q = tl.where(alpha > 0, u * (power[:, None] * beta), 0.0)
            q = tl.where((counts & (t > first))[:, None], q, 0.0)
            p = alpha * beta
            if GOLDEN:
                p -= tl.where(j[None, :] == y[:, None], gold[:, None], 0.0)
            inside = real[:, None] & (j < K)[None, :]
            tl.debug_barrier()  # all threads have read U
            tl.store(into + (b * stride + t)[:, None] * K + j[None, :], q, inside)
            place = unary + (b * T + t)[:, None] * K + j[None, :]
            tl.store(place, tl.where(counts[:, None], p, 0.0), inside)
        following = tl.where(counts, t, following)
        tl.debug_barrier()


@triton.jit
def forward_backward_tile(
    end, mask, tags, factors, into, before, blocks, exponents, sums, unary, value, status,
    B, T, stride, rows, K, count,
    MASKED: tl.constexpr, GOLDEN: tl.constexpr, GRADIENT: tl.constexpr,
    TILE: tl.constexpr, COLUMNS: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    """A tile of sequences.

    Args:
        end, mask, tags: as given.
        factors, into, blocks: what ``weigh`` wrote; with a GRADIENT q takes the place of ``into``.
        before: ``(B, rows, K)`` doubles, written: alpha before each token and after the last, T + 1 rows; or,
            without a GRADIENT, the last two.
        exponents: ``(B, T)`` int32, written with a GRADIENT: what each alpha before was divided by.
        sums: ``(B, 4)`` doubles, written: the sum of the last alphas, the exponents divided out, the lowest
            alpha, the first token that counts.
        unary: ``(B, T, K)``, written with a GRADIENT.
        value, status: ``(B,)``, ``(2 B + 1,)``, written.
    """
    forward_tile(
        into, before, exponents, sums, mask, factors, B, T, stride, rows, K,
        MASKED, GRADIENT, TILE, COLUMNS, INNER,
    )  # fmt: skip
    tl.debug_barrier()
    _moves, _turned, _ends, facts = parts_of(factors, K)
    low = tl.program_id(0).to(tl.int64) * TILE
    for b in range(low, tl.minimum(low + TILE, B)):
        z, left, lowest = tl.load(sums + b * 4), tl.load(sums + b * 4 + 1), tl.load(sums + b * 4 + 2)
        judge(b, z, left, lowest, blocks, facts, end, tags, value, status, B, T, K, count, GOLDEN)
    if GRADIENT:
        tl.debug_barrier()
        backward_tile(
            into, before, exponents, sums, status, mask, tags, factors, unary, B, T, stride, rows, K,
            MASKED, GOLDEN, TILE, COLUMNS, INNER,
        )  # fmt: skip
