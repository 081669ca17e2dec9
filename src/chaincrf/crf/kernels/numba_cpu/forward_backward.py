"""Loss and gradient in one pass: the recursion of ``reference/smoothing.py``, scaled, WIDTH at once.

With U = exp(emissions) and A = exp(transitions), each divided by its largest entry, and s_t a power of two::

    r_t[j]     = sum_i alpha_{t-1}[i] A[i, j]
    alpha_t[j] = r_t[j] U_t[j] s_t                         (forward; log Z is the log of what was divided out)

    q_t[j]     = p(y_t = j) / r_t[j]
    p(y_{t-1} = i)          = alpha_{t-1}[i] sum_j A[i, j] q_t[j]                                   (backward)
    p(y_{t-1} = i, y_t = j) = alpha_{t-1}[i] A[i, j] q_t[j]

No logarithm and no exponential in the loops over pairs of tags, only multiply-adds; and as all factors are
positive, each number is right to a few units in the last place, unless it underflows.

What could underflow is left out beforehand: an entry of U or A under e^-173 and an alpha under 2^-500 count
as 0, and then no product underflows. So what is computed, exactly, is the chain without some of its paths.
All factors are at most 1. So the paths with an entry e^-d left out weigh at most K^T e^-d together, and those
that begin with the alphas left out at token t at most (their sum) K^(T-t). If that is not below 2^-60 of the
Z that was found, the sequence is given back, to be computed in log space. If it is, then leaving them out has
changed no probability by more than 2^-60.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .compiled import compiled, entry
from .lanes import (
    WIDTH,
    any_of,
    exp,
    exponent,
    inverse_power,
    load,
    maximum,
    pointer,
    splat,
    store,
    taken,
    where,
)
from .tiles import (
    DONE,
    NOT_A_NUMBER,
    REDO,
    UNKNOWN_TAGS,
    WRONG_TAG,
    chunk_of,
    counted,
    gather,
    longest_first,
    place,
)

__all__ = ["run"]

W = WIDTH
FLOOR = -173.0
LOWEST = 2.0**-500
MARGIN = 60 * math.log(2)
BLOCK = 32
"""Steps whose moves are counted at once, while they are in the cache."""


class Chain(NamedTuple):
    """The potentials: what is shared by all sequences, exponentiated."""

    T: int
    K: int
    rows: int  # K, up to a multiple of 4
    emissions: object
    mask: object
    masked: bool
    tags: object
    gold: bool
    transitions: object
    moves: np.ndarray  # A
    onward: np.ndarray  # A in panels of 4 columns
    back: np.ndarray  # A transposed, in panels
    start: np.ndarray
    end: np.ndarray
    start_scores: object
    end_scores: object
    top_start: float
    top_end: float
    top_move: float
    dropped: float  # the highest log of an entry left out
    number: int  # up to how many tokens a sequence may have: 0 if start or end is no number, 1 if a move is


class Tile(NamedTuple):
    """WIDTH sequences, the longest first, and the memory to compute them in."""

    sequence: np.ndarray
    length: np.ndarray
    position: np.ndarray
    alpha: np.ndarray
    into: np.ndarray  # U, then r, then q
    shift: np.ndarray
    p: np.ndarray
    uses: np.ndarray


@compiled
def weights(scores, n, out):
    """exp(scores) by the largest; that one's log, the highest log left out, and whether all are numbers."""
    top = -np.inf
    number = True
    for i in range(n):
        number &= scores[i] < np.inf
        top = max(top, np.float64(scores[i]))
    if top == -np.inf:
        top = 0.0
    dropped = -np.inf
    for i in range(n):
        gap = scores[i] - top
        if gap < FLOOR:
            out[i] = -np.inf
            dropped = max(dropped, gap)
        else:
            out[i] = gap
    for i in range(0, n, W):
        x = load(out, i)
        store(out, i, where(x < splat(FLOOR), splat(0.0), exp(x)))
    return top, dropped, number


@compiled
def panels(matrix, K, rows, transpose):
    """A matrix in panels of 4 columns, so that a step reads it from front to back; 0 beyond column K."""
    out = np.zeros(rows * K)
    for i in range(K):
        for j in range(K):
            row, column = (j, i) if transpose else (i, j)
            out[(column // 4 * K + row) * 4 + column % 4] = matrix[i * K + j]
    return out


@compiled
def product(vector, at, panel, first, K):
    """Four columns of vector @ matrix."""
    a = b = c = d = splat(0.0)
    for i in range(K):
        x = load(vector, at + i * W)
        k = first + 4 * i
        a = a + x * splat(panel[k])
        b = b + x * splat(panel[k + 1])
        c = c + x * splat(panel[k + 2])
        d = d + x * splat(panel[k + 3])
    return a, b, c, d


@compiled
def exponentiate(chain, tile, steps, number, dropped):
    """U, and the log of what it was divided by; which lanes hold numbers only; the highest log left out."""
    K, rows = chain.K, chain.rows
    fine = load(number, 0)
    lost = load(dropped, 0)
    zero, lowest, floor = splat(0.0), splat(-np.inf), splat(FLOOR)
    for s in range(1, steps + 1):
        at = s * rows * W
        top = lowest
        for k in range(K):
            x = load(tile.into, at + k * W)
            fine = where(x < splat(np.inf), fine, zero)
            top = maximum(x, top)
        top = where(top == lowest, zero, top)
        store(tile.shift, s * W, top)
        for k in range(K):
            gap = load(tile.into, at + k * W) - top
            small = gap < floor
            store(tile.into, at + k * W, where(small, zero, exp(gap)))
            lost = maximum(lost, where(small, gap, lowest))
        for k in range(K, rows):
            store(tile.into, at + k * W, zero)
    store(number, 0, fine)
    store(dropped, 0, lost)


@compiled
def forward(chain, tile, n0, n1, scale, power, lost, value, first_time):
    """Alpha at tokens n0 to n1, from the one before; at the end of a sequence, its log Z."""
    K, rows = chain.K, chain.rows
    log_K = math.log(K)
    one, zero, lowest = splat(1.0), splat(0.0), splat(LOWEST)
    inverse = one
    left = load(power, 0)
    active = 0
    while active < W and tile.length[active] > n0:
        active += 1
    top = zero
    if n0 > 0:
        for j in range(K):
            top = maximum(load(tile.alpha, j * W), top)
    for n in range(n0, n1):
        now = (n - n0 + 1) * rows * W
        before = now - rows * W
        gone = zero
        if n == 0:
            for j in range(K):
                a = load(tile.into, now + j * W) * splat(chain.start[j])
                store(tile.alpha, now + j * W, a)
                top = maximum(a, top)
        else:
            inverse = inverse_power(top)
            left = left + exponent(top)
            top = zero
            for j in range(0, rows, 4):
                r = product(tile.alpha, before, chain.onward, j * K, K)
                for k in range(4):
                    at = now + (j + k) * W
                    a = r[k] * (load(tile.into, at) * inverse)
                    kept = where(a < lowest, zero, a)
                    gone = gone + (a - kept)
                    store(tile.into, at, r[k])
                    store(tile.alpha, at, kept)
                    top = maximum(kept, top)
        if first_time:
            store(scale, 0, load(scale, 0) + load(tile.shift, (n - n0 + 1) * W))
            if any_of(zero < gone) or tile.length[active - 1] == n + 1:
                store(power, 0, left)
                store(power, W, gone)
                for lane in range(active):
                    if power[W + lane] > 0:
                        weight = math.log(power[W + lane]) + power[lane] * math.log(2)
                        lost[lane] = max(lost[lane], weight + (tile.length[lane] - 1 - n) * log_K)
                while active > 0 and tile.length[active - 1] == n + 1:
                    active -= 1
                    z = 0.0
                    for j in range(K):
                        z += tile.alpha[now + j * W + active] * chain.end[j]
                    value[active] = math.log(z) + power[active] * math.log(2) if z > 0 else -np.inf
                    value[W + active] = scale[active]
    store(power, 0, left)


@compiled
def backward(chain, tile, n0, lowest, n1, dead, gold, unary, first, last):
    """The marginals of tokens n1 back to ``lowest``, written where they belong, and q in the place of r."""
    T, K, rows = chain.T, chain.K, chain.rows
    zero = splat(0.0)
    active = 0
    while active < W and tile.length[active] > n1:
        active += 1
    for n in range(n1 - 1, lowest - 1, -1):
        now = (n - n0 + 1) * rows * W
        before = now - rows * W
        while active < W and tile.length[active] == n + 1:
            lane = active
            active += 1
            z = 0.0
            for j in range(K):
                z += tile.alpha[now + j * W + lane] * chain.end[j]
            if dead[lane] or z == 0:
                z = np.inf
            row = tile.sequence[lane] * K
            for j in range(K):
                p = tile.alpha[now + j * W + lane] * chain.end[j] / z
                tile.p[j * W + lane] = p
                last[row + j] = p
            if gold[lane]:
                t = tile.position[lane * T + n]
                y = chain.tags[tile.sequence[lane] * T + t]
                last[row + y] = tile.p[y * W + lane] - 1.0
        for lane in range(active):
            t = tile.position[lane * T + n]
            token = tile.sequence[lane] * T + t
            row = token * K
            for j in range(K):
                unary[row + j] = tile.p[j * W + lane]
            if gold[lane]:
                y = chain.tags[token]
                unary[row + y] = tile.p[y * W + lane] - 1.0
            if n == 0:
                for j in range(K):
                    first[tile.sequence[lane] * K + j] = unary[row + j]
        if n > 0:
            for j in range(K):
                r = load(tile.into, now + j * W)
                store(tile.into, now + j * W, where(zero < r, load(tile.p, j * W) / r, zero))
            for i in range(0, rows, 4):
                x = product(tile.into, now, chain.back, i * K, K)
                for k in range(4):
                    store(tile.p, (i + k) * W, x[k] * load(tile.alpha, before + (i + k) * W))


@compiled
def count_moves(chain, tile, first, last):
    """Add alpha_{t-1}[i] q_t[j] over steps of the chunk, for four by two pairs of tags at a time."""
    K, rows = chain.K, chain.rows
    for j in range(0, rows, 4):
        for i in range(0, K, 2):
            at = (i * rows + j) * W
            a, b = load(tile.uses, at), load(tile.uses, at + W)
            c, d = load(tile.uses, at + 2 * W), load(tile.uses, at + 3 * W)
            at += rows * W
            e, f = load(tile.uses, at), load(tile.uses, at + W)
            g, h = load(tile.uses, at + 2 * W), load(tile.uses, at + 3 * W)
            for s in range(first, last):
                x = load(tile.alpha, ((s - 1) * rows + i) * W)
                y = load(tile.alpha, ((s - 1) * rows + i + 1) * W)
                to = (s * rows + j) * W
                q0, q1 = load(tile.into, to), load(tile.into, to + W)
                q2, q3 = load(tile.into, to + 2 * W), load(tile.into, to + 3 * W)
                a, b, c, d = a + x * q0, b + x * q1, c + x * q2, d + x * q3
                e, f, g, h = e + y * q0, f + y * q1, g + y * q2, h + y * q3
            store(tile.uses, at, e)
            store(tile.uses, at + W, f)
            store(tile.uses, at + 2 * W, g)
            store(tile.uses, at + 3 * W, h)
            at -= rows * W
            store(tile.uses, at, a)
            store(tile.uses, at + W, b)
            store(tile.uses, at + 2 * W, c)
            store(tile.uses, at + 3 * W, d)


@compiled
def gold_score(chain, tile, lane):
    """The score of the gold path, and whether all its tags are known (DONE, UNKNOWN_TAGS or WRONG_TAG)."""
    T, K = chain.T, chain.K
    b = tile.sequence[lane]
    score = 0.0
    before = -1
    status = DONE
    for n in range(tile.length[lane]):
        t = tile.position[lane * T + n]
        y = chain.tags[b * T + t]
        if y < 0 or y >= K:
            if y != -100:
                return 0.0, WRONG_TAG
            status = UNKNOWN_TAGS
        elif status == DONE:
            score += chain.emissions[(b * T + t) * K + y]
            score += chain.start_scores[y] if n == 0 else chain.transitions[before * K + y]
            before = y
    if status == DONE and tile.length[lane] > 0:
        score += chain.end_scores[before]
    return score, status


@compiled
def write_moves(chain, tile, gold, out):
    """Expected less observed moves of each sequence."""
    T, K, rows = chain.T, chain.K, chain.rows
    for i in range(K):
        for j in range(K):
            at = (i * rows + j) * W
            store(tile.uses, at, load(tile.uses, at) * splat(chain.moves[i * K + j]))
    for lane in range(W):
        b = tile.sequence[lane]
        if b < 0:
            continue
        if gold[lane]:
            before = 0
            for n in range(tile.length[lane]):
                t = tile.position[lane * T + n]
                y = chain.tags[b * T + t]
                if n > 0:
                    tile.uses[(before * rows + y) * W + lane] -= 1.0
                before = y
        for i in range(K):
            for j in range(K):
                out[(b * K + i) * K + j] = tile.uses[(i * rows + j) * W + lane]


@compiled
def solve(chain, tile, chunk, checkpoints, gradient, value, unary, moves, first, last, status):
    """Everything about the sequences of a tile."""
    K, rows = chain.K, chain.rows
    longest = tile.length[0]
    chunks = (longest + chunk - 1) // chunk
    number = np.ones(W)
    dropped = np.full(W, chain.dropped)
    scale, power, lost = np.zeros(W), np.zeros(2 * W), np.full(W, -np.inf)
    found = np.zeros(2 * W)
    size = rows * W
    for c in range(chunks):
        n0, n1 = c * chunk, min((c + 1) * chunk, longest)
        gather(chain, tile, n0, n1)
        exponentiate(chain, tile, n1 - n0, number, dropped)
        forward(chain, tile, n0, n1, scale, power, lost, found, True)
        if c + 1 < chunks:
            tile.alpha[:size] = tile.alpha[chunk * size : (chunk + 1) * size]
            if gradient:
                checkpoints[c * size : (c + 1) * size] = tile.alpha[:size]

    unfinished = 0
    dead, gold = np.zeros(W, dtype=np.bool_), np.zeros(W, dtype=np.bool_)
    for lane in range(W):
        b, length = tile.sequence[lane], tile.length[lane]
        if b < 0:
            continue
        log_z = found[lane]
        left_out = max(dropped[lane] + length * math.log(K), lost[lane] + math.log(max(length, 1)))
        what = DONE
        if length == 0:
            log_z = 0.0
        else:
            if number[lane] == 0 or length > chain.number:
                what = NOT_A_NUMBER
            elif left_out + math.log(2) + MARGIN > log_z and left_out > -np.inf:
                what = REDO
            log_z += found[W + lane] + chain.top_start + chain.top_end + (length - 1) * chain.top_move
        if chain.gold:
            score, tags = gold_score(chain, tile, lane)
            if tags == WRONG_TAG or (what == DONE and tags == UNKNOWN_TAGS):
                what = tags
            elif what == DONE:
                gold[lane] = score > -np.inf
                dead[lane] = not gold[lane]
                log_z = max(log_z - score, 0.0) if gold[lane] else np.inf
        dead[lane] |= what in (REDO, NOT_A_NUMBER)
        value[b] = np.nan if what == NOT_A_NUMBER else log_z
        status[b] = what
        unfinished += what != DONE
    if not gradient:
        return unfinished

    tile.p[:] = 0.0
    tile.uses[:] = 0.0
    for c in range(chunks - 1, -1, -1):
        n0, n1 = c * chunk, min((c + 1) * chunk, longest)
        if c + 1 < chunks:
            if c > 0:
                tile.alpha[:size] = checkpoints[(c - 1) * size : c * size]
            gather(chain, tile, n0, n1)
            exponentiate(chain, tile, n1 - n0, number, dropped)
            forward(chain, tile, n0, n1, scale, power, lost, found, False)
        for high in range(n1, n0, -BLOCK):
            low = max(high - BLOCK, n0)
            backward(chain, tile, n0, low, high, dead, gold, unary, first, last)
            count_moves(chain, tile, max(low, 1) - n0 + 1, high - n0 + 1)
    write_moves(chain, tile, gold, moves)
    return unfinished


@entry
def run(
    like, B, T, K, emissions, transitions, start, end, mask, tags, gradient,
    value, unary, moves, first, last, status, memory, worker, workers,
):  # fmt: skip
    """The tiles of one worker; the status of each sequence is left in ``status``.

    Args:
        like: a number of the type of the potentials.
        B: sequences.
        T: padded length.
        K: tags.
        emissions: address of ``(B, T, K)``; so the others: contiguous, int64 addresses.
        transitions: ``(K, K)``.
        start: ``(K,)``.
        end: ``(K,)``.
        mask: ``(B, T)`` bool, 0: all tokens count.
        tags: ``(B, T)`` int64, 0: log Z is asked for, not the loss.
        gradient: whether to compute it.
        value: ``(B,)``, written.
        unary: ``(B, T, K)``, written.
        moves: ``(B, K, K)``, written.
        first: ``(B, K)``, written.
        last: ``(B, K)``, written.
        status: ``(B,)`` uint8, written.
        memory: doubles to compute in.
        worker: which one of
        workers: how many share the tiles.

    Returns:
        How many of its sequences are not DONE.
    """
    rows = (K + 3) // 4 * 4
    mask_, scores = pointer(mask, np.uint8(0)), pointer(transitions, like)
    lengths = counted(mask_, mask != 0, B, T)
    order = longest_first(lengths, T)
    A, first_, last_ = np.empty(K * K + W), np.empty(K + W), np.empty(K + W)
    top_start, drop_start, fine_start = weights(pointer(start, like), K, first_)
    top_end, drop_end, fine_end = weights(pointer(end, like), K, last_)
    top_move, drop_move, fine_moves = weights(scores, K * K, A)
    number = T if fine_moves else 1
    chain = Chain(
        T, K, rows,
        pointer(emissions, like), mask_, mask != 0, pointer(tags, np.int64(0)), tags != 0, scores,
        A, panels(A, K, rows, False), panels(A, K, rows, True) if gradient else A,
        first_, last_, pointer(start, like), pointer(end, like),
        top_start, top_end, top_move, max(drop_start, drop_end, drop_move),
        number if fine_start and fine_end else 0,
    )  # fmt: skip
    longest = lengths[order[0]] if B else 0
    chunk = chunk_of(rows, longest)
    size = rows * W
    free = np.zeros(1, dtype=np.int64)
    tile = Tile(
        np.empty(W, dtype=np.int64), np.empty(W, dtype=np.int64), np.empty(W * T + 1, dtype=np.int64),
        taken(memory, free, (chunk + 1) * size), taken(memory, free, (chunk + 1) * size),
        taken(memory, free, (chunk + 1) * W), taken(memory, free, size),
        taken(memory, free, (K + 1) * size if gradient else 0),
    )  # fmt: skip
    tile.alpha[:] = 0.0
    checkpoints = np.empty((longest // chunk + 1) * size if gradient else 0)
    unfinished = 0
    tiles = (B + W - 1) // W
    for turn in range((tiles + workers - 1) // workers):
        n = turn * workers + (worker if turn % 2 == 0 else workers - 1 - worker)
        if n >= tiles:
            continue
        for lane in range(W):
            b = order[n * W + lane] if n * W + lane < B else -1
            place(
                chain,
                tile,
                lane,
                b,
                lengths[b] if b >= 0 else 0,
                pointer(unary, like),
                pointer(first, like),
                pointer(last, like),
                gradient,
            )
        unfinished += solve(
            chain, tile, chunk, checkpoints, gradient, pointer(value, like), pointer(unary, like),
            pointer(moves, like), pointer(first, like), pointer(last, like), pointer(status, np.uint8(0)),
        )  # fmt: skip
    return unfinished
