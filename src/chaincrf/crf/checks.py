"""What can be wrong with the arguments of a chain: shapes and dtypes always, values on request."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ArgumentError
from .reference.forward_backward import forward, log_partition
from .reference.potentials import Potentials
from .reference.score import UNKNOWN, agreeing

__all__ = ["check", "check_allowed", "check_tags"]


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
    if tuple(x.shape) != shape:
        raise ArgumentError(f"{name} must have shape {shape}, got {tuple(x.shape)}")
    if x.dtype != dtype and not (dtype is None and x.is_floating_point()):
        raise ArgumentError(f"{name} must be {dtype or 'floating'}, got {x.dtype}")
    if x.device != like.device:
        raise ArgumentError(f"{name} must be on {like.device} as the emissions are, got {x.device}")


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
    known = chain.counts() & (tags != UNKNOWN)

    def refuse(wrong: Tensor, problem: str) -> None:
        if bool(wrong.any()):
            b, t = wrong.nonzero()[0].tolist()
            position = t if chain.order is None else int(chain.order[b, t])
            what = problem.format(tag=int(tags[b, t]), before=int(tags[b, t - 1]))
            raise ArgumentError(f"sentence {b}, token {position}: {what}")

    refuse(known & ((tags < 0) | (tags >= K)), f"expected a tag from 0 to {K - 1}, or {UNKNOWN}, got {{tag}}")
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
