"""The gates of an LSTM, compiled: one step of a batch in one pass over its numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..crf.kernels.numba_cpu.compiled import compiled, entry
from ..crf.kernels.numba_cpu.lanes import onward, pointer

__all__ = ["AT_COUNT", "AT_STEP", "Problem", "run"]

F = np.float32
HALF, ONE, FAR = F(0.5), F(1.0), F(7.90531110763549805)
P0, P1, P2, P3 = F(4.89352455891786e-03), F(6.37261928875436e-04), F(1.48572235717979e-05), F(5.12229709e-08)
P4, P5, P6 = F(-8.60467152213735e-11), F(2.00018790482477e-13), F(-2.76076847742355e-16)
Q0, Q1, Q2, Q3 = F(4.89352518554385e-03), F(2.26843463243900e-03), F(1.18534705686654e-04), F(1.19825839e-06)


class Problem(NamedTuple):
    """The arguments of ``run``; integers, and addresses of contiguous tensors."""

    step: int  # tokens read before
    count: int  # sequences, the longest first, that have a token left
    back: int  # 1: read from the last token to the first
    T: int
    H: int
    products: int  # (B, 4 H), of the recurrent weights with the state before
    table: int  # (U, 8 H), of the input weights with each type, both directions
    types: int  # (B, T) int64, rows of the table
    lengths: int  # (B,) int64
    cell: int  # (B, H), read and written
    state: int  # (B, H), written
    states: int  # (B, T, 2 H), written at the tokens read


AT_STEP, AT_COUNT = (Problem._fields.index(name) for name in ("step", "count"))


def tanh(x):
    """The hyperbolic tangent, within 3e-7: a quotient of polynomials of degree 13 and 6 (that of Eigen 3)."""
    x = -FAR if x < -FAR else x  # what is no number stays none
    x = FAR if x > FAR else x
    y = x * x
    p = x * (P0 + y * (P1 + y * (P2 + y * (P3 + y * (P4 + y * (P5 + y * P6))))))
    return p / (Q0 + y * (Q1 + y * (Q2 + y * Q3)))


def gates(products, inputs, cell, state, H):
    """A step of one sequence; the gates i, f, o come halved: sigmoid(2 x) = (1 + tanh(x)) / 2."""
    for j in range(4 * H):
        products[j] = tanh(products[j] + inputs[j])
    for j in range(H):
        i, f, g, o = products[j], products[H + j], products[2 * H + j], products[3 * H + j]
        c = HALF * ((ONE + f) * cell[j] + (ONE + i) * g)
        cell[j] = c
        state[j] = HALF * (ONE + o) * tanh(c)


tanh = compiled(tanh, contract=True)
gates = compiled(gates, contract=True)


@entry
def run(arguments, like):
    """One step, in one direction, of all sequences that have a token left."""
    a = arguments
    p = Problem(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11])
    H = p.H
    products, table = pointer(p.products, like), pointer(p.table, like)
    cell, state, states = pointer(p.cell, like), pointer(p.state, like), pointer(p.states, like)
    types, lengths = pointer(p.types, np.int64(0)), pointer(p.lengths, np.int64(0))
    for b in range(p.count):
        at = b * p.T + (lengths[b] - 1 - p.step if p.back else p.step)
        inputs = onward(table, (2 * types[at] + p.back) * 4 * H)
        now = onward(state, b * H)
        gates(onward(products, b * 4 * H), inputs, onward(cell, b * H), now, H)
        out = onward(states, (2 * at + p.back) * H)
        for j in range(H):
            out[j] = now[j]
