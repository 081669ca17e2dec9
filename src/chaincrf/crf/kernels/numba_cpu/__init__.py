"""The operators on a CPU, compiled by Numba; eight sequences are computed at once, each in double precision.

* ``forward_backward`` is the recursion in scaled probabilities, for transitions that all positions share.
* ``log_space`` is the one in logarithms, for transitions of each position, and for the sequences whose range
  of scores is too wide for the former, as it finds out by itself.
* ``viterbi`` is the best path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...reference.counts import Counts, no_counts
from ...reference.potentials import potentials
from ...reference.score import agreeing, check_range
from . import forward_backward, log_space
from . import viterbi as viterbi_
from .lanes import WIDTH
from .threads import memory, share, workers
from .tiles import NOT_A_NUMBER, REDO, UNKNOWN_TAGS, WRONG_TAG
from .weigh import weigh

__all__ = ["loss", "viterbi", "weighted"]

_LIKE = {torch.float32: np.float32(0), torch.float64: np.float64(0)}


def loss(
    emissions: Tensor,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
    mask: Tensor | None,
    tags: Tensor | None,
    gradient: bool,
) -> tuple[Tensor, ...]:
    """Log Z, or with tags the negative log-likelihood, and the four tensors of its gradient.

    Args:
        emissions: ``(B, T, K)``.
        transitions: ``(K, K)`` or ``(B, T-1, K, K)``.
        start: ``(K,)``.
        end: ``(K,)``.
        mask: ``(B, T)`` bool, None: all tokens count.
        tags: ``(B, T)`` int64, -100: unknown; None: log Z is asked for.
        gradient: whether it is computed; else its tensors are empty.

    Raises:
        ArgumentError: a tag out of range.
    """
    B, T, K = emissions.shape
    shared = transitions.dim() == 2
    held, addresses = _contiguous(emissions, transitions, start, end, mask, tags)
    new = emissions.new_empty
    value, status = new(B), torch.empty(B, dtype=torch.uint8)
    counts = no_counts(emissions)
    if gradient:
        moves = new(B, K, K) if shared else new(transitions.shape)
        counts = Counts(new(B, T, K), moves, new(B, K), new(B, K))
    chain = _LIKE[emissions.dtype], B, T, K, *addresses, gradient
    written = value.data_ptr(), *(x.data_ptr() for x in counts), status.data_ptr()
    unfinished = 0
    if shared:
        unfinished = _in_parallel(
            B, T * K * K * 3, lambda n, of: forward_backward.run(*chain, *written, memory(), n, of)
        )
    if unfinished or not shared:
        rows = (status == REDO).nonzero()[:, 0] if shared else torch.arange(B)
        which = rows.data_ptr(), len(rows), not shared
        _in_parallel(len(rows), T * K * K * 30, lambda n, of: log_space.run(*chain, *written, *which, n, of))
        with torch.no_grad():
            _finish(held, value, counts, status, gradient)
    del held  # whose memory the addresses are in
    return value, *counts


def weighted(counts: Counts, weights: Tensor, shared: bool) -> tuple[Tensor, ...]:
    """Counts times the weights of their sequences, summed for what the sequences share.

    Args:
        counts: of the sequences.
        weights: ``(B,)``.
        shared: whether the transitions are shared by all positions.
    """
    new = counts.emissions.new_empty
    B, T, K = counts.emissions.shape
    shapes = counts.emissions.shape, (K, K) if shared else counts.transitions.shape, (K,), (K,)
    out = [new(shape) for shape in shapes]
    if weights.numel() > 1 and weights.stride() == (0,):  # a sum or a mean gives all the same
        weights = weights[:1]
    weights = weights.contiguous()
    addresses = (*(x.data_ptr() for x in counts), *(x.data_ptr() for x in out), weights.data_ptr())
    like = _LIKE[weights.dtype]
    weigh(like, B, T * K, K, -1 if shared else (T - 1) * K * K, len(weights), *addresses)
    return tuple(out)


def _finish(chain: list[Any], value: Tensor, counts: Counts, status: Tensor, gradient: bool) -> None:
    """What a kernel leaves to do: what is no number, and tags that are unknown or wrong."""
    emissions, transitions, start, end, mask, tags = chain
    if (status == WRONG_TAG).any():
        chain_ = potentials(emissions, transitions, start, end, mask)
        check_range(chain_, chain_.to_left(tags, 0))
    rows = (status == UNKNOWN_TAGS).nonzero()[:, 0]
    if len(rows):  # less what agrees with the tags that are known
        agree = agreeing(tags[rows], emissions.shape[2])
        restricted = torch.where(agree, emissions[rows], -torch.inf)
        moves = transitions if transitions.dim() == 2 else transitions[rows]
        kept = None if mask is None else mask[rows]
        mass, *observed = loss(restricted, moves, start, end, kept, None, gradient)
        impossible = mass == -torch.inf
        difference = (value[rows] - mass).clamp(min=0)
        value[rows] = torch.where(impossible, torch.inf, difference)
        for expected, less in zip(counts if gradient else (), observed, strict=False):
            zero = impossible.reshape(-1, *(1,) * (less.dim() - 1))
            expected[rows] = torch.where(zero, 0.0, expected[rows] - less)
    rows = (status == NOT_A_NUMBER).nonzero()[:, 0]
    for x in (value, *(counts if gradient else ())):
        x[rows] = torch.nan


def viterbi(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The best tags, -1 where masked and where there is no path, and their score.

    Args:
        emissions: ``(B, T, K)``.
        transitions: ``(K, K)`` or ``(B, T-1, K, K)``.
        start: ``(K,)``.
        end: ``(K,)``.
        mask: ``(B, T)`` bool, None: all tokens count.
    """
    B, T, K = emissions.shape
    held, addresses = _contiguous(emissions, transitions, start, end, mask, None)
    tags, value = torch.empty(B, T, dtype=torch.int64), emissions.new_empty(B)
    written = tags.data_ptr(), value.data_ptr()
    inputs = _LIKE[emissions.dtype], B, T, K, *addresses[:5], transitions.dim() == 4, *written
    _in_parallel(B, T * K * K * 2, lambda n, of: viterbi_.run(*inputs, memory(), n, of))
    del held  # whose memory the addresses are in
    return tags, value


def _contiguous(*tensors: Tensor | None) -> tuple[list[Tensor | None], list[int]]:
    """The tensors as the kernels read them, and their addresses, 0 for None."""
    held = [x if x is None or x.is_contiguous() else x.contiguous() for x in tensors]
    return held, [0 if x is None else x.data_ptr() for x in held]


def _in_parallel(sequences: int, work: int, run: Callable[[int, int], int]) -> int:
    """The sum of what the workers return."""
    tiles = (sequences + WIDTH - 1) // WIDTH
    number = workers(tiles * work, tiles)
    return run(0, 1) if number == 1 else sum(share(number, lambda n: run(n, number)))
