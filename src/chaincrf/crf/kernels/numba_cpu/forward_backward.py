"""Loss and gradient in one pass: the forward-backward of ``reference/forward_backward.py``, scaled.

With U = exp(emissions) and A = exp(transitions), A divided by its largest entry, and s_t a power of two::

    alpha_t[j]    = sum_i alpha_{t-1}[i] A[i, j] U_t[j] s_t                                          (forward)
    beta_{t-1}[i] = sum_j A[i, j] q_t[j],   q_t[j] = U_t[j] s_t beta_t[j],   beta_T = end / Z       (backward)

    p(y_t = j)              = alpha_t[j] beta_t[j]
    p(y_{t-1} = i, y_t = j) = alpha_{t-1}[i] A[i, j] q_t[j]

and log Z is the log of what was divided out. No logarithm and no exponential in the loops over pairs of tags,
only multiply-adds: three small matrix products. As all factors are positive, each number is right to a few
units in the last place, unless it underflows.

Nothing underflows unseen. Emissions within +-45 are taken as they are, else those of a token are divided by
the largest. An entry of U or A under e^-173 > 2^-250 is left out. Then U and A are at least 2^-250, s at
least 2^-80 (alpha is at most 2 K e^45, K under 2^14), and as long as no alpha that is not 0 is under 2^-440,
no product is under 2^-1020; a sequence with such an alpha is given back, to be computed in log space. What
was left out is exactly the paths with an entry left out. They weigh at most K^T e^-d together, if e^-d is the
largest of those entries and no factor is above 1 (e^45 a token where emissions were taken as they are). If
that is not below 2^-60 of the Z that was found, the sequence is given back too. If it is, no probability has
changed by more than 2^-60.
"""

from __future__ import annotations

import math

import numpy as np

from .compiled import compiled, entry
from .counts import clear, count_moves, ends, less_gold, times_moves, write
from .exponentials import PLAIN, begin, exponentiate, known
from .lanes import (
    WIDTH,
    exponent,
    highest,
    inverse_power,
    load,
    lowest_lane,
    maximum,
    minimum,
    onward,
    pointer,
    splat,
    store,
    take,
    where,
)
from .problem import (
    AT_MEMORY,
    AT_TILE,
    AT_UNFINISHED,
    AT_WORKER,
    BY_SEQUENCE,
    DROPPED,
    NUMBER,
    SCALE,
    TOP,
    TOP_MOVE,
    Problem,
    chain_of,
    problem_of,
    sizes,
    tile_in,
)
from .product import multiply
from .tiles import (
    AFTER,
    BEFORE,
    DONE,
    EVERYTHING,
    NOT_A_NUMBER,
    REDO,
    TILES,
    UNKNOWN_TAGS,
    WRONG_TAG,
    place,
)

__all__ = ["AFTER", "AT_MEMORY", "BEFORE", "TILES", "Problem", "run", "sizes"]

W = WIDTH
LOWEST = 2.0**-440
MARGIN = 61 * math.log(2)
BLOCK, HOT = 128, 16
"""Rows whose moves are counted at once, and steps that are exponentiated at once, to stay in the cache."""


@compiled
def scale_of(top):
    """The largest alpha; 1 where there is no path."""
    top = highest(top)
    return where(splat(0.0) < top, top, splat(1.0))


@compiled
def forward(chain, tile, n0, n1, first_time):
    """Alpha at tokens n0 to n1, from the one before; at the end of a sequence, its log Z."""
    K, width, S = chain.K, chain.width, chain.S
    one, zero = splat(1.0), splat(0.0)
    active = 0
    while active < S and tile.length[active] > n0:
        active += 1
    if n0 > 0:
        for s in range(S):
            top = zero
            for k in range(0, width, W):
                top = maximum(load(tile.alpha, s * width + k), top)
            tile.power[s] = lowest_lane(inverse_power(scale_of(top)))
    for n in range(n0, n1):
        now = (n - n0 + 1) * S * width
        if (n - n0) % HOT == 0:
            exponentiate(chain, tile, n0, n, min(n + HOT, n1), first_time)
        while tile.length[active - 1] == n:
            active -= 1
        if n > 0:
            multiply(active, onward(tile.alpha, now - S * width), K, width, width, chain.onward, tile.row)
        for s in range(S):
            at = now + s * width
            top = zero
            if s >= active:
                for k in range(0, width, W):
                    store(tile.alpha, at + k, zero)
            else:
                power = splat(tile.power[(n - n0) * S + s] if n > 0 else 1.0)
                lowest = load(tile.lowest, s * W)
                for k in range(0, width, W):
                    before = load(tile.row, s * width + k) if n > 0 else load(chain.start, k)
                    a = before * (load(tile.into, at + k) * power)
                    store(tile.alpha, at + k, a)
                    top = maximum(a, top)
                    lowest = minimum(where(zero < a, a, one), lowest)
                store(tile.lowest, s * W, lowest)
            top = scale_of(top)
            tile.power[(n - n0 + 1) * S + s] = lowest_lane(inverse_power(top))
            if first_time and n + 1 < tile.length[s]:
                tile.left[s] += lowest_lane(exponent(top))
        for s in range(active if first_time else 0):
            if tile.length[s] == n + 1:
                z = 0.0
                for k in range(K):
                    z += tile.alpha[now + s * width + k] * chain.end[k]
                tile.value[s] = math.log(z) + tile.left[s] * math.log(2) if z > 0 else -np.inf


@compiled
def backward(chain, tile, n0, low, high, unary, counts, each):
    """The marginals of tokens high back to low, written where they belong, and q in the place of U.

    On entry ``tile.beta`` holds beta at token high - 1, of the sequences that go on after it. The counts of
    the next sequence stand ``each`` numbers further on.
    """
    T, K, width, S = chain.T, chain.K, chain.width, chain.S
    zero = splat(0.0)
    scale = chain.facts[SCALE]
    factor = splat(scale)
    whole = K // W * W
    active = 0
    for n in range(high - 1, low - 1, -1):
        now = (n - n0 + 1) * S * width
        while active < S and tile.length[active] > n:
            active += 1
        for s in range(S):
            at, row = now + s * width, s * width
            length = tile.length[s]
            if n >= length:
                for k in range(0, width, W):
                    store(tile.into, at + k, zero)
                    store(tile.beta, row + k, zero)
                continue
            b = tile.sequence[s]
            if n + 1 == length:
                z = 0.0
                for k in range(K):
                    z += tile.alpha[at + k] * chain.end[k]
                if tile.dead[s] > 0 or z == 0:
                    z = np.inf
                for k in range(0, width, W):
                    store(tile.beta, row + k, load(chain.end, k) / splat(z))
            power = splat(tile.power[(n - n0) * S + s] if n > 0 else 1.0)
            token = b * T + tile.position[s * T + n]
            out = onward(unary, token * K)
            for k in range(0, width, W):
                a, x = load(tile.alpha, at + k), load(tile.beta, row + k)
                q = load(tile.into, at + k) * (power * x)
                store(tile.into, at + k, where(zero < a, q, zero))
                p = a * x
                store(tile.row, row + k, p)
                if k < whole:
                    store(out, k, p * factor)
            for k in range(whole, K):
                out[k] = tile.row[row + k] * scale
            if tile.gold[s] > 0:
                y = chain.tags[token]
                out[y] = (tile.row[row + y] - 1.0) * scale
            if n == 0:
                ends(chain, tile, onward(counts, s * each + width * width), s, token)
            if n + 1 == length:
                ends(chain, tile, onward(counts, s * each + (width + 1) * width), s, token)
        if n > 0:
            multiply(active, onward(tile.into, now), K, width, width, chain.back, tile.beta)


@compiled
def gold_score(chain, tile, s):
    """The score of the gold path, and whether all its tags are known (DONE, UNKNOWN_TAGS or WRONG_TAG)."""
    T, K = chain.T, chain.K
    b = tile.sequence[s]
    score = 0.0
    before = -1
    status = DONE
    for n in range(tile.length[s]):
        token = b * T + tile.position[s * T + n]
        y = chain.tags[token]
        if y < 0 or y >= K:
            if y != -100:
                return 0.0, WRONG_TAG
            status = UNKNOWN_TAGS
        elif status == DONE:
            score += chain.emissions[token * K + y]
            score += chain.start_scores[y] if n == 0 else chain.transitions[before * K + y]
            before = y
    if status == DONE and tile.length[s] > 0:
        score += chain.end_scores[before]
    return score, status


@compiled
def judge(chain, tile, value, status):
    """The value and the status of each sequence of a tile; how many are not DONE."""
    K, facts = chain.K, chain.facts
    unfinished = 0
    for s in range(chain.S):
        b, length = tile.sequence[s], tile.length[s]
        if b < 0:
            continue
        log_z = tile.value[s]
        dropped = max(tile.dropped[s], facts[DROPPED])
        plain = PLAIN if facts[DROPPED] == -np.inf else 0.0
        lowest = highest(splat(0.0) - load(tile.lowest, s * W))
        what = DONE
        if length == 0:
            log_z = 0.0
        else:
            if tile.number[s] == 0 or length > facts[NUMBER]:
                what = NOT_A_NUMBER
            elif -lowest_lane(lowest) < LOWEST or (
                dropped > -np.inf and dropped + length * (math.log(K) + plain) + math.log(2) + MARGIN > log_z
            ):
                what = REDO
            log_z += tile.scale[s] + facts[TOP]
            if length > 1:
                log_z += (length - 1) * facts[TOP_MOVE]
        tile.dead[s] = tile.gold[s] = 0.0
        if chain.gold:
            score, tags = gold_score(chain, tile, s)
            if tags == WRONG_TAG or (what == DONE and tags == UNKNOWN_TAGS):
                what = tags
            elif what == DONE:
                tile.gold[s] = 1.0 if score > -np.inf else 0.0
                tile.dead[s] = 1.0 - tile.gold[s]
                log_z = max(log_z - score, 0.0) if score > -np.inf else np.inf
        if what in (REDO, NOT_A_NUMBER):
            tile.dead[s] = 1.0
        chain.values[b] = np.nan if what == NOT_A_NUMBER else log_z
        if chain.reduction == BY_SEQUENCE:
            value[b] = chain.values[b]
        status[b] = what
        unfinished += what != DONE
    return unfinished


@compiled
def solve(chain, tile, number, value, unary, moves, first, last, status):
    """Everything about the sequences of a tile; how many of them are not DONE."""
    B, T, width, S, chunk = chain.B, chain.T, chain.width, chain.S, tile.chunk
    place(chain.mask, chain.masked, chain.lengths, chain.order, B, T, S, number * S,
          tile.sequence, tile.length, tile.position)  # fmt: skip
    longest = tile.length[0]
    chunks = (longest + chunk - 1) // chunk
    row = S * width
    for s in range(S):
        tile.number[s], tile.dropped[s], tile.scale[s], tile.left[s] = 1.0, -np.inf, 0.0, 0.0
        store(tile.lowest, s * W, splat(1.0))
    for c in range(chunks):
        n0, n1 = c * chunk, min((c + 1) * chunk, longest)
        forward(chain, tile, n0, n1, True)
        if c + 1 < chunks:
            for k in range(0, row, W):
                a = load(tile.alpha, chunk * row + k)
                store(tile.alpha, k, a)
                if chain.gradient:
                    store(tile.checkpoints, c * row + k, a)
    unfinished = judge(chain, tile, value, status)
    if not chain.gradient:
        return unfinished

    size = (width + 2) * width  # moves, first tags, last tags
    counts, each, many = tile.counts, size, S * size
    if chain.reduction != BY_SEQUENCE:
        counts, each, many = onward(chain.counts, number * size), 0, size
    clear(chain, tile, unary, counts, many)
    steps = (BLOCK + S - 1) // S
    for c in range(chunks - 1, -1, -1):
        n0, n1 = c * chunk, min((c + 1) * chunk, longest)
        if c + 1 < chunks:
            if c > 0:
                for k in range(0, row, W):
                    store(tile.alpha, k, load(tile.checkpoints, (c - 1) * row + k))
            forward(chain, tile, n0, n1, False)
        for high in range(n1, n0, -steps):
            low = max(high - steps, n0)
            backward(chain, tile, n0, low, high, unary, counts, each)
            count_moves(chain, tile, counts, each, n0, max(low, 1), high)
    for s in range(S if each > 0 else 0):
        b = tile.sequence[s]
        if b >= 0:
            of = onward(counts, s * each)
            times_moves(chain, of)
            if tile.gold[s] > 0:
                less_gold(chain, b, of)
            K = chain.K
            write(chain, of, 1.0, onward(moves, b * K * K), onward(first, b * K), onward(last, b * K))
    return unfinished


@compiled
def finish(chain, value, moves, first, last):
    """The sums over sequences, in an order that does not depend on who computed what."""
    B, width = chain.B, chain.width
    scale = chain.facts[SCALE]
    total = 0.0
    for b in range(B):
        total += chain.values[b]
    value[0] = total * scale
    if not chain.gradient:
        return
    counts, many = chain.counts, (width + 2) * width
    for tile in range(1, (B + chain.S - 1) // chain.S):
        for k in range(0, many, W):
            store(counts, k, load(counts, k) + load(counts, tile * many + k))
    times_moves(chain, counts)
    for b in range(B if chain.gold else 0):
        if chain.values[b] < np.inf:
            less_gold(chain, b, counts)
    write(chain, counts, scale, moves, first, last)


@entry
def run(arguments, like):
    """Solve a ``Problem``, or a part of it: BEFORE by one, TILES by any number together, AFTER by one.

    The status of each sequence is left in ``status``. Of a reduced problem nothing but ``unfinished`` holds
    unless that is 0, and it is not where a tag is unknown or does not exist.
    """
    problem = problem_of(arguments)
    chain = chain_of(like, problem)
    if problem.part in (EVERYTHING, BEFORE):
        begin(chain)
        if chain.reduction != BY_SEQUENCE and chain.gold and not known(chain):
            arguments[AT_UNFINISHED] = chain.B
            return
    value, unary = pointer(problem.value, like), pointer(problem.unary, like)
    moves, first, last = (
        pointer(problem.moves, like),
        pointer(problem.first, like),
        pointer(problem.last, like),
    )
    if problem.part in (EVERYTHING, TILES):
        shared, each = sizes(chain.B, chain.T, chain.K, chain.reduction, chain.gradient)
        worker = take(arguments, AT_WORKER, 1)
        tile = tile_in(chain, problem.memory + 8 * (shared + worker * each))
        number = take(arguments, AT_TILE, 1)
        while number * chain.S < chain.B:
            unfinished = solve(
                chain, tile, number, value, unary, moves, first, last, pointer(problem.status, np.uint8(0))
            )
            take(arguments, AT_UNFINISHED, unfinished)
            number = take(arguments, AT_TILE, 1)
    if (
        problem.part in (EVERYTHING, AFTER)
        and chain.reduction != BY_SEQUENCE
        and arguments[AT_UNFINISHED] == 0
    ):
        finish(chain, value, moves, first, last)
