"""What the forward-backward is given, and where in the memory it computes what."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .compiled import compiled, plain
from .lanes import WIDTH, onward, pointer
from .tiles import aligned, chunk_of, tile_of, width_of

__all__ = [
    "AT_MEMORY",
    "AT_TILE",
    "AT_UNFINISHED",
    "AT_WORKER",
    "BY_SEQUENCE",
    "DROPPED",
    "MEAN",
    "NUMBER",
    "SCALE",
    "SUM",
    "TOKEN_MEAN",
    "TOP",
    "TOP_MOVE",
    "Chain",
    "Problem",
    "Tile",
    "chain_of",
    "problem_of",
    "sizes",
    "tile_in",
]

W = WIDTH

BY_SEQUENCE, SUM, MEAN, TOKEN_MEAN = range(4)
"""What is asked for: a value and a gradient of each sequence, or of their sum, divided by a number."""


class Problem(NamedTuple):
    """The arguments of ``run``; integers, and addresses of contiguous tensors (0: there is none)."""

    part: int
    reduction: int
    gradient: int
    B: int
    T: int
    K: int
    emissions: int  # (B, T, K)
    transitions: int  # (K, K)
    start: int  # (K,)
    end: int  # (K,)
    mask: int  # (B, T) bool, 0: all tokens count
    tags: int  # (B, T) int64, 0: log Z is asked for, not the loss
    value: int  # (B,) or a single number, written; so those that follow
    unary: int  # (B, T, K)
    moves: int  # (B, K, K) or (K, K)
    first: int  # (B, K) or (K,)
    last: int  # (B, K) or (K,)
    status: int  # (B,) uint8
    memory: int  # doubles, as many as ``sizes`` says
    tile: int  # the next one; 0 at the beginning, and so those that follow
    worker: int
    unfinished: int  # sequences that are not DONE, written


AT_MEMORY, AT_TILE, AT_WORKER, AT_UNFINISHED = range(len(Problem._fields) - 4, len(Problem._fields))


@compiled
def problem_of(arguments):
    """The arguments by their names."""
    a = arguments
    return Problem(
        a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15],
        a[16], a[17], a[18], a[19], a[20], a[21],
    )  # fmt: skip


class Chain(NamedTuple):
    """The potentials: what is shared by all sequences, exponentiated."""

    reduction: int
    gradient: bool
    B: int
    T: int
    K: int
    width: int
    S: int
    emissions: object
    mask: object
    masked: bool
    tags: object
    gold: bool
    transitions: object
    start_scores: object
    end_scores: object
    lengths: object
    order: object
    every: object  # all sequences, as they come
    values: object  # of the sequences, before they are rounded
    start: object
    end: object
    moves: object  # A
    onward: object  # A in panels
    back: object  # A transposed, in panels
    facts: object  # see below
    real: object  # 1 for each tag in the last register of a row, 0 for what is none
    counts: object  # for each tile: moves, start, end


TOP, TOP_MOVE, DROPPED, NUMBER, SCALE = range(5)
"""Facts: the log of what start and end were divided by, and A; the highest log of an entry left out; up to
how many tokens a sequence may have (0: start or end is no number, 1: a move is none); the factor of a sum."""


class Tile(NamedTuple):
    """S sequences, the longest first, and the memory to compute them in."""

    sequence: object
    length: object
    position: object
    alpha: object
    into: object  # U, then q
    power: object  # s of the token after
    beta: object  # S rows
    row: object  # S rows: alpha before it is scaled, or p
    dropped: object
    scale: object  # log of what the emissions were divided by
    left: object  # log2 of what alpha was divided by
    lowest: object
    number: object
    value: object
    dead: object  # the gradient is 0
    gold: object  # the gold path is known and possible
    counts: object
    checkpoints: object
    chunk: int


@plain
def sizes(B, T, K, reduction, gradient):
    """Doubles for what all workers share, and for each of them."""
    width, S = width_of(K), tile_of(B, K)
    tiles = (B + S - 1) // S
    chunk = chunk_of(S * width, T)
    shared = 4 * B + T + 2 + 2 * width + K * K + width + 2 * K * width + 3 * W
    if gradient and reduction:
        shared += tiles * (width + 2) * width
    worker = S * (T + 2) + (chunk + 1) * S * (2 * width + 1) + 2 * S * width + S * W + 7 * S
    if gradient:
        worker += (T // chunk + 1) * S * width
        if not reduction:
            worker += S * (width + 2) * width
    return shared + W, worker + W


@compiled
def chain_of(like, problem):
    """The potentials of a problem, and where in the memory the rest of them is."""
    B, T, K = problem.B, problem.T, problem.K
    width, number = width_of(K), np.float64(0)
    memory = pointer(aligned(problem.memory), number)
    integers = pointer(aligned(problem.memory), np.int64(0))
    start, end = memory, onward(memory, width)
    to, back = onward(end, width), onward(end, width + K * width)
    moves = onward(back, K * width)
    facts = onward(moves, K * K + width)
    real = onward(facts, 2 * W)
    values = onward(facts, 3 * W)
    used = 2 * width + 2 * K * width + K * K + width + 3 * W + B
    lengths = onward(integers, used)
    order = onward(lengths, B)
    every = onward(order, B + T + 2)
    counts = onward(memory, used + 3 * B + T + 2)
    return Chain(
        problem.reduction, problem.gradient != 0, B, T, K, width, tile_of(B, K),
        pointer(problem.emissions, like), pointer(problem.mask, np.uint8(0)), problem.mask != 0,
        pointer(problem.tags, np.int64(0)), problem.tags != 0, pointer(problem.transitions, like),
        pointer(problem.start, like), pointer(problem.end, like),
        lengths, order, every, values, start, end, moves, to, back, facts, real, counts,
    )  # fmt: skip


@compiled
def tile_in(chain, address):
    """The memory of a worker."""
    T, width, S = chain.T, chain.width, chain.S
    chunk = chunk_of(S * width, T)
    buffer = (chunk + 1) * S * width
    alpha = pointer(aligned(address), np.float64(0))
    into = onward(alpha, buffer)
    beta = onward(into, buffer)
    row = onward(beta, S * width)
    lowest = onward(row, S * width)
    power = onward(lowest, S * W)
    dropped = onward(power, (chunk + 1) * S)
    rest = buffer * 2 + 2 * S * width + S * W + (chunk + 1) * S + 7 * S
    integers = onward(pointer(aligned(address), np.int64(0)), rest)
    checkpoints = onward(alpha, rest + S * (T + 2))
    counts = onward(checkpoints, (T // chunk + 1) * S * width)
    return Tile(
        integers, onward(integers, S), onward(integers, 2 * S), alpha, into, power, beta, row,
        dropped, onward(dropped, S), onward(dropped, 2 * S), lowest, onward(dropped, 3 * S),
        onward(dropped, 4 * S), onward(dropped, 5 * S), onward(dropped, 6 * S), counts, checkpoints, chunk,
    )  # fmt: skip
