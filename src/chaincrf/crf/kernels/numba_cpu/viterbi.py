"""The path of the highest score, WIDTH sequences at once; only scores are stored on the way.

    delta_t[j] = max_i (delta_{t-1}[i] + A[i, j]) + u_t[j]

Which tag i it was is looked up again along the best path alone: T K comparisons in place of T K^2 stores.

A tag whose delta lies under the highest one by more than max A - min A is the best predecessor of none, so
with many tags a step looks at the few that do not. Ties, as everywhere: the lowest last tag, and from there
back the lowest previous tag; the sums are those of the reference, in float64 and in its order.
"""

from __future__ import annotations

import numpy as np

from .compiled import compiled, entry
from .lanes import WIDTH, any_of, load, maximum, pointer, splat, store, taken, where
from .tiles import chunk_of, counted, longest_first, positions_of

__all__ = ["run"]

W = WIDTH
MANY = 16
"""From how many tags on it pays to look for those that can be a predecessor."""


@compiled
def gather(emissions, T, K, sequence, length, position, n0, n1, u, number):
    """Bring the emissions of tokens n0 to n1 into lanes, and note which lanes hold numbers only."""
    fine = load(number, 0)
    for n in range(n0, n1):
        at = (n - n0 + 1) * K * W
        for lane in range(W):
            if n < length[lane]:
                token = (sequence[lane] * T + position[lane * T + n]) * K
                for k in range(K):
                    u[at + k * W + lane] = emissions[token + k]
            else:
                for k in range(K):
                    u[at + k * W + lane] = 0.0
        for k in range(K):
            fine = where(load(u, at + k * W) < splat(np.inf), fine, splat(0.0))
    store(number, 0, fine)


@compiled
def predecessors(delta, before, K, reach, some):
    """The tags that can be the best predecessor of a tag in some lane, and how many they are."""
    top = load(delta, before)
    for i in range(1, K):
        top = maximum(load(delta, before + i * W), top)
    # far more than rounding could hide, so that no tie is lost
    size = maximum(top, splat(0.0) - top) + splat(reach)
    least = top - splat(reach) - size * splat(1e-12)
    count = 0
    for i in range(K):
        if any_of(least < load(delta, before + i * W)):
            some[count] = i
            count += 1
    return count


@compiled
def forward(u, K, transitions, rows, reach, n0, n1, delta, some):
    """Delta at tokens n0 to n1, n0 > 0, from the one before."""
    for s in range(1, n1 - n0 + 1):
        now, before = s * K * W, (s - 1) * K * W
        count = K
        if reach < np.inf:
            count = predecessors(delta, before, K, reach, some)
        if count == 0:  # no path, or no numbers
            count = K
            for i in range(K):
                some[i] = i
        for j in range(0, rows, 4):
            a = b = c = d = splat(-np.inf)
            for n in range(count):
                i = some[n]
                x = load(delta, before + i * W)
                k = j * K + 4 * i
                a = maximum(x + splat(transitions[k]), a)
                b = maximum(x + splat(transitions[k + 1]), b)
                c = maximum(x + splat(transitions[k + 2]), c)
                d = maximum(x + splat(transitions[k + 3]), d)
            best = (a, b, c, d)
            for k in range(min(4, K - j)):
                at = (j + k) * W
                store(delta, now + at, best[k] + load(u, now + at))


@compiled
def forward_by_position(u, T, K, transitions, sequence, length, position, n0, n1, delta, number):
    """The same with transitions of each position."""
    for n in range(n0, n1):
        now, before = (n - n0 + 1) * K * W, (n - n0) * K * W
        for lane in range(W):
            if n >= length[lane]:
                for j in range(K):
                    delta[now + j * W + lane] = 0.0
                continue
            move = (sequence[lane] * (T - 1) + position[lane * T + n] - 1) * K * K
            for j in range(K):
                best = -np.inf
                for i in range(K):
                    score = transitions[move + i * K + j]
                    if not score < np.inf:
                        number[lane] = 0.0
                    best = max(best, delta[before + i * W + lane] + score)
                delta[now + j * W + lane] = best + u[now + j * W + lane]


@compiled
def panels(transitions, K, rows, column):
    """The transitions in panels of 4 columns, and by column; the distance of the highest from the lowest."""
    out = np.full(rows * K, -np.inf)
    low, high = np.inf, -np.inf
    number = True
    for i in range(K):
        for j in range(K):
            x = np.float64(transitions[i * K + j])
            out[(j // 4 * K + i) * 4 + j % 4] = x
            column[j * K + i] = x
            number &= x < np.inf
            low, high = min(low, x), max(high, x)
    reach = high - low if low > -np.inf and number and K >= MANY else np.inf
    return out, reach, number


@compiled
def backtrace(
    T, K, column, transitions, by_position, sequence, length, position, n0, n1, delta, end, path, tags, score
):
    """The best path from token n1 - 1 back to n0; ``path`` holds the tag of each lane at token n1."""
    for n in range(n1 - 1, n0 - 1, -1):
        now = (n - n0 + 1) * K * W
        for lane in range(W):
            if n >= length[lane]:
                continue
            best, tag = -np.inf, 0
            if n + 1 == length[lane]:
                for i in range(K):
                    x = delta[now + i * W + lane] + np.float64(end[i])
                    better = x > best
                    best, tag = x if better else best, i if better else tag
                score[lane] = best
            elif by_position:
                t = position[lane * T + n + 1]
                move = (sequence[lane] * (T - 1) + t - 1) * K * K + path[lane]
                for i in range(K):
                    x = delta[now + i * W + lane] + transitions[move + i * K]
                    better = x > best
                    best, tag = x if better else best, i if better else tag
            else:
                move = path[lane] * K
                for i in range(K):
                    x = delta[now + i * W + lane] + column[move + i]
                    better = x > best
                    best, tag = x if better else best, i if better else tag
            path[lane] = tag
            tags[sequence[lane] * T + position[lane * T + n]] = tag


@entry
def run(
    like, B, T, K, emissions, transitions, start, end, mask, by_position, tags, value, memory, worker, workers
):
    """The tiles of one worker.

    Args:
        like: a number of the type of the potentials.
        B: sequences.
        T: padded length.
        K: tags.
        emissions: address of ``(B, T, K)``; so the others: contiguous, int64 addresses.
        transitions: ``(K, K)``, or ``(B, T-1, K, K)`` if ``by_position``.
        start: ``(K,)``.
        end: ``(K,)``.
        mask: ``(B, T)`` bool, 0: all tokens count.
        by_position: whether each position has transitions of its own.
        tags: ``(B, T)`` int64, written.
        value: ``(B,)``, written.
        memory: doubles to compute in.
        worker: which one of
        workers: how many share the tiles.
    """
    counts, scores, moves = pointer(mask, np.uint8(0)), pointer(emissions, like), pointer(transitions, like)
    begin, stop = pointer(start, like), pointer(end, like)
    paths, best = pointer(tags, np.int64(0)), pointer(value, like)
    rows = (K + 3) // 4 * 4
    lengths = counted(counts, mask != 0, B, T)
    order = longest_first(lengths, T)
    longest = lengths[order[0]] if B else 0
    column = np.empty(0 if by_position else K * K)
    panel, reach, fine = column, np.inf, True
    if not by_position:
        panel, reach, fine = panels(moves, K, rows, column)
    numbers = T if fine else 1
    for k in range(K):
        if not (begin[k] < np.inf and stop[k] < np.inf):
            numbers = 0
    chunk = chunk_of(K, longest)
    size = K * W
    free = np.zeros(1, dtype=np.int64)
    u, delta, checkpoints = (
        taken(memory, free, (chunk + 1) * size),
        taken(memory, free, (chunk + 1) * size),
        np.empty(0),
    )
    if longest > chunk:
        checkpoints = np.empty((longest // chunk + 1) * size)
    sequence, length, path = np.empty(W, np.int64), np.empty(W, np.int64), np.zeros(W, np.int64)
    position, some, score = np.empty(W * T + 1, np.int64), np.arange(K), np.empty(W)
    number = np.empty(W)
    tiles = (B + W - 1) // W
    for turn in range((tiles + workers - 1) // workers):
        tile = turn * workers + (worker if turn % 2 == 0 else workers - 1 - worker)
        if tile >= tiles:
            continue
        for lane in range(W):
            b = order[tile * W + lane] if tile * W + lane < B else -1
            sequence[lane], length[lane] = b, lengths[b] if b >= 0 else 0
            number[lane] = 1.0 if length[lane] <= numbers else 0.0
            score[lane] = 0.0
            if b >= 0:
                positions_of(counts, mask != 0, b, T, position, lane)
                for t in range(b * T, (b + 1) * T):
                    paths[t] = -1
        chunks = (length[0] + chunk - 1) // chunk
        for step in range(2 * chunks - 1):  # forward to the last chunk, and from there back
            c = step if step < chunks else 2 * chunks - 2 - step
            n0, n1 = c * chunk, min((c + 1) * chunk, length[0])
            if step >= chunks and c > 0:
                delta[:size] = checkpoints[(c - 1) * size : c * size]
            gather(scores, T, K, sequence, length, position, n0, n1, u, number)
            skip = 0
            if n0 == 0:
                skip = 1
                for k in range(K):
                    store(delta, size + k * W, load(u, size + k * W) + splat(begin[k]))
            if by_position:
                forward_by_position(
                    u[skip * size :],
                    T,
                    K,
                    moves,
                    sequence,
                    length,
                    position,
                    n0 + skip,
                    n1,
                    delta[skip * size :],
                    number,
                )
            else:
                forward(u[skip * size :], K, panel, rows, reach, n0 + skip, n1, delta[skip * size :], some)
            if step < chunks - 1:
                delta[:size] = delta[chunk * size :]
                checkpoints[c * size : (c + 1) * size] = delta[:size]
            else:
                backtrace(
                    T,
                    K,
                    column,
                    moves,
                    by_position,
                    sequence,
                    length,
                    position,
                    n0,
                    n1,
                    delta,
                    stop,
                    path,
                    paths,
                    score,
                )
        for lane in range(W):
            b = sequence[lane]
            if b < 0:
                continue
            best[b] = np.nan if number[lane] == 0.0 and length[lane] > 0 else score[lane]
            if score[lane] == -np.inf and number[lane] == 1.0:
                for t in range(b * T, (b + 1) * T):
                    paths[t] = -1
    return 0
