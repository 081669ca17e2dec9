"""The backward pass: counts times the gradients of the losses of their sequences."""

from __future__ import annotations

import numpy as np

from .compiled import compiled, entry
from .lanes import pointer

__all__ = ["weigh"]


@compiled
def add_rows(rows, weight, many, B, size, out):
    """The weighted sum of the rows of a matrix, in double precision."""
    total = np.zeros(size)
    for b in range(B):
        w = np.float64(weight[b if many else 0])
        for x in range(size):
            total[x] += w * rows[b * size + x]
    for x in range(size):
        out[x] = total[x]


@compiled
def scale_rows(rows, weight, many, B, size, out):
    """Each row of a matrix times its weight."""
    for b in range(B):
        w = weight[b if many else 0]
        for x in range(b * size, (b + 1) * size):
            out[x] = w * rows[x]


@entry
def weigh(
    like, B, size, K, moves_size, given, unary, moves, first, last, unary_, moves_, first_, last_, weights
):
    """Counts of sequences times their weights, summed over sequences but for those of tokens.

    Args:
        like: a number of the type of the counts.
        B: sequences.
        size: counts of tags of a sequence.
        K: tags.
        moves_size: counts of moves of a sequence if each position has its own, else -1.
        given: how many weights there are, B or 1.
        unary: address of ``(B, T, K)``; so the others.
        moves: ``(B, K, K)`` or ``(B, T-1, K, K)``.
        first: ``(B, K)``.
        last: ``(B, K)``.
        unary_: ``(B, T, K)``, written.
        moves_: ``(K, K)`` or ``(B, T-1, K, K)``, written.
        first_: ``(K,)``, written.
        last_: ``(K,)``, written.
        weights: ``(B,)`` or ``(1,)``.
    """
    weight, many = pointer(weights, like), given > 1
    scale_rows(pointer(unary, like), weight, many, B, size, pointer(unary_, like))
    if moves_size >= 0:
        scale_rows(pointer(moves, like), weight, many, B, moves_size, pointer(moves_, like))
    else:
        add_rows(pointer(moves, like), weight, many, B, K * K, pointer(moves_, like))
    add_rows(pointer(first, like), weight, many, B, K, pointer(first_, like))
    add_rows(pointer(last, like), weight, many, B, K, pointer(last_, like))
    return 0
