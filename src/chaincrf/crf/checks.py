"""What can be wrong with the arguments of a chain: shapes and dtypes always, values on request."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import ArgumentError
from .reference.forward_backward import forward, log_partition
from .reference.potentials import Potentials
from .reference.score import UNKNOWN, agreeing, check_range

__all__ = [
    "check",
    "check_allowed",
    "check_number",
    "check_tags",
    "check_windows",
    "checked_weights",
    "checked_widths",
]


def check(
    name: str, x: Tensor, shape: tuple[int, ...], like: Tensor, dtype: torch.dtype | None = None
) -> None:
    """Compare what the device need not be asked for.

    Args:
        name: the argument, for the message.
        x: its value.
        shape: the shape that it must have.
        like: a tensor on the device that it must be on.
        dtype: the dtype that it must have; None: any floating one.

    Raises:
        ArgumentError: the shape, dtype or device is another.
    """
    if x.shape != shape:
        raise ArgumentError(f"{name} must have shape {shape}, got {tuple(x.shape)}")
    if not (x.is_floating_point() if dtype is None else x.dtype == dtype):
        raise ArgumentError(f"{name} must be {dtype or 'floating'}, got {x.dtype}")
    if x.device != like.device:
        raise ArgumentError(f"{name} must be on {like.device} as the emissions are, got {x.device}")


def check_number(name: str, value: int, least: int) -> None:
    """Compare a number with the least that it may be.

    Raises:
        ArgumentError: it is below, or no whole number.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise ArgumentError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ArgumentError(f"{name} must be at least {least}, got {value}")


def checked_weights(weights: Tensor, emissions: Tensor, mask: Tensor | None) -> Tensor:
    """The weights in the dtype of the emissions, and zero where nothing counts: whatever stands there, even
    NaN, is not looked at.

    Args:
        weights: ``(B,)``, of the sequences, or ``(B, T)``, of the tokens; any dtype.
        emissions: ``(B, T, K)``.
        mask: ``(B, T)`` bool, True where a token counts; None: all count.

    Raises:
        ArgumentError: another shape or device.
    """
    B, T, _ = emissions.shape
    if tuple(weights.shape) not in ((B,), (B, T)):
        raise ArgumentError(f"weights must have shape {(B,)} or {(B, T)}, got {tuple(weights.shape)}")
    check("weights", weights, tuple(weights.shape), emissions, weights.dtype)
    weights = weights.to(emissions.dtype)
    if mask is None:
        return weights
    return torch.where(mask if weights.dim() == 2 else mask.any(1), weights, 0.0)


def checked_widths(widths: Sequence[int], number: int, widest: int) -> list[int]:
    """The widths of windows, the widest first.

    Raises:
        ArgumentError: there are not as many, one is out of range, or the order is another.
    """
    ends = (widest, *widths, 1)
    if len(widths) != number or list(ends) != sorted(ends, reverse=True):
        expected = f"{number} numbers from {widest} down to 1, never increasing"
        raise ArgumentError(f"widths must be {expected}, got {list(widths)}")
    return list(widths)


def check_windows(starts: Tensor, rows: Tensor, sequences: int) -> None:
    """Look for a window that is nowhere; waits for the device.

    Raises:
        ArgumentError: there is one; the first is named.
    """
    wrong = (starts < 0) | (rows < 0) | (rows >= sequences)
    if bool(wrong.any()):
        n = int(wrong.nonzero()[0])
        where = f"token {int(starts[n])} of sequence {int(rows[n])}"
        raise ArgumentError(f"window {n} must start within one of {sequences} sequences, got {where}")


def check_allowed(allowed: Tensor, mask: Tensor | None) -> None:
    """Look for a token that counts and may have no tag; waits for the device.

    Raises:
        ArgumentError: there is one; the first is named.
    """
    none = ~allowed.any(2) if mask is None else ~allowed.any(2) & mask
    if bool(none.any()):
        b, t = none.nonzero()[0].tolist()
        raise ArgumentError(f"sentence {b}, token {t}: no tag is allowed")


def check_tags(tags: Tensor, chain: Potentials) -> None:
    """Look for a gold tag out of range and for a gold path that the potentials forbid; waits for the device.

    Args:
        tags: the gold tags, at their tokens.
        chain: the potentials.

    Raises:
        ArgumentError: there is one; the first is named by sentence, position and tags.
    """
    K = chain.emissions.shape[2]
    tags = chain.to_left(tags, 0)
    check_range(chain, tags)
    known = chain.counts() & (tags != UNKNOWN)

    def refuse(wrong: Tensor, problem: str) -> None:
        if bool(wrong.any()):
            b, t = wrong.nonzero()[0].tolist()
            position = t if chain.order is None else int(chain.order[b, t])
            what = problem.format(tag=int(tags[b, t]), before=int(tags[b, t - 1]))
            raise ArgumentError(f"sentence {b}, token {position}: {what}")

    y = torch.where(known, tags, 0)
    token = torch.arange(tags.shape[1], device=tags.device)
    emitted = chain.emissions.gather(2, y.unsqueeze(2)).squeeze(2)
    moves = chain.transitions.expand(len(y), len(token) - 1, K, K).flatten(2)
    moved = moves.gather(2, (y[:, :-1] * K + y[:, 1:]).unsqueeze(2)).squeeze(2)
    forbidden = torch.zeros_like(known)
    forbidden[:, 1:] = known[:, :-1] & (moved == -torch.inf)
    last = token == chain.last().unsqueeze(1)
    refuse(known & (emitted == -torch.inf), "tag {tag} is forbidden")
    refuse(known & (token == 0) & (chain.start[y] == -torch.inf), "a sentence cannot start in tag {tag}")
    refuse(known & forbidden, "tag {tag} cannot follow tag {before}")
    refuse(known & last & (chain.end[y] == -torch.inf), "a sentence cannot end in tag {tag}")

    agree = chain.restrict(agreeing(tags, K))
    lost = log_partition(agree, forward(agree)) == -torch.inf
    if bool(lost.any()):
        raise ArgumentError(f"sentence {int(lost.nonzero()[0])}: no allowed path agrees with its tags")
