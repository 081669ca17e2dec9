"""Loss and gradient in log space: the recursion of ``reference/smoothing.py``, WIDTH sequences at once.

    norm_t[j]  = log sum_i exp(alpha_{t-1}[i] + A[i, j])
    alpha_t[j] = norm_t[j] + u_t[j]                        (less its maximum, which is kept apart)

    w_t[i, j]               = exp(alpha_{t-1}[i] + A[i, j] - norm_t[j]) = p(y_{t-1} = i | y_t = j)
    p(y_{t-1} = i, y_t = j) = w_t[i, j] p(y_t = j)

Right at any range of scores, at two exponentials for each pair of tags. For the sequences that
``forward_backward`` gives back, and for transitions of each position, whose exponentials it would need too.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .compiled import compiled, entry
from .lanes import WIDTH, aligned, exp, load, maximum, pointer, splat, store, where
from .tiles import (
    DONE,
    NOT_A_NUMBER,
    UNKNOWN_TAGS,
    WRONG_TAG,
    chunk_of,
    gather,
    longest_first,
    place,
)

__all__ = ["run"]

W = WIDTH
UNDERFLOW = -700.0


class Chain(NamedTuple):
    """The potentials, as given."""

    T: int
    K: int
    rows: int
    emissions: object
    mask: object
    masked: bool
    tags: object
    gold: bool
    transitions: object
    shared: bool
    start: object
    end: object


class Tile(NamedTuple):
    """WIDTH sequences, the longest first, and the memory to compute them in."""

    sequence: np.ndarray
    length: np.ndarray
    position: np.ndarray
    alpha: np.ndarray
    into: np.ndarray  # u, then norm
    p: np.ndarray
    before: np.ndarray  # p at the token before
    move: np.ndarray  # transitions into one tag
    uses: np.ndarray  # of moves: over all positions, or at one
    number: np.ndarray
    scale: np.ndarray


@compiled
def score_of(chain, tile, lane, n, i, j):
    """The score of the move from tag i at token n - 1 to tag j at token n."""
    K = chain.K
    if chain.shared:
        return np.float64(chain.transitions[i * K + j])
    row = tile.sequence[lane] * (chain.T - 1) + tile.position[lane * chain.T + n] - 1
    return np.float64(chain.transitions[(row * K + i) * K + j])


@compiled
def moves_into(chain, tile, n, j):
    """Bring the transitions into tag j at token n into lanes."""
    for i in range(chain.K):
        if chain.shared:
            store(tile.move, i * W, splat(chain.transitions[i * chain.K + j]))
        else:
            for lane in range(W):
                tile.move[i * W + lane] = (
                    score_of(chain, tile, lane, n, i, j) if n < tile.length[lane] else 0.0
                )


@compiled
def exp_or_zero(x):
    """e^x for x <= 0, 0 where that underflows; NaN stays."""
    return where(x < splat(UNDERFLOW), splat(0.0), exp(x))


@compiled
def normalise(chain, tile, n, before, now):
    """Norm and alpha at token n."""
    K = chain.K
    zero, lowest = splat(0.0), splat(-np.inf)
    fine = load(tile.number, 0)
    for j in range(K):
        moves_into(chain, tile, n, j)
        top = lowest
        for i in range(K):
            x = load(tile.move, i * W)
            fine = where(x < splat(np.inf), fine, zero)
            top = maximum(load(tile.alpha, before + i * W) + x, top)
        top = where(top == lowest, zero, top)
        total = zero
        for i in range(K):
            total = total + exp_or_zero(load(tile.alpha, before + i * W) + load(tile.move, i * W) - top)
        store(tile.move, 0, top)
        store(tile.move, W, total)
        at = now + j * W
        for lane in range(W):
            norm = tile.move[lane] + math.log(tile.move[W + lane])
            tile.alpha[at + lane] = norm + tile.into[at + lane]
            tile.into[at + lane] = norm
    store(tile.number, 0, fine)


@compiled
def forward(chain, tile, n0, n1, value, first_time):
    """Alpha at tokens n0 to n1, from the one before; at the end of a sequence, its log Z."""
    K, rows = chain.K, chain.rows
    zero, lowest = splat(0.0), splat(-np.inf)
    for n in range(n0, n1):
        now = (n - n0 + 1) * rows * W
        fine = load(tile.number, 0)
        for j in range(K):
            fine = where(load(tile.into, now + j * W) < splat(np.inf), fine, zero)
        store(tile.number, 0, fine)
        if n == 0:
            for j in range(K):
                store(tile.alpha, now + j * W, load(tile.into, now + j * W) + splat(chain.start[j]))
        else:
            normalise(chain, tile, n, now - rows * W, now)
        top = lowest
        for j in range(K):
            top = maximum(load(tile.alpha, now + j * W), top)
        top = where(top == lowest, zero, top)
        for j in range(K):
            store(tile.alpha, now + j * W, load(tile.alpha, now + j * W) - top)
        if first_time:
            store(tile.scale, 0, load(tile.scale, 0) + top)
            for lane in range(W):
                if tile.length[lane] == n + 1:
                    value[lane] = log_total(chain, tile, now, lane) + tile.scale[lane]


@compiled
def log_total(chain, tile, now, lane):
    """The log of the summed exp of alpha and end."""
    top = -np.inf
    for j in range(chain.K):
        top = max(top, tile.alpha[now + j * W + lane] + chain.end[j])
    if top == -np.inf:
        return top
    total = 0.0
    for j in range(chain.K):
        total += math.exp(tile.alpha[now + j * W + lane] + chain.end[j] - top)
    return top + math.log(total)


@compiled
def edges(chain, tile, n, now, shared):
    """The marginals of the moves into token n, added to ``uses`` or put there, and of the tags before."""
    K, rows = chain.K, chain.rows
    zero = splat(0.0)
    before = now - rows * W
    for i in range(K):
        store(tile.before, i * W, zero)
    for j in range(K):
        moves_into(chain, tile, n, j)
        norm, p = load(tile.into, now + j * W), load(tile.p, j * W)
        norm = where(norm == splat(-np.inf), splat(np.inf), norm)
        for i in range(K):
            w = exp_or_zero(load(tile.alpha, before + i * W) + load(tile.move, i * W) - norm)
            edge = where(zero < p, w * p, zero)
            store(tile.before, i * W, load(tile.before, i * W) + edge)
            at = (i * K + j) * W
            store(tile.uses, at, edge + load(tile.uses, at) if shared else edge)
    for i in range(K):
        store(tile.p, i * W, load(tile.before, i * W))


@compiled
def write_edges(chain, tile, n, active, gold, moves):
    """The counts of the moves into token n."""
    T, K = chain.T, chain.K
    for lane in range(active):
        b = tile.sequence[lane]
        t = tile.position[lane * T + n]
        at = (b * (T - 1) + t - 1) * K * K
        for x in range(K * K):
            moves[at + x] = tile.uses[x * W + lane]
        if gold[lane]:
            i, j = chain.tags[b * T + tile.position[lane * T + n - 1]], chain.tags[b * T + t]
            moves[at + i * K + j] = tile.uses[(i * K + j) * W + lane] - 1.0


@compiled
def backward(chain, tile, n0, n1, dead, gold, unary, moves, first, last):
    """The marginals of tokens n1 back to n0, written where they belong."""
    T, K, rows = chain.T, chain.K, chain.rows
    active = 0
    while active < W and tile.length[active] > n1:
        active += 1
    for n in range(n1 - 1, n0 - 1, -1):
        now = (n - n0 + 1) * rows * W
        begun = active
        while active < W and tile.length[active] == n + 1:
            total = log_total(chain, tile, now, active)
            for j in range(K):
                x = tile.alpha[now + j * W + active] + chain.end[j] - total
                tile.p[j * W + active] = 0.0 if dead[active] or total == -np.inf else math.exp(x)
            active += 1
        for lane in range(active):
            b = tile.sequence[lane]
            token = b * T + tile.position[lane * T + n]
            for j in range(K):
                unary[token * K + j] = tile.p[j * W + lane]
            if gold[lane]:
                y = chain.tags[token]
                unary[token * K + y] = tile.p[y * W + lane] - 1.0
            for j in range(K):
                if n == 0:
                    first[b * K + j] = unary[token * K + j]
                if lane >= begun:
                    last[b * K + j] = unary[token * K + j]
        if n > 0:
            edges(chain, tile, n, now, chain.shared)
            if not chain.shared:
                write_edges(chain, tile, n, active, gold, moves)


@compiled
def gold_score(chain, tile, lane):
    """The score of the gold path, and whether all its tags are known (DONE, UNKNOWN_TAGS or WRONG_TAG)."""
    T, K = chain.T, chain.K
    b = tile.sequence[lane]
    score, before, status = 0.0, -1, DONE
    for n in range(tile.length[lane]):
        token = b * T + tile.position[lane * T + n]
        y = chain.tags[token]
        if y < 0 or y >= K:
            if y != -100:
                return 0.0, WRONG_TAG
            status = UNKNOWN_TAGS
        elif status == DONE:
            score += chain.emissions[token * K + y]
            score += chain.start[y] if n == 0 else score_of(chain, tile, lane, n, before, y)
            before = y
    if status == DONE and tile.length[lane] > 0:
        score += chain.end[before]
    return score, status


@compiled
def judge(chain, tile, found, value, status, dead, gold):
    """The value and the status of each sequence of a tile."""
    for lane in range(W):
        b, length = tile.sequence[lane], tile.length[lane]
        if b < 0:
            continue
        log_z = found[lane] if length > 0 else 0.0
        what = DONE
        if length > 0 and tile.number[lane] == 0:
            what = NOT_A_NUMBER
        if chain.gold:
            score, tags = gold_score(chain, tile, lane)
            if tags == WRONG_TAG or (what == DONE and tags == UNKNOWN_TAGS):
                what = tags
            elif what == DONE:
                gold[lane] = score > -np.inf
                dead[lane] = not gold[lane]
                log_z = max(log_z - score, 0.0) if gold[lane] else np.inf
        dead[lane] |= what == NOT_A_NUMBER
        value[b] = np.nan if what == NOT_A_NUMBER else log_z
        status[b] = what


@compiled
def clear(chain, tile, moves):
    """Start the counts of moves at 0."""
    tile.uses[:] = 0.0
    if not chain.shared:
        size = (chain.T - 1) * chain.K * chain.K
        for b in tile.sequence:
            if b >= 0:
                for x in range(b * size, (b + 1) * size):
                    moves[x] = 0.0


@compiled
def write_moves(chain, tile, gold, moves):
    """Expected less observed moves over all positions."""
    T, K = chain.T, chain.K
    for lane in range(W):
        b = tile.sequence[lane]
        if b < 0:
            continue
        if gold[lane]:
            for n in range(1, tile.length[lane]):
                i = chain.tags[b * T + tile.position[lane * T + n - 1]]
                j = chain.tags[b * T + tile.position[lane * T + n]]
                tile.uses[(i * K + j) * W + lane] -= 1.0
        for x in range(K * K):
            moves[b * K * K + x] = tile.uses[x * W + lane]


@compiled
def solve(chain, tile, chunk, checkpoints, gradient, value, unary, moves, first, last, status):
    """Everything about the sequences of a tile."""
    longest = tile.length[0]
    chunks = (longest + chunk - 1) // chunk
    size = chain.rows * W
    found = np.zeros(W)
    dead, gold = np.zeros(W, dtype=np.bool_), np.zeros(W, dtype=np.bool_)
    tile.scale[:] = 0.0
    for c in range(chunks):
        n0, n1 = c * chunk, min((c + 1) * chunk, longest)
        gather(chain, tile, n0, n1)
        forward(chain, tile, n0, n1, found, True)
        if c + 1 < chunks:
            tile.alpha[:size] = tile.alpha[chunk * size : (chunk + 1) * size]
            if gradient:
                checkpoints[c * size : (c + 1) * size] = tile.alpha[:size]
    judge(chain, tile, found, value, status, dead, gold)
    if not gradient:
        return
    clear(chain, tile, moves)
    tile.p[:] = 0.0
    for c in range(chunks - 1, -1, -1):
        n0, n1 = c * chunk, min((c + 1) * chunk, longest)
        if c + 1 < chunks:
            if c > 0:
                tile.alpha[:size] = checkpoints[(c - 1) * size : c * size]
            gather(chain, tile, n0, n1)
            forward(chain, tile, n0, n1, found, False)
        backward(chain, tile, n0, n1, dead, gold, unary, moves, first, last)
    if chain.shared:
        write_moves(chain, tile, gold, moves)


@compiled
def numbers(chain, length):
    """Whether the parameters that a sequence uses are numbers."""
    K = chain.K
    for j in range(K):
        if not (chain.start[j] < np.inf and chain.end[j] < np.inf):
            return length == 0
    if chain.shared and length > 1:
        for x in range(K * K):
            if not chain.transitions[x] < np.inf:
                return False
    return True


@entry
def run(
    like, B, T, K, emissions, transitions, start, end, mask, tags, gradient,
    value, unary, moves, first, last, status, which, count, by_position, worker, workers,
):  # fmt: skip
    """The tiles of one worker; arguments as for ``forward_backward.run``, and those named here.

    Args:
        transitions: ``(K, K)``, or ``(B, T-1, K, K)`` if ``by_position``.
        moves: ``(B, K, K)`` or ``(B, T-1, K, K)``, written.
        which: address of the int64 numbers of the sequences to compute.
        count: how many they are.
        by_position: whether each position has transitions of its own.
    """
    tokens = pointer(mask, np.uint8(0))
    chain = Chain(
        T, K, K, pointer(emissions, like), tokens, mask != 0, pointer(tags, np.int64(0)), tags != 0,
        pointer(transitions, like), not by_position, pointer(start, like), pointer(end, like),
    )  # fmt: skip
    asked = pointer(which, np.int64(0))
    lengths = np.full(count, T, dtype=np.int64)
    if mask != 0:
        for n in range(count):
            lengths[n] = 0
            for t in range(T):
                lengths[n] += tokens[asked[n] * T + t]
    order = longest_first(lengths, T)
    longest = lengths[order[0]] if count else 0
    chunk = chunk_of(K, longest)
    size = K * W
    tile = Tile(
        np.empty(W, dtype=np.int64), np.empty(W, dtype=np.int64), np.empty(W * T + 1, dtype=np.int64),
        aligned((chunk + 1) * size), aligned((chunk + 1) * size), aligned(size), aligned(size),
        aligned(size + W), aligned(K * size if gradient else 0), aligned(W), aligned(W),
    )  # fmt: skip
    checkpoints = np.empty((longest // chunk + 1) * size if gradient else 0)
    tiles = (count + W - 1) // W
    for turn in range((tiles + workers - 1) // workers):
        number = turn * workers + (worker if turn % 2 == 0 else workers - 1 - worker)
        if number >= tiles:
            continue
        for lane in range(W):
            n = order[number * W + lane] if number * W + lane < count else -1
            b, length = (asked[n], lengths[n]) if n >= 0 else (-1, 0)
            place(
                chain,
                tile,
                lane,
                b,
                length,
                pointer(unary, like),
                pointer(first, like),
                pointer(last, like),
                gradient,
            )
            tile.number[lane] = 1.0 if numbers(chain, length) else 0.0
        solve(
            chain, tile, chunk, checkpoints, gradient, pointer(value, like), pointer(unary, like),
            pointer(moves, like), pointer(first, like), pointer(last, like), pointer(status, np.uint8(0)),
        )  # fmt: skip
    return 0
