"""What is computed once, for many tokens at the same time: exponentials, and scores of the gold tags."""

import triton
import triton.language as tl

from .tiles import BAD, DROPPED, FIELDS, FIRST, GOLD, LAST, LENGTH, TOPS, UNKNOWN, WRONG, parts_of

__all__ = ["FLOOR", "parameters", "weigh", "weigh_block"]

FLOOR = tl.constexpr(-173.0)
"""An exponential under e^-173 > 2^-250 of the largest is left out, and that is taken note of."""


@triton.jit
def larger(a, b):
    return tl.maximum(a, b)


@triton.jit
def before_block(mask, begin, wanted, BLOCK: tl.constexpr):
    """The last token before ``begin`` that counts, -1 if none does, or if it is not wanted."""
    last = begin * 0 - 1
    at = tl.where(wanted, begin - BLOCK, -BLOCK)
    while (last < 0) & (at > -BLOCK):
        t = at + tl.arange(0, BLOCK)
        counts = tl.load(mask + t, t >= 0, 0) != 0
        last = tl.max(tl.where(counts, t, -1))
        at -= BLOCK
    return last


@triton.jit
def exponentials(scores, size, out, BLOCK: tl.constexpr):
    """Exp of an array by the largest, written; that one's log, the highest log left out, how many are bad."""
    top = tl.full((BLOCK,), -float("inf"), tl.float64)
    bad = tl.zeros((BLOCK,), tl.int32)
    for n in range(0, size, BLOCK):
        i = n + tl.arange(0, BLOCK)
        x = tl.load(scores + i, i < size, -float("inf")).to(tl.float64)
        fine = x < float("inf")
        bad += (~fine).to(tl.int32)
        top = tl.maximum(top, tl.where(fine, x, -float("inf")))
    highest = tl.max(top)
    highest = tl.where(highest == -float("inf"), 0.0, highest)
    dropped = tl.full((BLOCK,), -float("inf"), tl.float64)
    for n in range(0, size, BLOCK):
        i = n + tl.arange(0, BLOCK)
        x = tl.load(scores + i, i < size, -float("inf")).to(tl.float64)
        gap = tl.where(x < float("inf"), x, -float("inf")) - highest
        dropped = tl.maximum(dropped, tl.where(gap < FLOOR, gap, -float("inf")))
        tl.store(out + i, tl.where(gap < FLOOR, 0.0, tl.exp(tl.where(gap < FLOOR, 0.0, gap))), i < size)
    return highest, tl.max(dropped), tl.sum(bad)


@triton.jit
def parameters(transitions, start, end, factors, T, K, BLOCK: tl.constexpr):
    """The exponentials of the parameters, and the facts: what they were divided by, and what was left out."""
    moves, turned, ends, facts = parts_of(factors, K)
    top_start, drop_start, bad_start = exponentials(start, K, ends, BLOCK)
    top_end, drop_end, bad_end = exponentials(end, K, ends + K, BLOCK)
    top_move, drop_move, bad_move = exponentials(transitions, K * K, moves, BLOCK)
    tl.debug_barrier()  # what threads have written, others read
    for n in range(0, K * K, BLOCK):
        i = n + tl.arange(0, BLOCK)
        a = tl.load(moves + (i % K) * K + i // K, i < K * K, 0.0)
        tl.store(turned + i, a, i < K * K)
    tl.store(facts, top_start + top_end)
    tl.store(facts + 1, top_move)
    tl.store(facts + 2, tl.maximum(tl.maximum(drop_start, drop_end), drop_move))
    longest = tl.where(bad_move > 0, 1, T)
    tl.store(facts + 3, tl.where(bad_start + bad_end > 0, 0, longest).to(tl.float64))


@triton.jit
def weigh_block(
    b, block, emissions, transitions, start, mask, tags, into, blocks, observed, T, stride, K, count,
    MASKED: tl.constexpr, GOLDEN: tl.constexpr, SHARED: tl.constexpr, OBSERVE: tl.constexpr,
    TOKENS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Facts and exponentials of a block of tokens of a sequence; see ``weigh``."""
    t = (b * 0 + block) * TOKENS + tl.arange(0, TOKENS)
    k = tl.arange(0, WIDTH)
    inside = t < T
    counts = inside
    if MASKED:
        counts = tl.load(mask + b * T + t, inside, 0) != 0
    x = tl.load(
        emissions + (b * T + t)[:, None] * K + k[None, :], counts[:, None] & (k < K)[None, :], -float("inf")
    ).to(tl.float64)
    number = x < float("inf")
    bad = counts & (tl.min(number.to(tl.int32), 1) == 0)
    facts_of_block = blocks + (b * FIELDS) * count + block
    tl.store(facts_of_block + LENGTH * count, tl.sum(counts.to(tl.float64)))
    tl.store(facts_of_block + BAD * count, tl.sum(bad.to(tl.float64)))
    tl.store(facts_of_block + FIRST * count, tl.min(tl.where(counts, t, T)).to(tl.float64))
    tl.store(facts_of_block + LAST * count, tl.max(tl.where(counts, t, -1)).to(tl.float64))
    if SHARED:
        x = tl.where(number, x, -float("inf"))
        top = tl.max(x, 1)
        top = tl.where(top == -float("inf"), 0.0, top)
        gap = x - top[:, None]
        left_out = gap < FLOOR
        u = tl.where(left_out, 0.0, tl.exp(tl.where(left_out, 0.0, gap)))
        u = tl.where(counts[:, None], u, 0.0)
        tl.store(
            into + (b * stride + t)[:, None] * K + k[None, :], u, (t < stride)[:, None] & (k < K)[None, :]
        )
        gap = tl.where(left_out & counts[:, None] & (k < K)[None, :], gap, -float("inf"))
        tl.store(facts_of_block + TOPS * count, tl.sum(tl.where(counts, top, 0.0)))
        tl.store(facts_of_block + DROPPED * count, tl.max(tl.max(gap, 1)))
    if GOLDEN:
        row = tags + b * T
        y = tl.load(row + t, counts, 0)
        known = (y >= 0) & (y < K)
        previous = t - 1
        if MASKED:
            earlier = tl.load(mask + b * T + t - 1, (t > 0) & inside, 0) != 0
            previous = tl.associative_scan(tl.where(earlier, t - 1, -1), 0, larger)
            some = tl.max(counts.to(tl.int32)) > 0
            previous = tl.maximum(previous, before_block(mask + b * T, tl.min(t), some, TOKENS))
        moved = counts & (previous >= 0)
        z = tl.load(row + previous, moved, 0)
        moved = moved & known & (z >= 0) & (z < K)
        score = tl.load(emissions + (b * T + t) * K + y, counts & known, 0.0).to(tl.float64)
        at = z * K + y
        if not SHARED:
            at += (b * (T - 1) + t - 1) * K * K
        score += tl.load(transitions + at, moved, 0.0).to(tl.float64)
        score += tl.load(start + y, counts & known & (previous < 0), 0.0).to(tl.float64)
        tl.store(facts_of_block + GOLD * count, tl.sum(score))
        unknown = counts & (y == -100)
        tl.store(facts_of_block + UNKNOWN * count, tl.sum(unknown.to(tl.float64)))
        tl.store(facts_of_block + WRONG * count, tl.sum((counts & ~known & ~unknown).to(tl.float64)))
        if OBSERVE:
            tl.atomic_add(observed + b * K * K + z * K + y, 1, mask=moved, sem="relaxed")


@triton.jit
def weigh(
    emissions, transitions, start, end, mask, tags, factors, into, blocks, observed, T, stride, K, count,
    MASKED: tl.constexpr, GOLDEN: tl.constexpr, SHARED: tl.constexpr, OBSERVE: tl.constexpr,
    TOKENS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Facts and exponentials of a block of tokens; the first program does the parameters too.

    Args:
        emissions, transitions, start, end, mask, tags: as given.
        factors: ``(2, K, K)``, ``(2, K)`` and 4 doubles, written where the moves are shared: ``parts_of``.
        into: ``(B, stride, K)`` doubles, written there too: the exponentials of the emissions.
        blocks: ``(B, FIELDS, count)`` doubles, written: the facts about each block.
        observed: ``(B, K, K)`` int32, zero: the moves of the gold path are added.
        T, stride, K: tokens, tokens of ``into``, tags.
        count: blocks in a sequence.
    """
    program = tl.program_id(0)
    if SHARED:  # noqa: SIM102 (one is known to the compiler)
        if program == 0:
            parameters(transitions, start, end, factors, T, K, 1024)
    weigh_block(
        (program // count).to(tl.int64), program % count, emissions, transitions, start, mask, tags, into,
        blocks, observed, T, stride, K, count, MASKED, GOLDEN, SHARED, OBSERVE, TOKENS, WIDTH,
    )  # fmt: skip
