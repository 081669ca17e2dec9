"""How sequences are dealt out: the longest first, some to a tile, their tokens in chunks."""

from __future__ import annotations

from .compiled import compiled, plain
from .lanes import WIDTH

__all__ = [
    "AFTER",
    "BEFORE",
    "DONE",
    "EVERYTHING",
    "NOT_A_NUMBER",
    "REDO",
    "TILES",
    "UNKNOWN_TAGS",
    "WRONG_TAG",
    "aligned",
    "chunk_of",
    "counted",
    "longest_first",
    "place",
    "tile_of",
    "width_of",
]

DONE, REDO, NOT_A_NUMBER, UNKNOWN_TAGS, WRONG_TAG = range(5)
"""What became of a sequence."""

EVERYTHING, BEFORE, TILES, AFTER = range(4)
"""What a kernel is to do: all, or a part, of which many workers may do the second at the same time."""

BUFFER, LONGEST_CHUNK = 2**18, 512
"""Doubles in a buffer, and the most steps in it: what stays in the cache of a core."""


@compiled
def aligned(address):
    """The next address at which Lanes do not cross the lines of a cache."""
    return (address + 8 * WIDTH - 1) // (8 * WIDTH) * (8 * WIDTH)


@plain
def width_of(K):
    """The numbers in a row of tags: whole registers."""
    return (K + WIDTH - 1) // WIDTH * WIDTH


@plain
def tile_of(B, K):
    """How many sequences are computed together: with many tags more, as each reads all the moves."""
    if B == 1:
        return 1
    return min(4 if K < 512 else 8, (max(B, 1) + 3) // 4 * 4)


@plain
def chunk_of(size, longest):
    """How many steps of ``size`` numbers are held in memory."""
    return max(1, min(max(BUFFER // size, 32), LONGEST_CHUNK, longest))


@compiled
def counted(mask, masked, B, T, lengths):
    """The number of tokens that count in each sequence."""
    for b in range(B):
        n = T
        if masked:
            n = 0
            for t in range(b * T, (b + 1) * T):
                n += mask[t]
        lengths[b] = n


@compiled
def longest_first(lengths, which, count, T, begin, order):
    """Some sequences by their lengths (a counting sort, stable); ``begin`` has room for T + 2 numbers."""
    for n in range(T + 2):
        begin[n] = 0
    for n in range(count):
        begin[T - lengths[which[n]] + 1] += 1
    for n in range(T + 1):
        begin[n + 1] += begin[n]
    for n in range(count):
        gap = T - lengths[which[n]]
        order[begin[gap]] = which[n]
        begin[gap] += 1


@compiled
def place(mask, masked, lengths, order, count, T, S, first, sequence, length, position):
    """Put the next of ``count`` sequences into a tile, and note where their tokens that count stand."""
    for s in range(S):
        b = order[first + s] if first + s < count else -1
        sequence[s], length[s] = b, lengths[b] if b >= 0 else 0
        n = s * T
        if b >= 0:
            for t in range(T):
                position[n] = t
                n += mask[b * T + t] if masked else 1
