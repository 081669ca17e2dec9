"""A layer of an LSTM, compiled: some sequences a tile, from their first token to their last, and back.

Of a step, ``z = x W + h V + b`` and ``c = f c + i g``, ``h = o tanh(c)``, the products ``x W + b`` are given,
a row for each token, or for each type of token where nothing is learned; ``h V`` is a small matrix product;
the gates are one pass over ``z``. The way back is the chain rule, from the last token to the first: of the
gradient of h and c that of z, and of that, by the transpose of V, what the step before adds to h.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..crf.kernels.numba_cpu.compiled import compiled, entry
from ..crf.kernels.numba_cpu.lanes import WIDTH, onward, pointer, take
from ..crf.kernels.numba_cpu.product import multiply_singles

__all__ = ["LANES", "TILE", "Problem", "run"]

LANES = 2 * WIDTH
"""Numbers in a register."""

TILE = 16
"""Sequences that are read together: their numbers stay in the cache of a core while the weights pass by."""

F = np.float32
QUARTER, HALF, ONE, FAR = F(0.25), F(0.5), F(1.0), F(7.90531110763549805)
P0, P1, P2, P3 = F(4.89352455891786e-03), F(6.37261928875436e-04), F(1.48572235717979e-05), F(5.12229709e-08)
P4, P5, P6 = F(-8.60467152213735e-11), F(2.00018790482477e-13), F(-2.76076847742355e-16)
Q0, Q1, Q2, Q3 = F(4.89352518554385e-03), F(2.26843463243900e-03), F(1.18534705686654e-04), F(1.19825839e-06)


class Problem(NamedTuple):
    """The arguments of ``run``, after two numbers that it counts up; integers, and addresses of tensors."""

    B: int
    T: int
    H: int
    width: int  # of the recurrent weights: 4 H, on the way back H; and zeros to fill a register
    table: int  # (U, 8 H), of the input weights with each row's token, both directions; see ``kept``
    types: int  # (B, T) int64, rows of the table
    order: int  # (B,) int64, the sequences, the longest first
    lengths: int  # (B,) int64, of those, in that order
    forwards: int  # the recurrent weights (H, width) in panels; on the way back their transpose (4 H, width)
    backwards: int
    memory: int  # (workers, TILE, 5 H + 2 width)
    states: int  # (B, T, 2 H), written; zero beyond the end of a sequence. On the way back their gradient
    kept: (
        int  # 0, or (U, 2, 2 H): cell and state before each token; then its gates take its place in the table
    )
    made: int  # 0, or on the way back (U, 8 H): the gradient of z


def tanh(x):
    """The hyperbolic tangent, within 3e-7: a quotient of polynomials of degree 13 and 6 (that of Eigen 3)."""
    y = x * x
    p = x * (P0 + y * (P1 + y * (P2 + y * (P3 + y * (P4 + y * (P5 + y * P6))))))
    t = p / (Q0 + y * (Q1 + y * (Q2 + y * Q3)))  # what is no number stays none
    t = ONE if x > FAR else t  # so that a gate can be shut, and a cell be held for ever
    return -ONE if x < -FAR else t


def gates(z, given, cell, state, H):
    """A step of one sequence; of i, f, o it keeps tanh(x / 2): sigmoid(x) is half of 1 more."""
    for j in range(2 * H):
        z[j] = tanh(HALF * (z[j] + given[j]))
    for j in range(2 * H, 3 * H):
        z[j] = tanh(z[j] + given[j])
    for j in range(3 * H, 4 * H):
        z[j] = tanh(HALF * (z[j] + given[j]))
    for j in range(H):
        i, f, g, o = z[j], z[H + j], z[2 * H + j], z[3 * H + j]
        c = HALF * ((ONE + f) * cell[j] + (ONE + i) * g)
        cell[j] = c
        state[j] = HALF * (ONE + o) * tanh(c)


def gates_back(held, before, slope, state, cell, z, H):
    """The gradient of ``z`` of a step of one sequence; in ``cell`` that of the cell before it.

    ``held`` are the gates, as the way there left them, and ``before`` the cell before.
    ``slope`` is the gradient of the step's state from above, ``state`` that from the step after it. Loops
    with few places each, so that a compiler can see that they do not overlap.
    """
    for j in range(H):
        state[j] += slope[j]
    for j in range(H):
        z[j] = tanh(HALF * ((ONE + held[H + j]) * before[j] + (ONE + held[j]) * held[2 * H + j]))
    last, out = onward(held, 3 * H), onward(z, 3 * H)
    for j in range(H):
        c, o, slope_of_state = z[j], last[j], state[j]
        out[j] = QUARTER * slope_of_state * c * (ONE - o * o)
        cell[j] += HALF * slope_of_state * (ONE + o) * (ONE - c * c)
    last, out = onward(held, 2 * H), onward(z, 2 * H)
    for j in range(H):
        i, g, slope_of_cell = held[j], last[j], cell[j]
        out[j] = HALF * slope_of_cell * (ONE + i) * (ONE - g * g)
        z[j] = QUARTER * slope_of_cell * g * (ONE - i * i)
    last, out = onward(held, H), onward(z, H)
    for j in range(H):
        f, slope_of_cell = last[j], cell[j]
        out[j] = QUARTER * slope_of_cell * before[j] * (ONE - f * f)
        cell[j] = HALF * slope_of_cell * (ONE + f)


tanh = compiled(tanh, contract=True)
gates = compiled(gates, contract=True)
gates_back = compiled(gates_back, contract=True)


@compiled
def copy(numbers, out, n):
    for j in range(n):
        out[j] = numbers[j]


@compiled
def blocks(rows):
    """The number of rows of which a product is made: one, or a multiple of four."""
    return 1 if rows == 1 else (rows + 3) // 4 * 4


@compiled
def read(p, first, back, table, types, order, lengths, weights, z, cell, state, states, kept):
    """Read the sequences of a tile in one direction."""
    T, H, width = p.T, p.H, p.width
    count = min(TILE, p.B - first)
    for n in range(TILE * width):  # before the first token the state is zero, and so are the products
        z[n] = F(0)
    for n in range(TILE * H):
        cell[n] = state[n] = F(0)
    for step in range(lengths[first]):
        while lengths[first + count - 1] <= step:
            count -= 1
        if step:
            multiply_singles(blocks(count), state, H, H, width, weights, z)
        for s in range(count):
            at = order[first + s] * T + (lengths[first + s] - 1 - step if back else step)
            row, now, inside = 2 * types[at] + back, onward(state, s * H), onward(cell, s * H)
            given = onward(table, row * 4 * H)
            if p.kept:
                copy(inside, onward(kept, row * 2 * H), H)
                copy(now, onward(kept, (row * 2 + 1) * H), H)
            gates(onward(z, s * width), given, inside, now, H)
            if p.kept:
                copy(onward(z, s * width), given, 4 * H)
            copy(now, onward(states, (2 * at + back) * H), H)
    for s in range(min(TILE, p.B - first)):
        for t in range(lengths[first + s], T):
            out = onward(states, (2 * (order[first + s] * T + t) + back) * H)
            for j in range(H):
                out[j] = F(0)


@compiled
def read_back(p, first, back, table, types, order, lengths, weights, z, cell, state, slopes, kept, made):
    """Go back through the sequences of a tile in one direction."""
    T, H, width = p.T, p.H, p.width
    for n in range(TILE * 4 * H):
        z[n] = F(0)
    for n in range(TILE * width):
        state[n] = F(0)
    for n in range(TILE * H):
        cell[n] = F(0)
    count = 0
    for step in range(lengths[first] - 1, -1, -1):
        if count:
            multiply_singles(blocks(count), z, 4 * H, 4 * H, width, weights, state)
        while count < min(TILE, p.B - first) and lengths[first + count] > step:
            count += 1
        for s in range(count):
            at = order[first + s] * T + (lengths[first + s] - 1 - step if back else step)
            row, own = 2 * types[at] + back, onward(z, s * 4 * H)
            given, slope = onward(table, row * 4 * H), onward(slopes, (2 * at + back) * H)
            before = onward(kept, row * 2 * H)
            gates_back(given, before, slope, onward(state, s * width), onward(cell, s * H), own, H)
            copy(own, onward(made, row * 4 * H), 4 * H)


@entry
def run(arguments, like):
    """Read all sequences in both directions, or go back; any number of workers may call it at once."""
    a = arguments
    p = Problem(a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15])
    integer = np.int64(0)
    table, types, order = pointer(p.table, like), pointer(p.types, integer), pointer(p.order, integer)
    lengths, states, kept = pointer(p.lengths, integer), pointer(p.states, like), pointer(p.kept, like)
    forwards, backwards = pointer(p.forwards, like), pointer(p.backwards, like)
    H, memory, made = p.H, pointer(p.memory, like), pointer(p.made, like)
    z = onward(memory, take(a, 0, 1) * TILE * (5 * H + 2 * p.width))
    cell, state = onward(z, TILE * (4 * H + p.width)), onward(z, TILE * (5 * H + p.width))
    number = take(a, 1, 1)
    while number // 2 * TILE < p.B:
        back, first = number % 2, number // 2 * TILE
        weights = backwards if back else forwards
        if p.made:
            read_back(
                p, first, back, table, types, order, lengths, weights, z, cell, state, states, kept, made
            )
        else:
            read(p, first, back, table, types, order, lengths, weights, z, cell, state, states, kept)
        number = take(a, 1, 1)
