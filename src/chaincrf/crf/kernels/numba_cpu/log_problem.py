"""What ``log_space`` is asked for and works on; ``problem`` is the same for ``forward_backward``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .compiled import compiled, plain
from .lanes import WIDTH, onward, pointer
from .tiles import aligned, chunk_of

__all__ = ["AT_MEMORY", "AT_TILE", "AT_WORKER", "Chain", "Problem", "sizes", "tile_in"]

W = WIDTH


class Problem(NamedTuple):
    """The arguments of ``log_space.run``; as of ``forward_backward.run``, by sequence, for some of them."""

    part: int
    by_position: int  # whether each position has transitions of its own
    gradient: int
    B: int
    T: int
    K: int
    emissions: int
    transitions: int  # (K, K), or (B, T-1, K, K)
    start: int
    end: int
    mask: int
    tags: int
    value: int
    unary: int
    moves: int  # (B, K, K), or (B, T-1, K, K)
    first: int
    last: int
    status: int
    which: int  # (count,) int64: the sequences to compute
    count: int
    memory: int
    tile: int
    worker: int


AT_MEMORY, AT_TILE, AT_WORKER = range(len(Problem._fields) - 3, len(Problem._fields))


class Chain(NamedTuple):
    """The potentials, as given."""

    B: int
    T: int
    K: int
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

    sequence: object
    length: object
    position: object
    alpha: object
    into: object  # u, then norm
    p: object
    before: object  # p at the token before
    move: object  # transitions into one tag
    uses: object  # of moves: over all positions, or at one
    number: object
    scale: object
    value: object
    dead: object
    gold: object
    checkpoints: object
    chunk: int


@plain
def sizes(B, T, K, gradient):
    """Doubles for what all workers share, and for each of them."""
    chunk = chunk_of(K * W, T)
    shared = 2 * B + T + 2
    worker = 2 * (chunk + 1) * K * W + 3 * K * W + 7 * W + (T + 2) * W
    if gradient:
        worker += K * K * W + (T // chunk + 1) * K * W
    return shared, worker + W


@compiled
def tile_in(chain, address, gradient):
    """The memory of a worker."""
    T, K = chain.T, chain.K
    chunk = chunk_of(K * W, T)
    buffer = (chunk + 1) * K * W
    alpha = pointer(aligned(address), np.float64(0))
    into = onward(alpha, buffer)
    p = onward(into, buffer)
    before, move = onward(p, K * W), onward(p, 2 * K * W)
    number = onward(p, 3 * K * W + W)
    integers = onward(pointer(aligned(address), np.int64(0)), 2 * buffer + 3 * K * W + 7 * W)
    uses = onward(number, 6 * W + (T + 2) * W)
    return Tile(
        integers, onward(integers, W), onward(integers, 2 * W), alpha, into, p, before, move, uses,
        number, onward(number, W), onward(number, 2 * W), onward(number, 3 * W), onward(number, 4 * W),
        onward(uses, K * K * W), chunk,
    )  # fmt: skip
