"""A layer of an LSTM that only reads, compiled: some sequences a tile, from their first token to their last.

Of a step, ``z = x W + h V + b`` and ``c = f c + i g``, ``h = o tanh(c)``, the products ``x W + b`` are given,
a row for each type of token; ``h V`` is a small matrix product; the gates are one pass over ``z``.
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
HALF, ONE, FAR = F(0.5), F(1.0), F(7.90531110763549805)
P0, P1, P2, P3 = F(4.89352455891786e-03), F(6.37261928875436e-04), F(1.48572235717979e-05), F(5.12229709e-08)
P4, P5, P6 = F(-8.60467152213735e-11), F(2.00018790482477e-13), F(-2.76076847742355e-16)
Q0, Q1, Q2, Q3 = F(4.89352518554385e-03), F(2.26843463243900e-03), F(1.18534705686654e-04), F(1.19825839e-06)


class Problem(NamedTuple):
    """The arguments of ``run``, after two numbers that it counts up; integers, and addresses of tensors."""

    B: int
    T: int
    H: int
    width: int  # 4 H, and zeros to fill a register
    table: int  # (U, 8 H), of the input weights with each type, both directions
    types: int  # (B, T) int64, rows of the table
    lengths: int  # (B,) int64, the longest first
    forwards: int  # the recurrent weights (H, width) in panels
    backwards: int
    memory: int  # (workers, TILE, width + 2 H)
    states: int  # (B, T, 2 H), written; zero beyond the end of a sequence


def tanh(x):
    """The hyperbolic tangent, within 3e-7: a quotient of polynomials of degree 13 and 6 (that of Eigen 3)."""
    y = x * x
    p = x * (P0 + y * (P1 + y * (P2 + y * (P3 + y * (P4 + y * (P5 + y * P6))))))
    t = p / (Q0 + y * (Q1 + y * (Q2 + y * Q3)))  # what is no number stays none
    t = ONE if x > FAR else t  # so that a gate can be shut, and a cell be held for ever
    return -ONE if x < -FAR else t


def gates(z, given, cell, state, H):
    """A step of one sequence; the gates i, f, o come halved: sigmoid(2 x) = (1 + tanh(x)) / 2."""
    for j in range(4 * H):
        z[j] = tanh(z[j] + given[j])
    for j in range(H):
        i, f, g, o = z[j], z[H + j], z[2 * H + j], z[3 * H + j]
        c = HALF * ((ONE + f) * cell[j] + (ONE + i) * g)
        cell[j] = c
        state[j] = HALF * (ONE + o) * tanh(c)


tanh = compiled(tanh, contract=True)
gates = compiled(gates, contract=True)


@compiled
def read(p, first, back, table, types, lengths, weights, z, cell, state, states):
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
            multiply_singles(count if count == 1 else (count + 3) // 4 * 4, state, H, H, width, weights, z)
        for s in range(count):
            at = (first + s) * T + (lengths[first + s] - 1 - step if back else step)
            given, out = onward(table, (2 * types[at] + back) * 4 * H), onward(states, (2 * at + back) * H)
            now = onward(state, s * H)
            gates(onward(z, s * width), given, onward(cell, s * H), now, H)
            for j in range(H):
                out[j] = now[j]
    for s in range(min(TILE, p.B - first)):
        for t in range(lengths[first + s], T):
            out = onward(states, (2 * ((first + s) * T + t) + back) * H)
            for j in range(H):
                out[j] = F(0)


@entry
def run(arguments, like):
    """Read all sequences, in both directions; any number of workers may call it at the same time."""
    a = arguments
    p = Problem(a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12])
    integer = np.int64(0)
    table, types, lengths = pointer(p.table, like), pointer(p.types, integer), pointer(p.lengths, integer)
    forwards, backwards = pointer(p.forwards, like), pointer(p.backwards, like)
    states, memory = pointer(p.states, like), pointer(p.memory, like)
    z = onward(memory, take(a, 0, 1) * TILE * (p.width + 2 * p.H))
    cell, state = onward(z, TILE * p.width), onward(z, TILE * (p.width + p.H))
    number = take(a, 1, 1)
    while number // 2 * TILE < p.B:
        back = number % 2
        weights = backwards if back else forwards
        read(p, number // 2 * TILE, back, table, types, lengths, weights, z, cell, state, states)
        number = take(a, 1, 1)
