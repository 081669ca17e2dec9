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

import numpy as np

from .compiled import compiled, entry
from .lanes import WIDTH, exp, load, maximum, onward, pointer, splat, store, take, where
from .log_problem import AT_MEMORY, AT_TILE, AT_WORKER, Chain, Problem, sizes, tile_in
from .tiles import (
    AFTER,
    BEFORE,
    DONE,
    EVERYTHING,
    NOT_A_NUMBER,
    TILES,
    UNKNOWN_TAGS,
    WRONG_TAG,
    counted,
    longest_first,
    place,
)

__all__ = ["AFTER", "AT_MEMORY", "BEFORE", "TILES", "Problem", "run", "sizes"]

W = WIDTH
UNDERFLOW = -700.0


@compiled
def gather(chain, tile, n0, n1):
    """Bring the emissions of tokens n0 to n1 into lanes; 0 beyond the end of a sequence."""
    T, K = chain.T, chain.K
    for n in range(n0, n1):
        at = (n - n0 + 1) * K * W
        for lane in range(W):
            if n < tile.length[lane]:
                token = (tile.sequence[lane] * T + tile.position[lane * T + n]) * K
                for k in range(K):
                    tile.into[at + k * W + lane] = chain.emissions[token + k]
            else:
                for k in range(K):
                    tile.into[at + k * W + lane] = 0.0


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
def forward(chain, tile, n0, n1, first_time):
    """Alpha at tokens n0 to n1, from the one before; at the end of a sequence, its log Z."""
    K = chain.K
    zero, lowest = splat(0.0), splat(-np.inf)
    for n in range(n0, n1):
        now = (n - n0 + 1) * K * W
        fine = load(tile.number, 0)
        for j in range(K):
            fine = where(load(tile.into, now + j * W) < splat(np.inf), fine, zero)
        store(tile.number, 0, fine)
        if n == 0:
            for j in range(K):
                store(tile.alpha, now + j * W, load(tile.into, now + j * W) + splat(chain.start[j]))
        else:
            normalise(chain, tile, n, now - K * W, now)
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
                    tile.value[lane] = log_total(chain, tile, now, lane) + tile.scale[lane]


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
    K = chain.K
    zero = splat(0.0)
    before = now - K * W
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
def write_edges(chain, tile, n, active, moves):
    """The counts of the moves into token n."""
    T, K = chain.T, chain.K
    for lane in range(active):
        b = tile.sequence[lane]
        t = tile.position[lane * T + n]
        at = (b * (T - 1) + t - 1) * K * K
        for x in range(K * K):
            moves[at + x] = tile.uses[x * W + lane]
        if tile.gold[lane] > 0:
            i, j = chain.tags[b * T + tile.position[lane * T + n - 1]], chain.tags[b * T + t]
            moves[at + i * K + j] = tile.uses[(i * K + j) * W + lane] - 1.0


@compiled
def backward(chain, tile, n0, n1, unary, moves, first, last):
    """The marginals of tokens n1 back to n0, written where they belong."""
    T, K = chain.T, chain.K
    active = 0
    while active < W and tile.length[active] > n1:
        active += 1
    for n in range(n1 - 1, n0 - 1, -1):
        now = (n - n0 + 1) * K * W
        begun = active
        while active < W and tile.length[active] == n + 1:
            total = log_total(chain, tile, now, active)
            for j in range(K):
                x = tile.alpha[now + j * W + active] + chain.end[j] - total
                tile.p[j * W + active] = 0.0 if tile.dead[active] > 0 or total == -np.inf else math.exp(x)
            active += 1
        for lane in range(active):
            b = tile.sequence[lane]
            token = b * T + tile.position[lane * T + n]
            for j in range(K):
                unary[token * K + j] = tile.p[j * W + lane]
            if tile.gold[lane] > 0:
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
                write_edges(chain, tile, n, active, moves)


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
def judge(chain, tile, value, status):
    """The value and the status of each sequence of a tile."""
    for lane in range(W):
        b, length = tile.sequence[lane], tile.length[lane]
        if b < 0:
            continue
        log_z = tile.value[lane] if length > 0 else 0.0
        what = DONE
        tile.dead[lane] = tile.gold[lane] = 0.0
        if length > 0 and tile.number[lane] == 0:
            what = NOT_A_NUMBER
        if chain.gold:
            score, tags = gold_score(chain, tile, lane)
            if tags == WRONG_TAG or (what == DONE and tags == UNKNOWN_TAGS):
                what = tags
            elif what == DONE:
                tile.gold[lane] = 1.0 if score > -np.inf else 0.0
                tile.dead[lane] = 1.0 - tile.gold[lane]
                log_z = max(log_z - score, 0.0) if tile.gold[lane] > 0 else np.inf
        if what == NOT_A_NUMBER:
            tile.dead[lane] = 1.0
        value[b] = np.nan if what == NOT_A_NUMBER else log_z
        status[b] = what


@compiled
def clear(chain, tile, unary, moves, first, last):
    """Begin the gradient at 0."""
    T, K = chain.T, chain.K
    for x in range(K * W):
        tile.p[x] = 0.0
    for x in range(K * K * W):
        tile.uses[x] = 0.0
    size = 0 if chain.shared else (T - 1) * K * K
    for lane in range(W):
        b = tile.sequence[lane]
        if b < 0:
            continue
        for x in range(b * size, (b + 1) * size):
            moves[x] = 0.0
        if tile.length[lane] < T:
            for x in range(b * T * K, (b + 1) * T * K):
                unary[x] = 0.0
        if tile.length[lane] == 0:
            for x in range(b * K, (b + 1) * K):
                first[x] = last[x] = 0.0


@compiled
def write_moves(chain, tile, moves):
    """Expected less observed moves over all positions."""
    T, K = chain.T, chain.K
    for lane in range(W):
        b = tile.sequence[lane]
        if b < 0:
            continue
        if tile.gold[lane] > 0:
            for n in range(1, tile.length[lane]):
                i = chain.tags[b * T + tile.position[lane * T + n - 1]]
                j = chain.tags[b * T + tile.position[lane * T + n]]
                tile.uses[(i * K + j) * W + lane] -= 1.0
        for x in range(K * K):
            moves[b * K * K + x] = tile.uses[x * W + lane]


@compiled
def solve(chain, tile, gradient, value, unary, moves, first, last, status):
    """Everything about the sequences of a tile."""
    longest, chunk, size = tile.length[0], tile.chunk, chain.K * W
    chunks = (longest + chunk - 1) // chunk
    for lane in range(W):
        tile.scale[lane] = 0.0
        tile.number[lane] = 1.0 if numbers(chain, tile.length[lane]) else 0.0
    for c in range(chunks):
        n0, n1 = c * chunk, min((c + 1) * chunk, longest)
        gather(chain, tile, n0, n1)
        forward(chain, tile, n0, n1, True)
        if c + 1 < chunks:
            for k in range(0, size, W):
                a = load(tile.alpha, chunk * size + k)
                store(tile.alpha, k, a)
                if gradient:
                    store(tile.checkpoints, c * size + k, a)
    judge(chain, tile, value, status)
    if not gradient:
        return
    clear(chain, tile, unary, moves, first, last)
    for c in range(chunks - 1, -1, -1):
        n0, n1 = c * chunk, min((c + 1) * chunk, longest)
        if c + 1 < chunks:
            if c > 0:
                for k in range(0, size, W):
                    store(tile.alpha, k, load(tile.checkpoints, (c - 1) * size + k))
            gather(chain, tile, n0, n1)
            forward(chain, tile, n0, n1, False)
        backward(chain, tile, n0, n1, unary, moves, first, last)
    if chain.shared:
        write_moves(chain, tile, moves)


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
def run(arguments, like):
    """Solve a ``Problem``, or a part of it: BEFORE by one, then TILES by any number at the same time."""
    a = arguments
    problem = Problem(
        a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15],
        a[16], a[17], a[18], a[19], a[20], a[21], a[22],
    )  # fmt: skip
    B, T, K, count = problem.B, problem.T, problem.K, problem.count
    chain = Chain(
        B, T, K, pointer(problem.emissions, like), pointer(problem.mask, np.uint8(0)), problem.mask != 0,
        pointer(problem.tags, np.int64(0)), problem.tags != 0, pointer(problem.transitions, like),
        problem.by_position == 0, pointer(problem.start, like), pointer(problem.end, like),
    )  # fmt: skip
    lengths = pointer(problem.memory, np.int64(0))
    order = onward(lengths, B)
    if problem.part in (EVERYTHING, BEFORE):
        counted(chain.mask, chain.masked, B, T, lengths)
        longest_first(lengths, pointer(problem.which, np.int64(0)), count, T, onward(order, B), order)
    if problem.part in (EVERYTHING, TILES):
        gradient = problem.gradient != 0
        shared, each = sizes(B, T, K, gradient)
        worker = take(arguments, AT_WORKER, 1)
        tile = tile_in(chain, problem.memory + 8 * (shared + worker * each), gradient)
        number = take(arguments, AT_TILE, 1)
        while number * W < count:
            place(chain.mask, chain.masked, lengths, order, count, T, W, number * W,
                  tile.sequence, tile.length, tile.position)  # fmt: skip
            solve(
                chain, tile, gradient, pointer(problem.value, like), pointer(problem.unary, like),
                pointer(problem.moves, like), pointer(problem.first, like), pointer(problem.last, like),
                pointer(problem.status, np.uint8(0)),
            )  # fmt: skip
            number = take(arguments, AT_TILE, 1)
