"""Loss and gradient in one pass, in scaled probabilities: ``numba_cpu/forward_backward.py`` says how and why.

With U = exp(emissions) by the largest of a token, A = exp(transitions) by the largest, s_t a power of two::

    alpha_t[j]    = sum_i alpha_{t-1}[i] A[i, j] U_t[j] s_t                                          (forward)
    beta_{t-1}[i] = sum_j A[i, j] q_t[j],   q_t[j] = U_t[j] s_t beta_t[j],   beta_T = end / Z       (backward)

    p(y_t = j)              = alpha_t[j] beta_t[j]
    p(y_{t-1} = i, y_t = j) = alpha_{t-1}[i] A[i, j] q_t[j]

Everything is a double, also on a device: one sequence after the other waits for itself, not for arithmetic,
and doubles keep the bounds, by which what underflows does not go unseen, those of the CPU. All factors are at
most 1 and at least 2^-250 where not 0, and alpha at most 2 K. A sequence with an alpha under 2^-440 that is
not 0 is given back, and so is one where the paths with an entry left out, K^T e^-d of them by weight, could
be 2^-60 of all. That happens on the device: it is flagged in memory, and ``finish`` looks at the flags.

alpha_{t-1} is kept at the place of token t. The expected moves are summed on the way back; or q takes the
place of U, and they are one product of the two matrices. A program computes a sequence, its exponentials
too; or, where few sequences are long (``scan``), a chunk of one. A token that does not count leaves alpha and
beta as they are.
"""

import triton
import triton.language as tl

from .tiles import (
    BAD,
    DROPPED,
    FIELDS,
    FIRST,
    GOLD,
    IMPOSSIBLE,
    LAST,
    LENGTH,
    NOT_A_NUMBER,
    REDO,
    TOPS,
    UNKNOWN,
    UNKNOWN_TAGS,
    WRONG,
    clear,
    exponent_of,
    parts_of,
    power_of,
)
from .weigh import parameters, weigh_block

__all__ = ["LOWEST", "field", "forward", "forward_backward", "judge", "token_counts"]

LOWEST = tl.constexpr(2.0**-440)
LOG_2 = tl.constexpr(0.6931471805599453)
COUNTED = tl.constexpr(32)
"""Up to which width the sums of expected moves fit into registers too."""
MARGIN = tl.constexpr(61 * 0.6931471805599453)


@triton.jit
def token_counts(mask, token, MASKED: tl.constexpr):
    """Whether a token counts."""
    if MASKED:
        return tl.load(mask + token) != 0
    return token >= 0


@triton.jit
def field(blocks, b, count, which: tl.constexpr, how: tl.constexpr):
    """A fact about all blocks of a sequence: their sum, their smallest or their largest, in a fixed order."""
    row = blocks + (b * FIELDS + which) * count
    other = 0.0 if how == "sum" else float("inf") if how == "min" else -float("inf")
    found = tl.full((128,), other, tl.float64)
    for n in range(0, count, 128):
        i = n + tl.arange(0, 128)
        x = tl.load(row + i, i < count, other)
        if how == "sum":
            found += x
        elif how == "min":
            found = tl.minimum(found, x)
        else:
            found = tl.maximum(found, x)
    return tl.sum(found) if how == "sum" else tl.min(found) if how == "min" else tl.max(found)


@triton.jit
def gold_of(blocks, b, count, end, tags, T, K):
    """The score of the gold path; of any use where all tags are known."""
    score = field(blocks, b, count, GOLD, "sum")
    last = field(blocks, b, count, LAST, "max").to(tl.int64)
    y = tl.load(tags + b * T + last, last >= 0, 0)
    return score + tl.load(end + y, (last >= 0) & (y >= 0) & (y < K), 0.0).to(tl.float64)


@triton.jit
def judge(b, z, left, lowest, blocks, facts, end, tags, value, status, B, T, K, count,
          GOLDEN: tl.constexpr):  # fmt: skip
    """Write value, status and length of a sequence, from the sum of its last alphas; the status.

    And 0 where ``finish`` counts the sequences that are ready.
    """
    length = field(blocks, b, count, LENGTH, "sum")
    bad = (field(blocks, b, count, BAD, "sum") > 0) | (length > tl.load(facts + 3))
    bad = bad & (length > 0)
    dropped = tl.maximum(field(blocks, b, count, DROPPED, "max"), tl.load(facts + 2))
    log_z = tl.where(z > 0, tl.log(tl.where(z > 0, z, 1.0)) + left.to(tl.float64) * LOG_2, -float("inf"))
    reach = dropped + length * tl.log(length * 0 + K) + LOG_2 + MARGIN
    redo = (length > 0) & ((lowest < LOWEST) | ((dropped > -float("inf")) & (reach > log_z)))
    log_z += field(blocks, b, count, TOPS, "sum") + tl.load(facts)
    log_z += tl.maximum(length - 1, 0.0) * tl.load(facts + 1)
    log_z = tl.where(length > 0, log_z, 0.0)
    what = tl.where(redo, REDO, 0)
    if GOLDEN:
        score = gold_of(blocks, b, count, end, tags, T, K)
        unknown = field(blocks, b, count, UNKNOWN, "sum") > 0
        none = (field(blocks, b, count, WRONG, "sum") > 0) | ((score == -float("inf")) & ~unknown)
        finite = (score > -float("inf")) & (log_z > -float("inf"))
        loss = tl.maximum(tl.where(finite, log_z, 0.0) - tl.where(finite, score, 0.0), 0.0)
        log_z = tl.where(none, float("inf"), loss)
        what = tl.where(none, IMPOSSIBLE, tl.where(unknown, REDO | UNKNOWN_TAGS, what))
    what = tl.where(bad, NOT_A_NUMBER, what)
    tl.store(value + b, tl.where(bad, float("nan"), log_z))
    tl.store(status + b, what)
    tl.store(status + B + b, length.to(tl.int32))
    tl.store(status + 2 * B, 0)
    return what


@triton.jit
def forward(
    alpha, row, into, before, mask, weight, begin, low, high, first, K,
    MASKED: tl.constexpr, GRADIENT: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Alpha after the tokens low to high of a sequence, the exponents divided out, and the lowest alpha.

    What a token needs from memory is asked for one token earlier.

    Args:
        alpha: before token ``low``.
        row: where the tokens of the sequence begin, in the mask; ``into``, ``before`` begin there.
        weight: A.
        begin: start.
        first: the first token that counts.
    """
    k = tl.arange(0, WIDTH)
    lowest = tl.full((WIDTH,), 1.0, tl.float64)
    left = first * 0
    counts = token_counts(mask, row + low, MASKED)
    u = tl.load(into + low * K + k, k < K, 0.0)
    for t in range(low, high):
        ahead = tl.minimum(t + 1, high - 1)
        counts_ahead = token_counts(mask, row + ahead, MASKED)
        u_ahead = tl.load(into + ahead * K + k, k < K, 0.0)
        if GRADIENT:
            tl.store(before + t * K + k, alpha, k < K)
        top = tl.max(alpha)
        e = exponent_of(tl.where(top > 0, top, 1.0))
        new = tl.sum(alpha[:, None] * weight, 0) * (u * power_of(e))
        new = tl.where(t == first, begin * u, new)
        alpha = tl.where(counts, new, alpha)
        left += tl.where(counts & (t > first), e, 0)
        lowest = tl.minimum(lowest, tl.where(alpha > 0, alpha, 1.0))
        counts, u = counts_ahead, u_ahead
    return alpha, left, tl.min(lowest)


@triton.jit
def backward(
    alpha, beta, row, into, before, mask, tags, unary, weight, low, high, first, gold, K,
    MASKED: tl.constexpr, GOLDEN: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """The marginals of tokens high back to low, less the gold tags; sum_t q_t[j] alpha_{t-1}[i] by [j, i], or
    q in the place of U, if they do not fit.

    Args:
        alpha, beta: at the last of these tokens.
        weight: A transposed, so that this is summed over as the forward recursion does.
        gold: 1 where the gold tags are taken away, else 0.
    """
    k = tl.arange(0, WIDTH)
    last = high - 1
    edges = tl.zeros((WIDTH, WIDTH), tl.float64)
    counts = token_counts(mask, row + last, MASKED)
    u = tl.load(into + last * K + k, k < K, 0.0)
    earlier = tl.load(before + last * K + k, k < K, 0.0)
    for n in range(low, high):
        t = high - 1 - (n - low)
        ahead = tl.maximum(t - 1, low)
        counts_ahead = token_counts(mask, row + ahead, MASKED)
        u_ahead = tl.load(into + ahead * K + k, k < K, 0.0)
        earlier_ahead = tl.load(before + ahead * K + k, k < K, 0.0)
        top = tl.max(earlier)
        power = power_of(exponent_of(tl.where(top > 0, top, 1.0)))
        moves = counts & (t > first)
        q = tl.where(moves, tl.where(alpha > 0, u * (power * beta), 0.0), 0.0)
        p = alpha * beta
        if GOLDEN:
            y = tl.load(tags + row + t)
            p -= tl.where(k == y, gold, 0.0)
        tl.store(unary + t * K + k, tl.where(counts, p, 0.0), k < K)
        if WIDTH <= COUNTED:
            edges += q[:, None] * earlier[None, :]
        else:
            tl.debug_barrier()  # all threads have read U
            tl.store(into + t * K + k, q, k < K)
        beta = tl.where(moves, tl.sum(weight * q[:, None], 0), beta)
        alpha = tl.where(counts, earlier, alpha)
        counts, u, earlier = counts_ahead, u_ahead, earlier_ahead
    return edges


@triton.jit
def count_moves(into, before, products, low, high, K, WIDTH: tl.constexpr):
    """sum_t q_t[j] alpha_{t-1}[i] by [j, i], from where ``backward`` has left them.

    For 16 of i at a time: for more there are no registers beside those of the recursion.
    """
    j = tl.arange(0, WIDTH)
    for m in range(0, K, 16):
        i = m + tl.arange(0, 16)
        edges = tl.zeros((WIDTH, 16), tl.float64)
        for n in range(low, high, 16):
            t = n + tl.arange(0, 16)
            q = tl.load(into + t[:, None] * K + j[None, :], (t < high)[:, None] & (j < K)[None, :], 0.0)
            a = tl.load(before + t[:, None] * K + i[None, :], (t < high)[:, None] & (i < K)[None, :], 0.0)
            edges += tl.dot(tl.trans(q), a, input_precision="ieee", out_dtype=tl.float64)
        tl.store(products + j[:, None] * K + i[None, :], edges, (j < K)[:, None] & (i < K)[None, :])


@triton.jit
def forward_backward(
    emissions, transitions, start, end, mask, tags, factors, into, before, blocks, observed, entry, exit,
    unary, value, status, products, B, T, stride, K, count, chunk, apart,
    CHUNKED: tl.constexpr, MASKED: tl.constexpr, GOLDEN: tl.constexpr, GRADIENT: tl.constexpr,
    TOKENS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """A sequence, or a chunk of one, all its moves in registers.

    Args:
        emissions, transitions, start, end, mask, tags: as given.
        factors, into, blocks, observed: what ``weigh`` writes, here if not CHUNKED: ``observed`` need not be
            0 then.
        before: ``(B, stride, K)`` doubles, written: alpha before each token.
        entry, exit: ``(B, chunks, K)`` doubles: alpha before and beta after each chunk, where CHUNKED.
        unary: ``(B, T, K)``, written: the gradient.
        value, status: ``(B,)``, ``(2 B + 1,)``, written; where CHUNKED they are there already.
        products: ``(B, chunks, K, K)`` doubles, written: sum_t q_t[j] alpha_{t-1}[i] by [j, i].
        B, T, stride, K, count, chunk: sequences, tokens, tokens of ``into``, tags, blocks in a sequence,
            tokens in a chunk.
        apart: from a sequence's ``factors`` to those of the next, 0 if all have the same.
    """
    b, c = tl.program_id(0).to(tl.int64), tl.program_id(1)
    factors += b * apart
    if not CHUNKED:
        parameters(transitions, start, end, factors, T, K, 256)
        if GOLDEN and GRADIENT:
            clear(observed + b * K * K, K * K)
            tl.debug_barrier()
        for block in range(0, count):
            weigh_block(
                b, block, emissions, transitions, start, mask, tags, into, blocks, observed,
                T, stride, K, count, MASKED, GOLDEN, True, GOLDEN and GRADIENT, TOKENS, WIDTH,
            )  # fmt: skip
        tl.debug_barrier()  # what threads have written, others read
    moves, turned, ends, facts = parts_of(factors, K)
    k = tl.arange(0, WIDTH)
    real = k < K
    square, inside = k[:, None] * K + k[None, :], real[:, None] & real[None, :]
    weight = tl.load(moves + square, inside, 0.0)
    begin = tl.load(ends + k, real, 0.0)
    first = field(blocks, b, count, FIRST, "min").to(tl.int64)
    low = c.to(tl.int64) * chunk
    high = tl.minimum(low + chunk, T)
    row = b * T
    into += b * stride * K
    before += b * stride * K
    alpha = tl.zeros((WIDTH,), tl.float64)
    beta = tl.load(ends + K + k, real, 0.0)
    if CHUNKED:
        place = (b * tl.num_programs(1) + c) * K + k
        alpha = tl.load(entry + place, real, 0.0)
        beta = tl.load(exit + place, real, 0.0)
    alpha, left, lowest = forward(
        alpha, row, into, before, mask, weight, begin, low, high, first, K, MASKED, GRADIENT, WIDTH
    )
    z = tl.sum(alpha * beta)
    if CHUNKED:
        what = tl.load(status + b)
        if (what == 0) & (lowest < LOWEST):
            tl.store(status + b, REDO)  # whichever chunk says so
    else:
        what = judge(b, z, left, lowest, blocks, facts, end, tags, value, status, B, T, K, count, GOLDEN)
    if GRADIENT:
        dead = ((what & (IMPOSSIBLE | REDO)) != 0) | (z == 0) | (lowest < LOWEST)  # or to be redone
        beta = tl.where(dead, 0.0, beta / tl.where(z > 0, z, 1.0))
        beta = tl.where(what == NOT_A_NUMBER, float("nan"), beta)
        gold = tl.where(dead, 0.0, 1.0).to(tl.float64)
        tl.debug_barrier()
        weight = tl.load(turned + square, inside, 0.0)
        edges = backward(
            alpha, beta, row, into, before, mask, tags, unary + row * K, weight, low, high, first, gold, K,
            MASKED, GOLDEN, WIDTH,
        )  # fmt: skip
        products += (b * tl.num_programs(1) + c) * K * K
        if WIDTH <= COUNTED:
            tl.store(products + square, edges, inside)
        else:
            tl.debug_barrier()
            count_moves(into, before, products, low, high, K, WIDTH)
