"""How functions are compiled: without the GIL, kept on disk where that can be written."""

from numba import njit

compiled = njit(nogil=True, error_model="numpy")
entry = njit(nogil=True, error_model="numpy", cache=True)
