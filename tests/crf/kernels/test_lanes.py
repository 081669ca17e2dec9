"""The vector type: functions from the bits of a double."""

import numpy as np

from chaincrf.crf.kernels.numba_cpu.compiled import compiled
from chaincrf.crf.kernels.numba_cpu.lanes import (
    WIDTH,
    aligned,
    any_of,
    exp,
    exponent,
    inverse_power,
    load,
    maximum,
    splat,
    store,
)


@compiled
def apply(x, y, what):
    for i in range(0, len(x), WIDTH):
        a = load(x, i)
        if what == 0:
            store(y, i, exp(a))
        elif what == 1:
            store(y, i, exponent(a))
        elif what == 2:
            store(y, i, inverse_power(a))
        else:
            store(y, i, maximum(a, splat(1.0)))


@compiled
def masks(x):
    a = load(x, 0)
    return (
        any_of(a < splat(0.0)),
        any_of((a < splat(0.0)) | (a == splat(3.0))),
        any_of((a < splat(4.0)) & (splat(5.0) < a)),
    )


@compiled
def skip():
    return aligned(24).ctypes.data % 64, len(aligned(24))


def test_exp_is_right_to_one_unit_in_the_last_place() -> None:
    x = np.linspace(-700, 700, 8 * 50_000)
    y = np.empty_like(x)
    apply(x, y, 0)
    assert (np.abs(y - np.exp(x)) <= np.spacing(np.exp(x))).all()
    assert y[x == 0].tolist() == [1.0] * int((x == 0).sum())


def test_powers_of_two() -> None:
    x = np.array([1.0, 1.99, 2.0, 3.0, 0.3, 0.0, 1e-300, 1e300])
    e, p = np.empty_like(x), np.empty_like(x)
    apply(x, e, 1)
    apply(x, p, 2)
    expected = np.floor(np.log2(x, where=x > 0, out=np.full_like(x, -1023)))
    assert e.tolist() == expected.tolist()
    assert p[x > 0].tolist() == (2.0**-expected)[x > 0].tolist()
    assert np.isfinite(p).all()


def test_comparisons() -> None:
    x = np.arange(8.0)
    assert masks(x) == (False, True, False)
    y = np.empty_like(x)
    x[3] = np.nan
    apply(x, y, 3)
    assert y.tolist() == [1, 1, 2, 1, 4, 5, 6, 7]
    assert skip() == (0, 24)
