"""Sizes of blocks by the number of tags, what became of a sequence, and powers of two."""

from functools import cache
from math import isqrt

import triton
import triton.language as tl

__all__ = [
    "BAD",
    "DROPPED",
    "FIELDS",
    "FIRST",
    "GOLD",
    "IMPOSSIBLE",
    "IN_REGISTERS",
    "LAST",
    "LENGTH",
    "MOST_TAGS",
    "NOT_A_NUMBER",
    "REDO",
    "TOPS",
    "UNKNOWN",
    "UNKNOWN_TAGS",
    "WRONG",
    "block_of_columns",
    "chunk_of",
    "clear",
    "exponent_of",
    "parts_of",
    "power_of",
    "tokens_of",
    "warps_of",
    "width_of",
]

TOPS, DROPPED, GOLD, LENGTH, BAD, UNKNOWN, WRONG, FIRST, LAST = (tl.constexpr(n) for n in range(9))
"""Fields of the facts about a block of tokens: the sum of what their emissions were divided by, in logs; the
highest log left out; their gold score; how many count, are no number, are unknown, have no tag that exists;
the first and the last that counts."""
FIELDS = tl.constexpr(9)

REDO, NOT_A_NUMBER, IMPOSSIBLE, UNKNOWN_TAGS = (tl.constexpr(2**n) for n in range(4))
"""What became of a sequence, in bits; 0: it is done."""

IN_REGISTERS = 64
"""Up to how many tags a program holds all moves, and the recursion, in registers."""
LONG, FEW = 512, 2**18
"""From how many tokens on a sequence may be cut into chunks, and up to how many moves of all sequences at a
token: half of the fewest, and four times the most, that were measured
(``benchmarks/results/gpu_chunks.json``)."""
MOST_TAGS = 1024
"""Up to how many tags the kernels serve."""


def power_from(n: int) -> int:
    """The smallest power of two that is no smaller."""
    return 1 << (n - 1).bit_length()


@cache
def width_of(K: int) -> int:
    """The numbers in a row of tags: a power of two, at least 16."""
    return max(16, power_from(K))


def tokens_of(K: int, warps: int) -> int:
    """How many tokens are exponentiated together: 16 numbers a thread, or four tokens."""
    return max(4, min(64, 512 * warps // width_of(K)))


def block_of_columns(K: int) -> int:
    """How many next tags are computed together where the moves are read again at each token."""
    return min(width_of(K), max(16, 4096 // width_of(K)))


def chunk_of(B: int, T: int, K: int) -> int:
    """How many tokens of a sequence a program computes: T, or about its root where few sequences are long.

    Chunks cost K rows in place of one, so they pay while the device is not full.
    """
    few = K <= IN_REGISTERS and B * width_of(K) ** 2 <= FEW
    return power_from(isqrt(T)) if few and T >= LONG else T


def warps_of(K: int) -> int:
    """Threads of a program that holds its moves in registers, by 32."""
    return 1 if K <= 32 else 2


@triton.jit
def clear(numbers, size):
    """Make an array 0."""
    for n in range(0, size, 1024):
        i = n + tl.arange(0, 1024)
        tl.store(numbers + i, tl.zeros((1024,), tl.int32), i < size)


@triton.jit
def parts_of(factors, K):
    """Where exp(transitions), the same transposed, exp(start) and exp(end), and the facts begin."""
    return factors, factors + K * K, factors + 2 * K * K, factors + 2 * K * K + 2 * K


@triton.jit
def exponent_of(x):
    """The exponent of a positive double: x is in [2^e, 2^(e+1))."""
    return ((x.to(tl.int64, bitcast=True) >> 52) & 2047) - 1023


@triton.jit
def power_of(e):
    """2^-e as a double."""
    return ((1023 - e) << 52).to(tl.float64, bitcast=True)
