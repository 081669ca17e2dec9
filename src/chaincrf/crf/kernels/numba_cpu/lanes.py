"""Lanes: a Numba value that holds one number of each of WIDTH sequences, in one vector register.

With it a recursion over sequences is written as for one sequence and computed for WIDTH at a time: nothing is
wasted on padding tags, and nothing is ever summed across a register. Arithmetic compiles to one instruction
(to a few where registers are narrower). No fast-math: all that is allowed is to round a product and a sum
once in place of twice.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, overload, register_model

from .compiled import compiled

__all__ = [
    "WIDTH",
    "any_of",
    "exp",
    "exponent",
    "inverse_power",
    "load",
    "maximum",
    "pointer",
    "splat",
    "store",
    "where",
]

WIDTH = 8
_NUMBER, _INTEGER, _INDEX = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
_NUMBERS, _INTEGERS = ir.VectorType(_NUMBER, WIDTH), ir.VectorType(_INTEGER, WIDTH)
_BITS = ir.VectorType(ir.IntType(1), WIDTH)


class _Lanes(types.Type):
    """WIDTH doubles."""


class _Mask(types.Type):
    """WIDTH booleans."""


lanes, mask = _Lanes(f"Lanes{WIDTH}"), _Mask(f"Mask{WIDTH}")


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, of: Any) -> None:
        super().__init__(manager, of, _NUMBERS)


@register_model(_Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, of: Any) -> None:
        super().__init__(manager, of, _BITS)


Emit = Callable[..., Any]


def _unary(emit: Emit, result: types.Type = lanes) -> Any:
    """An intrinsic of Lanes from a function of an LLVM builder and a value."""

    @intrinsic
    def instruction(_context: Any, a: Any) -> Any:
        def generate(_target: Any, builder: Any, _signature: Any, values: Any) -> Any:
            return emit(builder, *values)

        return (result(lanes), generate) if a == lanes else None

    return instruction


def _binary(emit: Emit, result: types.Type = lanes, of: types.Type = lanes) -> Any:
    """The same for two values."""

    @intrinsic
    def instruction(_context: Any, a: Any, b: Any) -> Any:
        def generate(_target: Any, builder: Any, _signature: Any, values: Any) -> Any:
            return emit(builder, *values)

        return (result(of, of), generate) if a == b == of else None

    return instruction


def _operator(function: Any, emit: Emit, result: types.Type = lanes, of: types.Type = lanes) -> None:
    """Give an operator of Python its meaning for two Lanes (or masks)."""
    instruction = _binary(emit, result, of)

    @overload(function)
    def _choose(a, b):
        return (lambda a, b: instruction(a, b)) if a == b == of else None  # noqa: PLW0108


def _arithmetic(name: str) -> Emit:
    return lambda builder, a, b: getattr(builder, name)(a, b, flags=("contract",))


def _comparison(sign: str) -> Emit:
    return lambda builder, a, b: builder.fcmp_ordered(sign, a, b)


_operator(operator.add, _arithmetic("fadd"))
_operator(operator.sub, _arithmetic("fsub"))
_operator(operator.mul, _arithmetic("fmul"))
_operator(operator.truediv, _arithmetic("fdiv"))
_operator(operator.lt, _comparison("<"), mask)  # False where one is NaN
_operator(operator.eq, _comparison("=="), mask)
_operator(operator.and_, lambda builder, a, b: builder.and_(a, b), mask, mask)
_operator(operator.or_, lambda builder, a, b: builder.or_(a, b), mask, mask)

maximum = _binary(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))
"""The larger of two numbers; the second one where one is NaN."""


@intrinsic
def where(_context: Any, condition: Any, a: Any, b: Any) -> Any:
    """``a`` where the condition holds, else ``b``."""

    def generate(_target: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.select(*values)

    return (lanes(mask, lanes, lanes), generate) if (condition, a, b) == (mask, lanes, lanes) else None


@intrinsic
def any_of(_context: Any, condition: Any) -> Any:
    """Whether the condition holds in any lane."""

    def generate(_target: Any, builder: Any, _signature: Any, values: Any) -> Any:
        bits = ir.IntType(WIDTH)
        return builder.icmp_unsigned("!=", builder.bitcast(values[0], bits), bits(0))

    return (types.boolean(mask), generate) if condition == mask else None


@intrinsic
def splat(_context: Any, x: Any) -> Any:
    """The same number in all lanes."""

    def generate(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        number = target.cast(builder, values[0], signature.args[0], types.float64)
        nothing = ir.Constant(_NUMBERS, ir.Undefined)
        first = builder.insert_element(nothing, number, _INDEX(0))
        return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_INDEX, WIDTH), [0] * WIDTH))

    return lanes(x), generate


# Memory: addresses as integers, since taking those of tensors is ten times as fast as making arrays of them.


@intrinsic
def pointer(_context: Any, address: Any, like: Any) -> Any:
    """The numbers at an address, of the type of ``like``; not checked against any bound."""

    def generate(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], target.get_value_type(signature.return_type))

    return types.CPointer(like)(types.int64, like), generate


def _place(target: Any, builder: Any, array: types.Array, value: Any, index: Any) -> Any:
    data = target.make_array(array)(target, builder, value).data
    return builder.bitcast(builder.gep(data, [index]), _NUMBERS.as_pointer())


@compiled
def aligned(size):
    """A flat array of doubles, not initialised, whose Lanes do not cross the lines of a cache."""
    array = np.empty(size + WIDTH)
    skip = -(array.ctypes.data // 8) % WIDTH
    return array[skip : skip + size]


@compiled
def taken(memory, place, size):
    """The same, from memory that is at hand, if it is enough; ``place[0]`` is where the free part begins."""
    begin = place[0] + (-(memory.ctypes.data // 8 + place[0])) % WIDTH
    if begin + size > len(memory):
        return aligned(size)
    place[0] = begin + size
    return memory[begin : begin + size]


@intrinsic
def load(_context: Any, array: Any, i: Any) -> Any:
    """The WIDTH doubles of a flat array from index ``i`` on."""

    def generate(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = _place(target, builder, signature.args[0], *values)
        return builder.load(place, align=_NUMBER.get_abi_size(target.target_data))

    return lanes(array, types.int64), generate


@intrinsic
def store(_context: Any, array: Any, i: Any, x: Any) -> Any:
    """Write Lanes to a flat array of doubles from index ``i`` on."""

    def generate(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = _place(target, builder, signature.args[0], *values[:2])
        builder.store(values[2], place, align=_NUMBER.get_abi_size(target.target_data))
        return target.get_dummy_value()

    return types.void(array, types.int64, lanes), generate


# Functions, from the bits of a double: 2^n is the integer n + 1023 shifted left by 52.

_MAGIC = 1.5 * 2.0**52
"""A double this large has no bits for fractions: adding it rounds to an integer, in the lowest bits."""


def _constant(integer: int) -> ir.Constant:
    return ir.Constant(_INTEGERS, [integer] * WIDTH)


def _emit_power(builder: Any, rounded: Any) -> Any:
    n = builder.add(builder.bitcast(rounded, _INTEGERS), _constant(1023))
    return builder.bitcast(builder.shl(n, _constant(52)), _NUMBERS)


def _emit_exponent(builder: Any, x: Any) -> Any:
    biased = builder.lshr(builder.bitcast(x, _INTEGERS), _constant(52))
    number = builder.bitcast(builder.or_(biased, _constant(1075 << 52)), _NUMBERS)  # 2^52 + biased
    return builder.fsub(number, ir.Constant(_NUMBERS, [2.0**52 + 1023] * WIDTH))


def _emit_inverse_power(builder: Any, x: Any) -> Any:
    power = builder.and_(builder.bitcast(x, _INTEGERS), _constant(0x7FF << 52))
    return builder.bitcast(builder.sub(_constant(2046 << 52), power), _NUMBERS)


_power = _unary(_emit_power)
exponent = _unary(_emit_exponent)
"""e such that 2^e <= x < 2^(e+1), for x >= 0; -1023 for 0."""
inverse_power = _unary(_emit_inverse_power)
"""2^-e, for the same e."""

_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # the high part has 21 zero bits at its end


@compiled
def exp(x: Any) -> Any:
    """e^x for -700 <= x <= 700, to one unit in the last place: 2^n e^r with r within ln 2 / 2 of 0."""
    rounded = x * splat(_LOG2_E) + splat(_MAGIC)
    n = rounded - splat(_MAGIC)
    r = x - n * splat(_LN2_HIGH) - n * splat(_LN2_LOW)
    y = splat(1 / 6227020800)
    y = y * r + splat(1 / 479001600)
    y = y * r + splat(1 / 39916800)
    y = y * r + splat(1 / 3628800)
    y = y * r + splat(1 / 362880)
    y = y * r + splat(1 / 40320)
    y = y * r + splat(1 / 5040)
    y = y * r + splat(1 / 720)
    y = y * r + splat(1 / 120)
    y = y * r + splat(1 / 24)
    y = y * r + splat(1 / 6)
    y = y * r + splat(0.5)
    y = y * r + splat(1.0)
    y = y * r + splat(1.0)
    return y * _power(rounded)
