"""The blocks of a matrix product, in every width and number of rows."""

import numpy as np
import pytest

from chaincrf.crf.kernels.numba_cpu import product
from chaincrf.crf.kernels.numba_cpu.compiled import compiled
from chaincrf.crf.kernels.numba_cpu.lanes import WIDTH, pointer


@compiled
def multiplied(rows, a, matrix, K, width, transpose, nothing, maximum, panel, c):
    f = np.float64(0)
    product.panels(pointer(matrix, f), K, width, transpose, nothing, pointer(panel, f))
    if maximum:
        product.multiply_max(rows, pointer(a, f), K, width, width, pointer(panel, f), pointer(c, f))
    else:
        product.multiply(rows, pointer(a, f), K, width, width, pointer(panel, f), pointer(c, f))


@compiled
def counted(n, step, a, b, width, c):
    f = np.float64(0)
    product.count(n, step, pointer(a, f), pointer(b, f), width, pointer(c, f))


@pytest.mark.parametrize("K", [1, 2, 4, 5, 9, 13, 16, 17, 20, 25, 29, 33, 50])
@pytest.mark.parametrize("rows", [1, 2, 4, 7, 8])
@pytest.mark.parametrize("transpose", [False, True])
def test_products(K: int, rows: int, transpose: bool) -> None:
    random = np.random.default_rng(0)
    width = (K + WIDTH - 1) // WIDTH * WIDTH
    a, matrix = random.normal(size=(8, width)), random.normal(size=(K, K))
    panel, c = np.empty(K * width), np.full((8, width), np.nan)
    m = matrix.T if transpose else matrix
    data = a.ctypes.data, matrix.ctypes.data, K, width, transpose
    multiplied(rows, *data, 0.0, False, panel.ctypes.data, c.ctypes.data)
    np.testing.assert_allclose(c[:rows, :K], a[:rows, :K] @ m, rtol=1e-12, atol=1e-12)
    assert (c[:rows, K:] == 0).all()
    multiplied(rows, *data, -np.inf, True, panel.ctypes.data, c.ctypes.data)
    assert (c[:rows, :K] == (a[:rows, :K, None] + m).max(1)).all()
    assert (c[:rows, K:] == -np.inf).all()


@compiled
def multiplied_singles(rows, a, K, step, width, panel, c):
    f = np.float32(0)
    product.multiply_singles(rows, pointer(a, f), K, step, width, pointer(panel, f), pointer(c, f))


@pytest.mark.parametrize("registers", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("rows", [1, 4, 8])
def test_products_of_singles(registers: int, rows: int) -> None:
    random, K, step, width = np.random.default_rng(0), 13, 17, 2 * WIDTH * registers
    a = random.normal(size=(8, step)).astype(np.float32)
    matrix = random.normal(size=(K, width)).astype(np.float32)
    cuts, left = [], registers
    while left:
        cuts.append(product.registers(left) * 2 * WIDTH)
        left -= cuts[-1] // (2 * WIDTH)
    panel = np.concatenate([part.ravel() for part in np.split(matrix, np.cumsum(cuts)[:-1], axis=1)])
    c = np.full((8, width), np.nan, dtype=np.float32)
    multiplied_singles(rows, a.ctypes.data, K, step, width, panel.ctypes.data, c.ctypes.data)
    np.testing.assert_allclose(c[:rows], a[:rows, :K] @ matrix, rtol=1e-5, atol=1e-5)
    assert np.isnan(c[rows:]).all()


@pytest.mark.parametrize("width", range(WIDTH, 10 * WIDTH, WIDTH))
@pytest.mark.parametrize("n", [0, 1, 17])
def test_counts_are_added(width: int, n: int) -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 17, 2, width))
    c = random.normal(size=(width, width))
    expected = c + a[:n, 0].T @ b[:n, 0]
    counted(n, 2 * width, a.ctypes.data, b.ctypes.data, width, c.ctypes.data)
    np.testing.assert_allclose(c, expected, rtol=1e-12, atol=1e-12)
