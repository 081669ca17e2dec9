"""The counts that a gradient consists of: first tags, last tags and moves, expected less observed.

They stand together, for a tile or for a sequence: ``(width, width)`` moves, then first tags, then last tags.
"""

from __future__ import annotations

from .compiled import compiled
from .lanes import onward
from .product import count

__all__ = ["clear", "count_moves", "ends", "less_gold", "times_moves", "write"]


@compiled
def clear(chain, tile, unary, counts, many):
    """Begin the gradient at 0 where it stays so, and the counts."""
    T, K = chain.T, chain.K
    for x in range(many):
        counts[x] = 0.0
    for s in range(chain.S):
        b = tile.sequence[s]
        for t in range(b * T, (b + 1) * T if b >= 0 and tile.length[s] < T else b * T):
            if chain.mask[t] == 0:
                for x in range(t * K, (t + 1) * K):
                    unary[x] = 0.0


@compiled
def ends(chain, tile, counts, s, token):
    """Add the tags of a first or last token to its counts."""
    gold = chain.tags[token] if tile.gold[s] > 0 else -1
    for k in range(chain.K):
        counts[k] += tile.row[s * chain.width + k] - (1.0 if k == gold else 0.0)


@compiled
def count_moves(chain, tile, counts, each, n0, low, high):
    """Add alpha_{t-1}[i] q_t[j] over tokens low to high: of all sequences, or of each."""
    width, S = chain.width, chain.S
    alpha, q = onward(tile.alpha, (low - n0) * S * width), onward(tile.into, (low - n0 + 1) * S * width)
    if each == 0:
        count((high - low) * S, width, alpha, q, width, counts)
        return
    for s in range(S):
        at = s * width
        count(high - low, S * width, onward(alpha, at), onward(q, at), width, onward(counts, s * each))


@compiled
def times_moves(chain, counts):
    """What is counted so far, times A."""
    for i in range(chain.K):
        for j in range(chain.K):
            at = i * chain.width + j
            counts[at] = counts[at] * chain.moves[i * chain.K + j] if counts[at] != 0 else 0.0  # not 0 x NaN


@compiled
def less_gold(chain, b, counts):
    """Take off the moves of the gold path."""
    before = -1
    for x in range(b * chain.T, (b + 1) * chain.T):
        if not (chain.masked and chain.mask[x] == 0):
            if before >= 0:
                counts[before * chain.width + chain.tags[x]] -= 1.0
            before = chain.tags[x]


@compiled
def write(chain, counts, scale, moves, first, last):
    """Counts, rounded."""
    K, width = chain.K, chain.width
    for i in range(K):
        for j in range(K):
            moves[i * K + j] = counts[i * width + j] * scale
        first[i] = counts[width * width + i] * scale
        last[i] = counts[(width + 1) * width + i] * scale
