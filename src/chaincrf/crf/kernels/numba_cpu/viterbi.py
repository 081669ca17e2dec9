"""The path of the highest score; only scores are stored on the way.

    delta_t[j] = max_i (delta_{t-1}[i] + A[i, j]) + u_t[j]

Which tag i it was is looked up again along the best path alone: T K comparisons in place of T K^2 stores.

A tag whose delta lies under the highest one by more than max A - min A is the best predecessor of none, so
with many tags a step looks at the few that do not. Ties, as everywhere: the lowest last tag, and from there
back the lowest previous tag; the sums are those of the reference, in float64 and in its order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .compiled import compiled, entry, plain
from .lanes import (
    WIDTH,
    all_of,
    any_of,
    count_of,
    first_of,
    highest,
    load,
    lowest_lane,
    maximum,
    onward,
    pointer,
    size,
    splat,
    store,
    take,
    where,
)
from .product import multiply_max, panels
from .tiles import (
    AFTER,
    BEFORE,
    EVERYTHING,
    TILES,
    aligned,
    chunk_of,
    counted,
    longest_first,
    place,
    tile_of,
    width_of,
)

__all__ = ["AFTER", "AT_MEMORY", "BEFORE", "TILES", "Problem", "run", "sizes"]

W = WIDTH
MANY = 32
"""From how many tags on it pays to look for those that can be a predecessor, and one in how many may be."""
FEW = 4


class Problem(NamedTuple):
    """The arguments of ``run``; integers, and addresses of contiguous tensors (0: there is none)."""

    part: int
    B: int
    T: int
    K: int
    emissions: int  # (B, T, K)
    transitions: int  # (K, K), or (B, T-1, K, K)
    by_position: int  # whether each position has transitions of its own
    start: int  # (K,)
    end: int  # (K,)
    mask: int  # (B, T) bool, 0: all tokens count
    tags: int  # (B, T) int64, written
    value: int  # (B,), written
    memory: int  # doubles, as many as ``sizes`` says
    tile: int  # the next one; 0 at the beginning, and so that which follows
    worker: int


AT_MEMORY, AT_TILE, AT_WORKER = range(len(Problem._fields) - 3, len(Problem._fields))


class Chain(NamedTuple):
    """The potentials."""

    B: int
    T: int
    K: int
    width: int
    S: int
    emissions: object
    transitions: object
    by_position: bool
    mask: object
    masked: bool
    lengths: object
    order: object
    every: object  # all sequences, as they come
    start: object
    end: object
    moves: object  # row by row
    columns: object  # column by column
    panels: object
    facts: object


REACH, NUMBER = range(2)
"""Facts: max A - min A, infinite where not to be used; up to how many tokens a sequence may have (0: start or
end is no number, 1: a move is none)."""


class Tile(NamedTuple):
    """S sequences, the longest first, and the memory to compute them in."""

    sequence: object
    length: object
    position: object
    path: object
    some: object
    count: object
    delta: object
    row: object
    score: object
    number: object
    checkpoints: object
    chunk: int


@plain
def sizes(B, T, K, by_position):
    """Doubles for what all workers share, and for each of them."""
    width, S = width_of(K), tile_of(B, K)
    chunk = chunk_of(S * width, T)
    shared = 2 * width + W + 3 * B + T + 2 + (0 if by_position else 3 * K * width)
    worker = (
        S * (T + 3) + S * K + S + 2 * S + 2 * width + (chunk + 1) * S * width + (T // chunk + 1) * S * width
    )
    return shared + W, worker + W


@compiled
def chain_of(like, problem):
    """The potentials of a problem, and where in the memory the rest of them is."""
    B, T, K = problem.B, problem.T, problem.K
    width = width_of(K)
    start = pointer(aligned(problem.memory), np.float64(0))
    end = onward(start, width)
    moves = onward(end, width)
    many = 0 if problem.by_position else K * width
    columns, onto = onward(moves, many), onward(moves, 2 * many)
    facts = onward(moves, 3 * many)
    lengths = onward(pointer(aligned(problem.memory), np.int64(0)), 2 * width + 3 * many + W)
    return Chain(
        B, T, K, width, tile_of(B, K),
        pointer(problem.emissions, like), pointer(problem.transitions, like), problem.by_position != 0,
        pointer(problem.mask, np.uint8(0)), problem.mask != 0,
        lengths, onward(lengths, B), onward(lengths, 2 * B + T + 2),
        start, end, moves, columns, onto, facts,
    )  # fmt: skip


@compiled
def tile_in(chain, address):
    """The memory of a worker."""
    T, K, width, S = chain.T, chain.K, chain.width, chain.S
    chunk = chunk_of(S * width, T)
    delta = pointer(aligned(address), np.float64(0))
    checkpoints = onward(delta, (chunk + 1) * S * width)
    row = onward(checkpoints, (T // chunk + 1) * S * width)
    score = onward(row, 2 * width)
    integers = onward(
        pointer(aligned(address), np.int64(0)), (chunk + 1 + T // chunk + 1) * S * width + 2 * width + 2 * S
    )
    path = onward(integers, S * (T + 2))
    some = onward(path, S)
    return Tile(
        integers, onward(integers, S), onward(integers, 2 * S), path, some, onward(some, S * K),
        delta, row, score, onward(score, S), checkpoints, chunk,
    )  # fmt: skip


@compiled
def begin(chain, start, end):
    """What is done once."""
    B, T, K, width = chain.B, chain.T, chain.K, chain.width
    counted(chain.mask, chain.masked, B, T, chain.lengths)
    for b in range(B):
        chain.every[b] = b
    longest_first(chain.lengths, chain.every, B, T, onward(chain.order, B), chain.order)
    fine = True
    for k in range(width):
        chain.start[k] = chain.end[k] = -np.inf
        if k < K:
            fine &= start[k] < np.inf and end[k] < np.inf
            chain.start[k], chain.end[k] = start[k], end[k]
    number = np.float64(T)
    reach = np.inf
    if not chain.by_position:
        low, high = np.inf, -np.inf
        for i in range(K):
            for j in range(K, width):
                chain.moves[i * width + j] = chain.columns[i * width + j] = -np.inf
            for j in range(K):
                x = np.float64(chain.transitions[i * K + j])
                chain.moves[i * width + j] = chain.columns[j * width + i] = x
                low, high = min(low, x), max(high, x)
                if not x < np.inf:
                    number = 1.0
        panels(chain.transitions, K, width, False, -np.inf, chain.panels)
        if K >= MANY and low > -np.inf and number > 1:
            reach = high - low
    chain.facts[REACH] = reach
    chain.facts[NUMBER] = number if fine else 0.0


@compiled
def predecessors(delta, K, width, reach, some):
    """The tags that can be the best predecessor of a tag, and how many they are; K where they are not few."""
    top = splat(-np.inf)
    for k in range(0, width, W):
        top = maximum(load(delta, k), top)
    top = highest(top)
    # far more than rounding could hide, so that no tie is lost
    room = splat(reach) + (size(top) + splat(reach)) * splat(1e-12)
    least = top - room
    count = 0
    for k in range(0, width, W):
        count += count_of(least <= load(delta, k))
    if count * FEW >= K:
        return K
    count = 0
    for k in range(0, width, W):
        if any_of(least <= load(delta, k)):
            for i in range(k, min(k + W, K)):
                if delta[i] >= lowest_lane(least):
                    some[count] = i
                    count += 1
    return count


@compiled
def over_some(chain, delta, some, count, out):
    """out[j] = max_i (delta[i] + A[i, j]) over some i."""
    width = chain.width
    whole = width - width % (4 * W)
    for j in range(0, whole, 4 * W):
        a = b = c = d = splat(-np.inf)
        for n in range(count):
            at = some[n] * width + j
            x = splat(delta[some[n]])
            a = maximum(x + load(chain.moves, at), a)
            b = maximum(x + load(chain.moves, at + W), b)
            c = maximum(x + load(chain.moves, at + 2 * W), c)
            d = maximum(x + load(chain.moves, at + 3 * W), d)
        store(out, j, a)
        store(out, j + W, b)
        store(out, j + 2 * W, c)
        store(out, j + 3 * W, d)
    for j in range(whole, width, W):
        a = splat(-np.inf)
        for n in range(count):
            a = maximum(splat(delta[some[n]]) + load(chain.moves, some[n] * width + j), a)
        store(out, j, a)


@compiled
def step(chain, tile, active, before, now):
    """out[s, j] = max_i (delta[s, i] + A[i, j]) for the sequences that go on."""
    K, width = chain.K, chain.width
    if chain.facts[REACH] < np.inf:
        few = True
        for s in range(active):
            of = onward(before, s * width)
            tile.count[s] = predecessors(of, K, width, chain.facts[REACH], onward(tile.some, s * K))
            few &= tile.count[s] < K
        if few:
            for s in range(active):
                at = s * width
                over_some(chain, onward(before, at), onward(tile.some, s * K), tile.count[s], onward(now, at))
            return
    multiply_max(active, before, K, width, width, chain.panels, now)


@compiled
def step_by_position(chain, tile, active, n, before, now):
    """The same with the transitions of each position."""
    T, K, width = chain.T, chain.K, chain.width
    for s in range(active):
        at = s * width
        moves = onward(chain.transitions, (tile.sequence[s] * (T - 1) + tile.position[s * T + n] - 1) * K * K)
        for j in range(width):
            now[at + j] = -np.inf
        for i in range(K):
            x = before[at + i]
            for j in range(K):
                score = np.float64(moves[i * K + j])
                if not score < np.inf:
                    tile.number[s] = 0.0
                now[at + j] = max(now[at + j], x + score)


@compiled
def forward(chain, tile, n0, n1):
    """Delta at tokens n0 to n1, from the one before."""
    T, K, width, S = chain.T, chain.K, chain.width, chain.S
    total = chain.B * T * K
    zero = splat(0.0)
    for k in range(W):
        tile.row[k] = 1.0 if width - W + k < K else 0.0
    real, every = zero < load(tile.row, 0), zero < splat(1.0)
    active = S
    for n in range(n0, n1):
        while tile.length[active - 1] <= n:
            active -= 1
        now = onward(tile.delta, (n - n0 + 1) * S * width)
        before = onward(tile.delta, (n - n0) * S * width)
        if n == 0:
            for s in range(S):
                for k in range(0, width, W):
                    store(now, s * width + k, load(chain.start, k))
        elif chain.by_position:
            step_by_position(chain, tile, active, n, before, now)
        else:
            step(chain, tile, active, before, now)
        for s in range(active):
            token = (tile.sequence[s] * T + tile.position[s * T + n]) * K
            x = onward(chain.emissions, token)
            fine = every
            at = s * width
            for k in range(0, width - W, W):
                u = load(x, k)
                fine = fine & (u < splat(np.inf))
                store(now, at + k, load(now, at + k) + u)
            k = width - W
            if token + width <= total:
                u = where(real, load(x, k), zero)  # what stands there is of the next token
            else:
                for j in range(k, width):
                    tile.row[j] = np.float64(x[j]) if j < K else 0.0
                u = load(tile.row, k)
            fine = fine & (u < splat(np.inf))
            store(now, at + k, load(now, at + k) + u)
            if not all_of(fine):
                tile.number[s] = 0.0


@compiled
def best_of(delta, column, width):
    """The highest sum, and the first tag that has it."""
    top = splat(-np.inf)
    for k in range(0, width, W):
        top = maximum(load(delta, k) + load(column, k), top)
    top = highest(top)
    tag = 0
    for k in range(width - W, -1, -W):
        at = first_of(load(delta, k) + load(column, k) == top)
        tag = k + at if at < W else tag
    return lowest_lane(top), tag


@compiled
def best_by_position(chain, tile, s, n, delta):
    """The same with the transitions of a position."""
    T, K = chain.T, chain.K
    row = tile.sequence[s] * (T - 1) + tile.position[s * T + n + 1] - 1
    moves = onward(chain.transitions, row * K * K + tile.path[s])
    best, tag = -np.inf, 0
    for i in range(K):
        x = delta[i] + moves[i * K]
        better = x > best
        best, tag = x if better else best, i if better else tag
    return tag


@compiled
def backtrace(chain, tile, n0, n1, tags):
    """The best path from token n1 - 1 back to n0; ``path`` holds the tags at token n1."""
    T, width, S = chain.T, chain.width, chain.S
    for n in range(n1 - 1, n0 - 1, -1):
        for s in range(S):
            if n >= tile.length[s]:
                continue
            delta = onward(tile.delta, ((n - n0 + 1) * S + s) * width)
            if n + 1 == tile.length[s]:
                tile.score[s], tag = best_of(delta, chain.end, width)
            elif chain.by_position:
                tag = best_by_position(chain, tile, s, n, delta)
            else:
                _, tag = best_of(delta, onward(chain.columns, tile.path[s] * width), width)
            tile.path[s] = tag
            tags[tile.sequence[s] * T + tile.position[s * T + n]] = tag


@compiled
def solve(chain, tile, number, tags, value):
    """The best paths of the sequences of a tile."""
    B, T, S, chunk = chain.B, chain.T, chain.S, tile.chunk
    place(chain.mask, chain.masked, chain.lengths, chain.order, B, T, S, number * S,
          tile.sequence, tile.length, tile.position)  # fmt: skip
    for s in range(S):
        tile.number[s] = 1.0 if tile.length[s] <= chain.facts[NUMBER] else 0.0
        tile.score[s] = 0.0
        tile.path[s] = 0
    longest = tile.length[0]
    chunks = (longest + chunk - 1) // chunk
    row = S * chain.width
    for turn in range(2 * chunks - 1):  # forward to the last chunk, and from there back
        c = turn if turn < chunks else 2 * chunks - 2 - turn
        n0, n1 = c * chunk, min((c + 1) * chunk, longest)
        if turn >= chunks and c > 0:
            for k in range(0, row, W):
                store(tile.delta, k, load(tile.checkpoints, (c - 1) * row + k))
        forward(chain, tile, n0, n1)
        if turn < chunks - 1:
            for k in range(0, row, W):
                x = load(tile.delta, chunk * row + k)
                store(tile.delta, k, x)
                store(tile.checkpoints, c * row + k, x)
        else:
            backtrace(chain, tile, n0, n1, tags)
    for s in range(S):
        b, length = tile.sequence[s], tile.length[s]
        if b < 0:
            continue
        wrong = tile.number[s] == 0 and length > 0
        value[b] = np.nan if wrong else tile.score[s]
        none = tile.score[s] == -np.inf and not wrong
        for t in range(b * T, (b + 1) * T):
            if none or (chain.masked and chain.mask[t] == 0):
                tags[t] = -1


@entry
def run(arguments, like):
    """Solve a ``Problem``, or a part of it: BEFORE by one, then TILES by any number at the same time."""
    a = arguments
    problem = Problem(
        a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14]
    )
    chain = chain_of(like, problem)
    if problem.part in (EVERYTHING, BEFORE):
        begin(chain, pointer(problem.start, like), pointer(problem.end, like))
    if problem.part in (EVERYTHING, TILES):
        shared, each = sizes(chain.B, chain.T, chain.K, chain.by_position)
        worker = take(arguments, AT_WORKER, 1)
        tile = tile_in(chain, problem.memory + 8 * (shared + worker * each))
        tags, value = pointer(problem.tags, np.int64(0)), pointer(problem.value, like)
        number = take(arguments, AT_TILE, 1)
        while number * chain.S < chain.B:
            solve(chain, tile, number, tags, value)
            number = take(arguments, AT_TILE, 1)
