"""Loss and gradient in log space, whatever the range of the scores: a program a sequence, any number of tags.

For what the scaled recursion gives back, for unknown tags, and for transitions of each position. ``finish``
passes over a sequence that is none of these, so nobody has to ask the device which are. Forward it keeps
alpha less its largest; backward the marginals are divided among the tags before::

    p(y_{t-1} = i, y_t = j) = p(y_t = j) softmax_i(alpha_{t-1}[i] + A[i, j])

Where gold tags are unknown, the mass of the paths that agree, and its counts, are found in a second pass and
taken away.
"""

import triton
import triton.language as tl

from .scaled import field, gold_of, token_counts
from .tiles import BAD, FIRST, LAST, UNKNOWN, WRONG, clear

__all__ = ["solve"]


@triton.jit
def scores_of(alphas, at, moves, j, K, WIDTH: tl.constexpr):
    """alpha[i] + A[i, j] for some j, -inf where A is no number; and whether all of A is one."""
    i = tl.arange(0, WIDTH)
    w = tl.load(moves + i[:, None] * K + j[None, :], (i < K)[:, None] & (j < K)[None, :], -float("inf"))
    number = w < float("inf")
    a = tl.load(alphas + at * K + i, i < K, -float("inf"))
    s = a[:, None] + tl.where(number, w.to(tl.float64), -float("inf"))
    return s, tl.min(tl.min(number.to(tl.int32), 1))


@triton.jit
def exponentiated(s):
    """exp(s) by the largest of each column, that one (0 where all is 0), and the sum, then 1."""
    top = tl.max(s, 0)
    some = top > -float("inf")
    top = tl.where(some, top, 0.0)
    e = tl.exp(s - top[None, :])
    return e, top, tl.where(some, tl.sum(e, 0), 1.0), some


@triton.jit
def forward(
    row, b, emissions, transitions, start, mask, tags, alphas, first, last, T, K,
    RESTRICTED: tl.constexpr, SHARED: tl.constexpr, MASKED: tl.constexpr, GRADIENT: tl.constexpr,
    WIDTH: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Where the last alpha stands, its largest, what was taken away before, and whether all are numbers."""
    at, scale = first * 0, (first * 0).to(tl.float64)
    top, fine = scale, 1
    for t in range(first, last + 1):
        if token_counts(mask, row + t, MASKED):
            now = t if GRADIENT else 1 - at
            highest = scale * 0 - float("inf")
            for n in range(0, K, COLUMNS):
                j = n + tl.arange(0, COLUMNS)
                u = tl.load(emissions + (row + t) * K + j, j < K, -float("inf")).to(tl.float64)
                fine = tl.minimum(fine, tl.min((u < float("inf")).to(tl.int32)))
                u = tl.where(u < float("inf"), u, -float("inf"))
                if RESTRICTED:
                    y = tl.load(tags + row + t)
                    u = tl.where((j == y) | (y == -100), u, -float("inf"))
                if t == first:
                    x = tl.load(start + j, j < K, -float("inf")).to(tl.float64) + u
                else:
                    moves = transitions
                    if not SHARED:
                        moves += (b * (T - 1) + t - 1) * K * K
                    s, number = scores_of(alphas, at, moves, j, K, WIDTH)
                    fine = tl.minimum(fine, number)
                    _, largest, total, some = exponentiated(s)
                    x = tl.where(some, largest - top + tl.log(total), -float("inf")) + u
                tl.store(alphas + now * K + j, x, j < K)
                highest = tl.maximum(highest, tl.max(x))
            tl.debug_barrier()
            scale += top
            top = tl.where(highest > -float("inf"), highest, 0.0)
            at = now
    return at, top, scale, fine


@triton.jit
def ended(alphas, at, top, end, some, K, WIDTH: tl.constexpr):
    """The last marginals (0 where there is no path), the log of the sum, whether ``end`` is all numbers."""
    i = tl.arange(0, WIDTH)
    e = tl.load(end + i, i < K, -float("inf")).to(tl.float64)
    number = e < float("inf")
    x = tl.load(alphas + at * K + i, i < tl.where(some, K, 0), -float("inf")) - top
    x += tl.where(number, e, -float("inf"))
    largest = tl.max(x)
    path = largest > -float("inf")
    p = tl.exp(x - tl.where(path, largest, 0.0))
    total = tl.where(path, tl.sum(p), 1.0)
    log_total = tl.where(path, largest + tl.log(total), -float("inf"))
    return p / total, log_total, tl.min(number.to(tl.int32))


@triton.jit
def write_token(p, unary, tags, token, gold, K, RESTRICTED: tl.constexpr, GOLDEN: tl.constexpr,
                WIDTH: tl.constexpr):  # fmt: skip
    """The marginals of a token, less the gold tag; or taken away from what is there."""
    i = tl.arange(0, WIDTH)
    place = unary + token * K + i
    if RESTRICTED:
        p = tl.load(place, i < K, 0.0) - p
    elif GOLDEN:
        p -= tl.where(i == tl.load(tags + token), gold, 0.0)
    tl.store(place, p, i < K)


@triton.jit
def backward(
    p, row, b, transitions, mask, tags, alphas, products, unary, moves_out, first, last, gold, T, K,
    RESTRICTED: tl.constexpr, SHARED: tl.constexpr, MASKED: tl.constexpr, GOLDEN: tl.constexpr,
    WIDTH: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The marginals of all tokens, from those of the last; moves are counted, or taken away."""
    i = tl.arange(0, WIDTH)
    tl.debug_barrier()  # all threads have read the last alpha
    write_token(p, unary, tags, row + last, gold, K, RESTRICTED, GOLDEN, WIDTH)
    current = last
    for n in range(first, last):
        t = last - 1 - (n - first)
        if token_counts(mask, row + t, MASKED):
            tl.store(alphas + current * K + i, p, i < K)  # its alphas have been used
            tl.debug_barrier()
            at = (b * (T - 1) + current - 1) * K * K
            moves, out = transitions, products
            if not SHARED:
                moves, out = transitions + at, moves_out + at
            earlier = tl.zeros((WIDTH,), tl.float64)
            for m in range(0, K, COLUMNS):
                j = m + tl.arange(0, COLUMNS)
                s, _ = scores_of(alphas, t, moves, j, K, WIDTH)
                e, _, total, _ = exponentiated(s)
                edge = e * (tl.load(alphas + current * K + j, j < K, 0.0) / total)[None, :]
                earlier += tl.sum(edge, 1)
                inside = (i < K)[:, None] & (j < K)[None, :]
                place = out + i[:, None] * K + j[None, :]
                if RESTRICTED:
                    edge = tl.load(place, inside, 0.0) - edge
                elif SHARED:
                    edge += tl.load(place, inside, 0.0)
                elif GOLDEN:
                    y, z = tl.load(tags + row + current), tl.load(tags + row + t)
                    edge -= tl.where((i == z)[:, None] & (j == y)[None, :], gold, 0.0)
                tl.store(place, edge, inside)
            tl.debug_barrier()
            p = earlier
            current = t
            write_token(p, unary, tags, row + t, gold, K, RESTRICTED, GOLDEN, WIDTH)


@triton.jit
def solve(
    b, emissions, transitions, start, end, mask, tags, blocks, alphas, products, value, unary, moves_out,
    T, K, count,
    SHARED: tl.constexpr, MASKED: tl.constexpr, GOLDEN: tl.constexpr, GRADIENT: tl.constexpr,
    WIDTH: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Everything about a sequence, written where ``finish`` says."""
    row = b * T
    first = field(blocks, b, count, FIRST, "min").to(tl.int64)
    last = field(blocks, b, count, LAST, "max").to(tl.int64)
    some = last >= 0
    at, top, scale, fine = forward(
        row, b, emissions, transitions, start, mask, tags, alphas, first, last, T, K,
        False, SHARED, MASKED, GRADIENT, WIDTH, COLUMNS,
    )  # fmt: skip
    p, total, number = ended(alphas, at, top, end, some, K, WIDTH)
    i = tl.arange(0, WIDTH)
    begins = tl.load(start + i, i < K, 0.0).to(tl.float64) < float("inf")
    fine = (fine > 0) & (number > 0) & (tl.min(begins.to(tl.int32)) > 0)
    fine = (fine & (field(blocks, b, count, BAD, "sum") == 0)) | ~some
    log_z = tl.where(some, total + top + scale, 0.0)
    dead, unknown, score = ~some, ~some, scale * 0
    if GOLDEN:
        score = gold_of(blocks, b, count, end, tags, T, K)
        unknown = field(blocks, b, count, UNKNOWN, "sum") > 0
        dead = (field(blocks, b, count, WRONG, "sum") > 0) | ((score == -float("inf")) & ~unknown)
    gold = tl.where(dead | unknown, 0.0, 1.0).to(tl.float64)
    if GRADIENT:
        p = tl.where(fine, tl.where(dead, 0.0, p), float("nan"))
        if SHARED:
            clear(products, K * K)
            tl.debug_barrier()
        if some:
            backward(
                p, row, b, transitions, mask, tags, alphas, products, unary, moves_out, first, last, gold,
                T, K, False, SHARED, MASKED, GOLDEN, WIDTH, COLUMNS,
            )  # fmt: skip
    if GOLDEN:
        if unknown & ~dead:
            tl.debug_barrier()
            at, top, scale, _ = forward(
                row, b, emissions, transitions, start, mask, tags, alphas, first, last, T, K,
                True, SHARED, MASKED, GRADIENT, WIDTH, COLUMNS,
            )  # fmt: skip
            p, total, _ = ended(alphas, at, top, end, some, K, WIDTH)
            score = total + top + scale
            dead = score == -float("inf")
            if GRADIENT:
                if dead & fine:
                    clear(unary + row * K, (row * 0 + T) * K)
                    if SHARED:
                        clear(products, K * K)
                    else:
                        clear(moves_out + b * (T - 1) * K * K, (row * 0 + T - 1) * K * K)
                else:
                    backward(
                        p, row, b, transitions, mask, tags, alphas, products, unary, moves_out, first, last,
                        gold, T, K, True, SHARED, MASKED, GOLDEN, WIDTH, COLUMNS,
                    )  # fmt: skip
        finite = (score > -float("inf")) & (log_z > -float("inf"))
        loss = tl.maximum(tl.where(finite, log_z, 0.0) - tl.where(finite, score, 0.0), 0.0)
        log_z = tl.where(dead, float("inf"), loss)
    tl.store(value + b, tl.where(fine, log_z, float("nan")))
