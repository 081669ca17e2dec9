"""What ``forward_backward`` does once: the exponentials of the parameters, and those of the emissions."""

from __future__ import annotations

import math

import numpy as np

from .compiled import compiled
from .lanes import WIDTH, all_of, exp, load, onward, size, splat, store, where
from .problem import DROPPED, MEAN, NUMBER, SCALE, TOKEN_MEAN, TOP, TOP_MOVE
from .product import panels
from .tiles import counted, longest_first

__all__ = ["PLAIN", "begin", "exponentiate", "known"]

W = WIDTH
FLOOR = -173.0
"""An exponential under e^FLOOR of the largest is left out."""
PLAIN = 45.0
"""Emissions up to this size are taken as they are."""


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
            dropped = max(dropped, gap)
            gap = -np.inf
        out[i] = gap
    for i in range(0, n, W):
        x = load(out, i)
        store(out, i, where(x < splat(FLOOR), splat(0.0), exp(x)))
    return top, dropped, number


@compiled
def begin(chain):
    """What is done once: lengths, the exponentials of the parameters, what to divide by."""
    B, T, K, width = chain.B, chain.T, chain.K, chain.width
    counted(chain.mask, chain.masked, B, T, chain.lengths)
    for b in range(B):
        chain.every[b] = b
    longest_first(chain.lengths, chain.every, B, T, onward(chain.order, B), chain.order)
    top_start, drop_start, fine_start = weights(chain.start_scores, K, chain.start)
    top_end, drop_end, fine_end = weights(chain.end_scores, K, chain.end)
    top_move, drop_move, fine_moves = weights(chain.transitions, K * K, chain.moves)
    for k in range(K, width):
        chain.start[k] = chain.end[k] = 0.0
    for k in range(W):
        chain.real[k] = 1.0 if width - W + k < K else 0.0
    panels(chain.moves, K, width, False, 0.0, chain.onward)
    if chain.gradient:
        panels(chain.moves, K, width, True, 0.0, chain.back)
    tokens, sequences = 0, 0
    for b in range(B):
        tokens += chain.lengths[b]
        sequences += chain.lengths[b] > 0
    facts = chain.facts
    facts[TOP], facts[TOP_MOVE] = top_start + top_end, top_move
    facts[DROPPED] = max(drop_start, drop_end, drop_move)
    facts[NUMBER] = 0.0 if not (fine_start and fine_end) else np.float64(T) if fine_moves else 1.0
    units = sequences if chain.reduction == MEAN else tokens if chain.reduction == TOKEN_MEAN else 1
    facts[SCALE] = 1.0 / max(units, 1)


@compiled
def known(chain):
    """Whether each token that counts has a tag, and one that exists."""
    fine = True
    for x in range(chain.B * chain.T):
        y = chain.tags[x]
        fine &= (y >= 0 and y < chain.K) or (chain.masked and chain.mask[x] == 0)
    return fine


@compiled
def shifted(chain, tile, s, token, at, first_time):
    """U of a token whose emissions are large, or no numbers."""
    K = chain.K
    x = onward(chain.emissions, token * K)
    top = -np.inf
    for k in range(K):
        top = max(top, np.float64(x[k]))
        if not x[k] < np.inf:
            tile.number[s] = 0.0
    if top == -np.inf:
        top = 0.0
    for k in range(K):
        gap = x[k] - top
        if gap < FLOOR:
            tile.dropped[s] = max(tile.dropped[s], np.float64(gap))
            tile.into[at + k] = 0.0
        else:
            tile.into[at + k] = math.exp(gap)
    for k in range(K, chain.width):
        tile.into[at + k] = 0.0
    if first_time:
        tile.scale[s] += top


@compiled
def exponentiate(chain, tile, n0, low, high, first_time):
    """U of tokens low to high; 0 beyond the end of a sequence."""
    T, K, width, S = chain.T, chain.K, chain.width, chain.S
    total, last = chain.B * T * K, width - W
    plain = splat(PLAIN if chain.facts[DROPPED] == -np.inf else -1.0)
    zero = splat(0.0)
    real, every = zero < load(chain.real, 0), zero < splat(1.0)
    for s in range(S):
        for n in range(low, high):
            at = ((n - n0 + 1) * S + s) * width
            if n >= tile.length[s]:
                for k in range(0, width, W):
                    store(tile.into, at + k, zero)
                continue
            token = tile.sequence[s] * T + tile.position[s * T + n]
            x = onward(chain.emissions, token * K)
            fine = every
            for k in range(0, last, W):
                u = load(x, k)
                fine = fine & (size(u) <= plain)
                store(tile.into, at + k, exp(u))
            if token * K + width <= total:
                u = where(real, load(x, last), zero)  # what stands there is of the next token
            else:
                for k in range(W):
                    tile.row[k] = np.float64(x[last + k]) if last + k < K else 0.0
                u = load(tile.row, 0)
            fine = fine & (size(u) <= plain)
            store(tile.into, at + last, exp(u))
            if not all_of(fine):
                shifted(chain, tile, s, token, at, first_time)
