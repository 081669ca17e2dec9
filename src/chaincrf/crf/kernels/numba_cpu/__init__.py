"""The operators on a CPU, compiled by Numba, in double precision whatever the dtype.

* ``forward_backward`` is the recursion in scaled probabilities, for transitions that all positions share.
* ``log_space`` is the one in logarithms, for transitions of each position, and for the sequences whose range
  of scores is too wide for the former, as it finds out by itself.
* ``viterbi`` is the best path.
* ``product`` is what both recursions without logarithms consist of: small matrix products.
"""

from __future__ import annotations

import ctypes
from functools import cache, lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ...reference.counts import Counts, no_counts
from ...reference.potentials import potentials
from ...reference.score import agreeing, check_range
from . import forward_backward, log_space, weigh
from . import viterbi as viterbi_
from .lanes import WIDTH
from .problem import AT_UNFINISHED, BY_SEQUENCE, MEAN, SUM, TOKEN_MEAN
from .threads import memory, share, workers
from .tiles import NOT_A_NUMBER, REDO, UNKNOWN_TAGS, WRONG_TAG, tile_of, width_of

__all__ = ["loss", "reduced_loss", "viterbi", "weighted"]

_sizes, _log_space_sizes, _viterbi_sizes = (
    lru_cache(1000)(kernel.sizes) for kernel in (forward_backward, log_space, viterbi_)
)
_REDUCTIONS = {"sum": SUM, "mean": MEAN, "token_mean": TOKEN_MEAN}


def reduced_loss(
    emissions: Tensor, *others: Tensor | None, gradient: bool, reduction: str
) -> tuple[Tensor, Counts, None] | None:
    """The negative log-likelihood of a batch, its gradient, None; or None: it must be found by sequence.

    That is so where tags are unknown, where a number is none, where the range of scores is too wide, and for
    a batch of nothing.

    Args:
        emissions: ``(B, T, K)``.
        *others: transitions ``(K, K)``, start and end ``(K,)``, the mask ``(B, T)`` or None, tags ``(B, T)``.
        gradient: whether it is computed; else its tensors are empty.
        reduction: ``"sum"``, ``"mean"`` or ``"token_mean"``.
    """
    B, T, K = emissions.shape
    new = emissions.new_empty
    if B == 0:
        return None
    value = new(())
    counts = Counts(new((B, T, K)), new((K, K)), new(K), new(K)) if gradient else no_counts(emissions)
    arguments, _ = _forward_backward((emissions, *others), value, counts, gradient, _REDUCTIONS[reduction])
    return None if arguments[AT_UNFINISHED] else (value, counts, None)


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
    chain = emissions, transitions, start, end, mask, tags
    B, T, K = emissions.shape
    shared = transitions.dim() == 2
    new = emissions.new_empty
    value, counts = new(B), no_counts(emissions)
    if gradient:
        moves = new((B, K, K)) if shared else new(transitions.shape)
        counts = Counts(new((B, T, K)), moves, new((B, K)), new((B, K)))
    rows, status = torch.arange(B), torch.empty(B, dtype=torch.uint8)
    if shared:
        arguments, status = _forward_backward(chain, value, counts, gradient, BY_SEQUENCE)
        if not arguments[AT_UNFINISHED]:
            return value, *counts
        rows = (status == REDO).nonzero()[:, 0]
    if len(rows):
        _log_space(chain, value, counts, gradient, status, rows)
    with torch.no_grad():
        _finish(chain, value, counts, status, gradient)
    return value, *counts


def weighted(
    counts: Counts, weights: Tensor, shared: bool, units: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Counts times the weights of their sequences, summed for what the sequences share.

    Args:
        counts: of the sequences.
        weights: ``(B,)``.
        shared: whether the transitions are shared by all positions.
        units: a number that the weights are divided by.
    """
    weights = weights if units is None else weights / units
    new = counts.emissions.new_empty
    B, T, K = counts.emissions.shape
    shapes = counts.emissions.shape, (K, K) if shared else counts.transitions.shape, (K,), (K,)
    out = [new(shape) for shape in shapes]
    if weights.numel() > 1 and weights.stride() == (0,):  # a sum or a mean gives all the same
        weights = weights[:1]
    weights = weights.contiguous()
    total, address = memory(K * K)
    places = (x.data_ptr() for x in (weights, *counts, *out))
    problem = weigh.Problem._make((B, T, K, shared, len(weights), *places, address))
    weigh.run.of(weights.dtype)(_array(len(problem))(*problem))
    del total
    return tuple(out)


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
    by_position = transitions.dim() == 4
    held, (e, t, s, f, m) = _contiguous(emissions, transitions, start, end, mask)
    tags, value = emissions.new_empty((B, T), dtype=torch.int64), emissions.new_empty(B)
    written = tags.data_ptr(), value.data_ptr()
    problem = viterbi_.Problem._make((0, B, T, K, e, t, by_position, s, f, m, *written, 0, 0, 0))
    sizes = _viterbi_sizes(B, T, K, by_position)
    _solve(viterbi_, emissions.dtype, problem, sizes, _tiles(B, K), B * T * K * _registers(K))
    del held  # whose memory the addresses are in
    return tags, value


def _forward_backward(
    chain: tuple[Tensor | None, ...], value: Tensor, counts: Counts, gradient: bool, reduction: int
) -> tuple[Any, Tensor]:
    """What is left of the arguments, and the status of each sequence."""
    emissions = chain[0]
    assert emissions is not None
    B, T, K = emissions.shape
    held, addresses = _contiguous(*chain)
    status = torch.empty(B, dtype=torch.uint8)
    written = value.data_ptr(), *(x.data_ptr() for x in counts), status.data_ptr()
    what = 0, reduction, gradient, B, T, K
    problem = forward_backward.Problem._make((*what, *addresses, *written, 0, 0, 0, 0))
    sizes = _sizes(B, T, K, reduction, gradient)
    work = B * T * K * _registers(K) * (3 if gradient else 1)
    arguments = _solve(forward_backward, emissions.dtype, problem, sizes, _tiles(B, K), work)
    del held  # whose memory the addresses are in
    return arguments, status


def _log_space(
    chain: tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None],
    value: Tensor,
    counts: Counts,
    gradient: bool,
    status: Tensor,
    rows: Tensor,
) -> None:
    """Compute some sequences, and their status."""
    emissions, transitions = chain[:2]
    B, T, K = emissions.shape
    held, addresses = _contiguous(*chain)
    written = value.data_ptr(), *(x.data_ptr() for x in counts), status.data_ptr(), rows.data_ptr()
    what = 0, transitions.dim() == 4, gradient, B, T, K
    problem = log_space.Problem._make((*what, *addresses, *written, len(rows), 0, 0, 0))
    sizes = _log_space_sizes(B, T, K, gradient)
    work = len(rows) * T * K * _registers(K) * 30
    _solve(log_space, emissions.dtype, problem, sizes, (len(rows) + WIDTH - 1) // WIDTH, work)
    del held  # whose memory the addresses are in


def _finish(
    chain: tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None],
    value: Tensor,
    counts: Counts,
    status: Tensor,
    gradient: bool,
) -> None:
    """What a kernel leaves to do: what is no number, and tags that are unknown or wrong."""
    emissions, transitions, start, end, mask, tags = chain
    if tags is not None and (status == WRONG_TAG).any():
        chain_ = potentials(emissions, transitions, start, end, mask)
        check_range(chain_, chain_.to_left(tags, 0))
    rows = (status == UNKNOWN_TAGS).nonzero()[:, 0]
    if tags is not None and len(rows):  # less what agrees with the tags that are known
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
    if gradient and mask is not None and len(rows):
        counts.emissions[rows] = torch.where(mask[rows].unsqueeze(2), torch.nan, 0.0).to(value.dtype)


def _contiguous(*tensors: Tensor | None) -> tuple[list[Tensor | None], list[int]]:
    """The tensors as the kernels read them, and their addresses, 0 for None."""
    held = [
        x if x is None or (x.is_contiguous() and not x.is_neg()) else x.resolve_neg().contiguous()
        for x in tensors
    ]
    return held, [0 if x is None else x.data_ptr() for x in held]


def _tiles(B: int, K: int) -> int:
    S = tile_of(B, K)
    return (B + S - 1) // S


def _registers(K: int) -> int:
    return width_of(K) // WIDTH


@cache
def _array(size: int) -> Any:
    return ctypes.c_int64 * size


def _solve(
    kernel: ModuleType, dtype: torch.dtype, problem: Any, sizes: tuple[int, int], tiles: int, work: int
) -> Any:
    """Have a kernel solve its problem, by as many workers as pay; what is left of the arguments."""
    shared, each = sizes
    number = workers(work, tiles)
    held, address = memory(shared + number * each)
    arguments = _array(len(problem))(*problem)
    arguments[kernel.AT_MEMORY] = address
    code = kernel.run.of(dtype)
    if number == 1:
        code(arguments)
    else:
        for part in (kernel.BEFORE, kernel.TILES, kernel.AFTER):
            arguments[0] = part
            if part == kernel.TILES:
                share(number, code, arguments)
            else:
                code(arguments)
    del held  # the memory
    return arguments
