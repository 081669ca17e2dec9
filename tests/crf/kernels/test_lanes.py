"""The vector type: functions from the bits of a double."""

import numpy as np

from chaincrf.crf.kernels.numba_cpu.compiled import compiled
from chaincrf.crf.kernels.numba_cpu.lanes import (
    WIDTH,
    all_of,
    any_of,
    count_of,
    exp,
    exponent,
    first_of,
    highest,
    inverse_power,
    load,
    lowest_lane,
    maximum,
    minimum,
    onward,
    pointer,
    size,
    splat,
    store,
)


@compiled
def apply(address, n, out_address, what):
    x, y = pointer(address, np.float64(0)), pointer(out_address, np.float64(0))
    for i in range(0, n, WIDTH):
        a = load(x, i)
        if what == 0:
            store(y, i, exp(a))
        elif what == 1:
            store(y, i, exponent(a))
        elif what == 2:
            store(y, i, inverse_power(a))
        elif what == 3:
            store(y, i, maximum(a, splat(1.0)))
        elif what == 4:
            store(y, i, minimum(a, splat(1.0)))
        elif what == 5:
            store(y, i, size(a))
        else:
            store(y, i, highest(a))


def applied(x: np.ndarray, what: int) -> np.ndarray:
    y = np.empty_like(x)
    apply(x.ctypes.data, len(x), y.ctypes.data, what)
    return y


@compiled
def masks(address):
    a = load(pointer(address, np.float64(0)), 0)
    return (
        any_of(a < splat(0.0)),
        any_of((a < splat(0.0)) | (a == splat(3.0))),
        any_of((a < splat(4.0)) & (splat(5.0) < a)),
        all_of(a <= splat(np.float64(WIDTH - 1))),
        all_of(a < splat(np.float64(WIDTH - 1))),
        first_of(splat(2.0) <= a),
        first_of(a < splat(0.0)),
        count_of(a < splat(2.0)),
        lowest_lane(load(onward(pointer(address, np.float64(0)), 3), 0)),
    )


@compiled
def convert(address, out_address):
    store(pointer(out_address, np.float32(0)), 0, load(pointer(address, np.float32(0)), 0) + splat(1e-9))


def test_exp_is_right_to_one_unit_in_the_last_place() -> None:
    x = np.linspace(-700, 700, 8 * 50_000)
    y = applied(x, 0)
    assert (np.abs(y - np.exp(x)) <= np.spacing(np.exp(x))).all()
    assert y[x == 0].tolist() == [1.0] * int((x == 0).sum())


def test_powers_of_two() -> None:
    x = np.array([1.0, 1.99, 2.0, 3.0, 0.3, 0.0, 1e-300, 1e300])
    e, p = applied(x, 1), applied(x, 2)
    expected = np.floor(np.log2(x, where=x > 0, out=np.full_like(x, -1023)))
    assert e.tolist() == expected.tolist()
    assert p[x > 0].tolist() == (2.0**-expected)[x > 0].tolist()
    assert np.isfinite(p).all()


def test_comparisons() -> None:
    x = np.arange(8.0)
    assert masks(x.ctypes.data) == (False, True, False, True, False, 2, 64, 2, 3.0)
    x[3] = np.nan
    assert applied(x, 3).tolist() == [1, 1, 2, 1, 4, 5, 6, 7]
    assert applied(x, 4).tolist() == [0, 1, 1, 1, 1, 1, 1, 1]


def test_signs_and_the_highest_lane() -> None:
    x = np.random.default_rng(0).normal(size=8 * 20)
    assert (applied(x, 5) == np.abs(x)).all()
    top = x.reshape(-1, WIDTH).max(1, keepdims=True)
    assert (applied(x, 6).reshape(-1, WIDTH) == top).all()


def test_single_precision_is_read_and_written_as_such() -> None:
    x, y = np.arange(1, 9, dtype=np.float32) / 3, np.zeros(16, dtype=np.float32)
    convert(x.ctypes.data, y.ctypes.data)
    assert y[:WIDTH].tolist() == x[:WIDTH].tolist()
    assert not y[WIDTH:].any()
