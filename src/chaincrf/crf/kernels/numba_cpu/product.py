"""The sum of products at the heart of every recursion, at the speed of the processor.

One step of a recursion is a small matrix product: of the numbers that some sequences have for each tag with
the moves between tags. So are the counts of moves: of all alphas with all q. As in a BLAS, a block of 4 rows
by up to 3 registers of columns stays in registers while the sum runs. Viterbi is the same with other signs:
the maximum of sums in place of the sum of products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .compiled import compiled, named, plain
from .lanes import WIDTH, onward

__all__ = ["count", "multiply", "multiply_max", "multiply_singles", "panels", "registers"]

W = WIDTH
_INTEGER, _INDEX = ir.IntType(64), ir.IntType(32)
_OF = {types.float64: (ir.DoubleType(), W), types.float32: (ir.FloatType(), 2 * W)}
"""The numbers of LLVM, and how many of them a register holds."""


class _Block:
    """Writes the code for one block: ``c[r, :] = sum_i a[i, r] b[i, :]``, or the max of sums.

    Args:
        rows: of ``a`` and ``c``.
        columns: of ``b`` and ``c``, in registers.
        add: begin with what is in ``c``.
        maximum: the max of sums.
        number: float64 or float32.
    """

    def __init__(
        self, rows: int, columns: int, number: types.Type, add: bool = False, maximum: bool = False
    ) -> None:
        self.cells = [(r, v) for r in range(rows) for v in range(columns)]
        self.add, self.maximum = add, maximum
        of, self.lanes = _OF[number]
        self.numbers, self.align = ir.VectorType(of, self.lanes), number.bitwidth // 8

    def step(self, builder: Any, total: Any, x: Any, y: Any) -> Any:
        """One term more."""
        if self.maximum:
            term = builder.fadd(x, y)
            return builder.select(builder.fcmp_ordered(">", term, total), term, total)
        fused = ("contract",)  # one rounding in place of two
        return builder.fadd(total, builder.fmul(x, y, flags=fused), flags=fused)

    def emit(
        self, builder: Any, a: Any, a_step: Any, a_row: Any, b: Any, b_step: Any, c: Any, c_row: Any, n: Any
    ) -> None:
        """Write it."""

        def load(place: Any) -> Any:
            return builder.load(builder.bitcast(place, self.numbers.as_pointer()), align=self.align)

        def everywhere(x: Any) -> Any:
            nothing = ir.Constant(self.numbers, ir.Undefined)
            first = builder.insert_element(nothing, x, _INDEX(0))
            everyone = ir.Constant(ir.VectorType(_INDEX, self.lanes), [0] * self.lanes)
            return builder.shuffle_vector(first, nothing, everyone)

        cells = {
            (r, v): builder.gep(c, [builder.add(builder.mul(c_row, _INTEGER(r)), _INTEGER(v * self.lanes))])
            for r, v in self.cells
        }
        nothing = ir.Constant(self.numbers, [-np.inf if self.maximum else 0.0] * self.lanes)
        first = {cell: load(place) if self.add else nothing for cell, place in cells.items()}
        offsets = {r: builder.mul(a_row, _INTEGER(r)) for r, _ in self.cells}
        before = builder.block
        head, body, end = (builder.append_basic_block() for _ in range(3))
        builder.branch(head)
        builder.position_at_end(head)
        i = builder.phi(_INTEGER)
        i.add_incoming(_INTEGER(0), before)
        totals = {cell: builder.phi(self.numbers) for cell in self.cells}
        for cell, total in totals.items():
            total.add_incoming(first[cell], before)
        builder.cbranch(builder.icmp_signed("<", i, n), body, end)
        builder.position_at_end(body)
        a_i, b_i = builder.gep(a, [builder.mul(i, a_step)]), builder.gep(b, [builder.mul(i, b_step)])
        y = {
            v: load(builder.gep(b_i, [_INTEGER(v * self.lanes)])) for v in sorted({v for _, v in self.cells})
        }
        x = {r: everywhere(builder.load(builder.gep(a_i, [at]))) for r, at in offsets.items()}
        for (r, v), total in totals.items():
            total.add_incoming(self.step(builder, total, x[r], y[v]), body)
        i.add_incoming(builder.add(i, _INTEGER(1)), body)
        builder.branch(head)
        builder.position_at_end(end)
        for cell, place in cells.items():
            builder.store(totals[cell], builder.bitcast(place, self.numbers.as_pointer()), align=self.align)


def _blocks(rows: int, number: types.Type = types.float64, **options: bool) -> Any:
    """A function of a number of registers and the places: one of three blocks."""
    numbers = types.CPointer(number)

    def block(columns: int) -> Any:
        code = _Block(rows, columns, number, **options)

        @intrinsic
        def product(
            _context: Any, a: Any, a_step: Any, a_row: Any, b: Any, b_step: Any, c: Any, c_row: Any, n: Any
        ) -> Any:
            def generate(target: Any, builder: Any, _signature: Any, values: Any) -> Any:
                code.emit(builder, *values)
                return target.get_dummy_value()

            i = types.int64
            return types.void(numbers, i, i, numbers, i, numbers, i, i), generate

        return product

    one, two, three = map(block, (1, 2, 3))

    def choose(columns, a, a_step, a_row, b, b_step, c, c_row, n):
        if columns == 3:
            three(a, a_step, a_row, b, b_step, c, c_row, n)
        elif columns == 2:
            two(a, a_step, a_row, b, b_step, c, c_row, n)
        else:
            one(a, a_step, a_row, b, b_step, c, c_row, n)

    name = "_".join(("choose", str(rows), str(number), *options))
    return compiled(named(choose, name))


_four, _single = _blocks(4), _blocks(1)
_four_max, _single_max = _blocks(4, maximum=True), _blocks(1, maximum=True)
_four_more = _blocks(4, add=True)
_four_singles, _single_singles = _blocks(4, types.float32), _blocks(1, types.float32)


@plain
def registers(left):
    """How many registers of columns the next panel has, of those left: 3, or 2 so that none is left alone."""
    return 2 if left == 4 else min(left, 3)


@compiled
def panels(matrix, K, width, transpose, nothing, out):
    """A ``(K, K)`` matrix in panels, each ``(K, 3 W)`` or narrower; ``nothing`` beyond column K."""
    v = 0
    while v < width:
        columns = registers((width - v) // W) * W
        for i in range(K):
            for j in range(v, v + columns):
                at = v * K + i * columns + j - v
                if j < K:
                    out[at] = matrix[j * K + i] if transpose else matrix[i * K + j]
                else:
                    out[at] = nothing
        v += columns


def _product(single: Any, four: Any, name: str, lanes: int = W) -> Any:
    """A product of rows with a matrix in panels, from the blocks for one row and for four."""

    def product(rows, a, K, step, width, panels, c):
        v = 0
        while v < width:
            columns = registers((width - v) // lanes)
            panel, size = onward(panels, v * K), columns * lanes
            if rows == 1:
                single(columns, a, 1, step, panel, size, onward(c, v), width, K)
            for s in range(0, rows if rows > 1 else 0, 4):
                four(columns, onward(a, s * step), 1, step, panel, size, onward(c, s * width + v), width, K)
            v += size

    return compiled(named(product, name))


multiply = _product(_single, _four, "multiply")
"""c = a @ matrix, for ``rows`` rows (1, or up to a multiple of 4), ``step`` and ``width`` numbers apart."""
multiply_max = _product(_single_max, _four_max, "multiply_max")
"""c[s, j] = max_i (a[s, i] + matrix[i, j]); otherwise the same."""
multiply_singles = _product(_single_singles, _four_singles, "multiply_singles", 2 * W)
"""``multiply`` of float32, with twice as many numbers in a register."""


@compiled
def count(n, step, a, b, width, c):
    """c[i, j] += sum of a[i] b[j] over ``n`` rows of both, ``step`` numbers apart."""
    v = 0
    while v < width:
        columns = registers((width - v) // W)
        for i in range(0, width, 4):
            _four_more(columns, onward(a, i), step, 1, onward(b, v), step, onward(c, i * width + v), width, n)
        v += columns * W
