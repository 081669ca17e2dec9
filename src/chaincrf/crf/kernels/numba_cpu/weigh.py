"""The backward pass: counts times the gradients of the losses of their sequences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .compiled import compiled, entry
from .lanes import pointer

__all__ = ["Problem", "run"]


class Problem(NamedTuple):
    """The arguments of ``run``; integers, and addresses of contiguous tensors."""

    B: int
    T: int
    K: int
    shared: int  # whether all positions have the same transitions
    given: int  # how many weights there are, B or 1
    weights: int  # (given,)
    unary: int  # (B, T, K)
    moves: int  # (B, K, K) or (B, T-1, K, K)
    first: int  # (B, K)
    last: int  # (B, K)
    weighted_unary: int  # (B, T, K), written; so those that follow
    weighted_moves: int  # (K, K) or (B, T-1, K, K)
    weighted_first: int  # (K,)
    weighted_last: int  # (K,)
    memory: int  # (K, K) doubles


@compiled
def add_rows(rows, weight, many, B, size, total, out):
    """The weighted sum of the rows of a matrix, in double precision."""
    for x in range(size):
        total[x] = 0.0
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
def run(arguments, like):
    """Counts of sequences times their weights, summed over sequences but for those of tokens."""
    a = arguments
    p = Problem(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14])
    B, T, K = p.B, p.T, p.K
    weight, many, total = pointer(p.weights, like), p.given > 1, pointer(p.memory, np.float64(0))
    scale_rows(pointer(p.unary, like), weight, many, B, T * K, pointer(p.weighted_unary, like))
    moves, out = pointer(p.moves, like), pointer(p.weighted_moves, like)
    if p.shared:
        add_rows(moves, weight, many, B, K * K, total, out)
    else:
        scale_rows(moves, weight, many, B, (T - 1) * K * K, out)
    add_rows(pointer(p.first, like), weight, many, B, K, total, pointer(p.weighted_first, like))
    add_rows(pointer(p.last, like), weight, many, B, K, total, pointer(p.weighted_last, like))
