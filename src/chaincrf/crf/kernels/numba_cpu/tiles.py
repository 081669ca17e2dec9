"""How sequences are dealt out: the longest first, WIDTH to a tile, their tokens in chunks."""

from __future__ import annotations

import numpy as np

from .compiled import compiled
from .lanes import WIDTH as W

__all__ = [
    "DONE",
    "NOT_A_NUMBER",
    "REDO",
    "UNKNOWN_TAGS",
    "WRONG_TAG",
    "chunk_of",
    "counted",
    "gather",
    "longest_first",
    "place",
    "positions_of",
]

DONE, REDO, NOT_A_NUMBER, UNKNOWN_TAGS, WRONG_TAG = range(5)
"""What became of a sequence."""

BUFFER, LONGEST_CHUNK = 2**17, 512
"""Doubles in a buffer, and the most steps in it: what stays in the cache of a core."""


@compiled
def counted(mask, masked, B, T):
    """The number of tokens that count in each sequence."""
    lengths = np.full(B, T, dtype=np.int64)
    if masked:
        for b in range(B):
            n = 0
            for t in range(T):
                n += mask[b * T + t]
            lengths[b] = n
    return lengths


@compiled
def positions_of(mask, masked, b, T, position, lane):
    """Where the tokens that count stand in their row."""
    n = lane * T
    for t in range(T):
        position[n] = t
        n += mask[b * T + t] if masked else 1


@compiled
def longest_first(lengths, T):
    """The sequences in the order of their lengths (a counting sort, stable)."""
    place = np.zeros(T + 2, dtype=np.int64)
    for n in lengths:
        place[T - n + 1] += 1
    for n in range(T + 1):
        place[n + 1] += place[n]
    order = np.empty(len(lengths), dtype=np.int64)
    for b in range(len(lengths)):
        n = T - lengths[b]
        order[place[n]] = b
        place[n] += 1
    return order


@compiled
def chunk_of(rows, longest):
    """How many steps are held in memory."""
    return max(1, min(max(BUFFER // (rows * W), 128), LONGEST_CHUNK, longest))


@compiled
def place(chain, tile, lane, b, length, unary, first, last, gradient):
    """Put a sequence into a lane; its gradient is 0 where nothing is written later."""
    T, K = chain.T, chain.K
    tile.sequence[lane] = b
    tile.length[lane] = length
    if b >= 0:
        positions_of(chain.mask, chain.masked, b, T, tile.position, lane)
    if gradient and b >= 0:
        if length < T:
            for x in range(b * T * K, (b + 1) * T * K):
                unary[x] = 0.0
        if length == 0:
            for x in range(b * K, (b + 1) * K):
                first[x] = 0.0
                last[x] = 0.0


@compiled
def gather(chain, tile, n0, n1):
    """Bring the emissions of tokens n0 to n1 into lanes; 0 beyond the end of a sequence."""
    T, K, rows = chain.T, chain.K, chain.rows
    for n in range(n0, n1):
        at = (n - n0 + 1) * rows * W
        for lane in range(W):
            if n < tile.length[lane]:
                t = tile.position[lane * T + n]
                token = (tile.sequence[lane] * T + t) * K
                for k in range(K):
                    tile.into[at + k * W + lane] = chain.emissions[token + k]
            else:
                for k in range(K):
                    tile.into[at + k * W + lane] = 0.0
