"""Lanes: a Numba value that holds WIDTH doubles, in one vector register.

With it a recursion is written once and computed for WIDTH tags, or sequences, at a time. Arithmetic compiles
to one instruction. No fast-math: all that is allowed is to round a product and a sum once in place of twice.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic, models, overload, register_model

from .compiled import compiled, named

__all__ = [
    "WIDTH",
    "all_of",
    "any_of",
    "count_of",
    "exp",
    "exponent",
    "first_of",
    "highest",
    "inverse_power",
    "load",
    "lowest_lane",
    "maximum",
    "minimum",
    "onward",
    "pointer",
    "size",
    "splat",
    "store",
    "take",
    "where",
]

WIDTH = 8 if binding.get_host_cpu_features().get("avx512f") else 4
"""Doubles in a register."""
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


def _unary(emit: Emit, result: types.Type = lanes, of: types.Type = lanes) -> Any:
    """An intrinsic of Lanes (or masks) from a function of an LLVM builder and a value."""

    @intrinsic
    def instruction(_context: Any, a: Any) -> Any:
        def generate(_target: Any, builder: Any, _signature: Any, values: Any) -> Any:
            return emit(builder, *values)

        return (result(of), generate) if a == of else None

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
        apply = named(lambda a, b: instruction(a, b), f"lanes_{function.__name__}")  # noqa: PLW0108
        return apply if a == b == of else None


def _arithmetic(name: str) -> Emit:
    return lambda builder, a, b: getattr(builder, name)(a, b, flags=("contract",))


def _comparison(sign: str) -> Emit:
    return lambda builder, a, b: builder.fcmp_ordered(sign, a, b)


_operator(operator.add, _arithmetic("fadd"))
_operator(operator.sub, _arithmetic("fsub"))
_operator(operator.mul, _arithmetic("fmul"))
_operator(operator.truediv, _arithmetic("fdiv"))
_operator(operator.lt, _comparison("<"), mask)  # False where one is NaN
_operator(operator.le, _comparison("<="), mask)
_operator(operator.eq, _comparison("=="), mask)
_operator(operator.and_, lambda builder, a, b: builder.and_(a, b), mask, mask)
_operator(operator.or_, lambda builder, a, b: builder.or_(a, b), mask, mask)

maximum = _binary(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))
"""The larger of two numbers; the second one where one is NaN."""
minimum = _binary(lambda builder, a, b: builder.select(builder.fcmp_ordered("<", a, b), a, b))
"""The smaller of two numbers; the second one where one is NaN."""


@intrinsic
def where(_context: Any, condition: Any, a: Any, b: Any) -> Any:
    """``a`` where the condition holds, else ``b``."""

    def generate(_target: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.select(*values)

    return (lanes(mask, lanes, lanes), generate) if (condition, a, b) == (mask, lanes, lanes) else None


def _bits(builder: Any, value: Any) -> Any:
    return builder.bitcast(value, ir.IntType(WIDTH))


_all = ir.IntType(WIDTH)((1 << WIDTH) - 1)
any_of = _unary(
    lambda builder, a: builder.icmp_unsigned("!=", _bits(builder, a), _all.type(0)), types.boolean, mask
)
"""Whether a condition holds in any lane."""
all_of = _unary(lambda builder, a: builder.icmp_unsigned("==", _bits(builder, a), _all), types.boolean, mask)
"""Whether a condition holds in every lane."""


def _emit_count(builder: Any, a: Any) -> Any:
    return builder.ctpop(builder.zext(_bits(builder, a), _INTEGER))


count_of = _unary(_emit_count, types.int64, mask)
"""In how many lanes a condition holds."""


def _emit_first(builder: Any, a: Any) -> Any:
    wide = builder.zext(_bits(builder, a), _INTEGER)
    return builder.cttz(wide, ir.IntType(1)(0))


first_of = _unary(_emit_first, types.int64, mask)
"""The first lane in which a condition holds; 64 if there is none."""


@intrinsic
def splat(_context: Any, x: Any) -> Any:
    """The same number in all lanes."""

    def generate(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        number = target.cast(builder, values[0], signature.args[0], types.float64)
        nothing = ir.Constant(_NUMBERS, ir.Undefined)
        first = builder.insert_element(nothing, number, _INDEX(0))
        return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_INDEX, WIDTH), [0] * WIDTH))

    return lanes(x), generate


# Memory: addresses, since taking those of tensors is ten times as fast as making arrays of them.


@intrinsic
def pointer(_context: Any, address: Any, like: Any) -> Any:
    """The numbers at an address, of the type of ``like``; not checked against any bound."""

    def generate(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], target.get_value_type(signature.return_type))

    return types.CPointer(like)(types.int64, like), generate


@intrinsic
def onward(_context: Any, numbers: Any, n: Any) -> Any:
    """The pointer ``n`` numbers further on."""

    def generate(_target: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.gep(values[0], [values[1]])

    return numbers(numbers, types.int64), generate


@intrinsic
def take(_context: Any, counter: Any, at: Any, number: Any) -> Any:
    """``counter[at]``, to which a number is added; no two threads that ask see the same."""

    def generate(_target: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.atomic_rmw("add", builder.gep(values[0], [values[1]]), values[2], "monotonic")

    return types.int64(counter, types.int64, types.int64), generate


def _place(builder: Any, values: Any, number: Any) -> Any:
    return builder.bitcast(builder.gep(values[0], [values[1]]), ir.VectorType(number, WIDTH).as_pointer())


@intrinsic
def load(_context: Any, numbers: Any, i: Any) -> Any:
    """WIDTH numbers from index ``i`` on, as doubles."""

    def generate(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        number = target.get_value_type(signature.args[0].dtype)
        place = _place(builder, values, number)
        found = builder.load(place, align=number.get_abi_size(target.target_data))
        return found if number == _NUMBER else builder.fpext(found, _NUMBERS)

    return lanes(numbers, types.int64), generate


@intrinsic
def store(_context: Any, numbers: Any, i: Any, x: Any) -> Any:
    """Write WIDTH numbers from index ``i`` on."""

    def generate(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        number = target.get_value_type(signature.args[0].dtype)
        x = values[2] if number == _NUMBER else builder.fptrunc(values[2], ir.VectorType(number, WIDTH))
        builder.store(x, _place(builder, values, number), align=number.get_abi_size(target.target_data))
        return target.get_dummy_value()

    return types.void(numbers, types.int64, lanes), generate


@intrinsic
def lowest_lane(_context: Any, x: Any) -> Any:
    """The number in the first lane."""

    def generate(_target: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.extract_element(values[0], _INDEX(0))

    return types.float64(lanes), generate


def _emit_highest(builder: Any, x: Any) -> Any:
    step = WIDTH // 2
    while step:
        order = ir.Constant(ir.VectorType(_INDEX, WIDTH), [lane ^ step for lane in range(WIDTH)])
        other = builder.shuffle_vector(x, x, order)
        x = builder.select(builder.fcmp_ordered(">", x, other), x, other)
        step //= 2
    return x


highest = _unary(_emit_highest)
"""The highest number of all lanes, in each of them."""


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


def _emit_size(builder: Any, x: Any) -> Any:
    return builder.bitcast(builder.and_(builder.bitcast(x, _INTEGERS), _constant(2**63 - 1)), _NUMBERS)


size = _unary(_emit_size)
"""The number without its sign."""
_power = _unary(_emit_power)
exponent = _unary(_emit_exponent)
"""e such that 2^e <= x < 2^(e+1), for x >= 0; -1023 for 0."""
inverse_power = _unary(_emit_inverse_power)
"""2^-e, for the same e."""

_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # the high part has 21 zero bits at its end


@compiled
def exp(x):
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
