"""Dropout: of numbers, at each position or locked over a sequence, and of words."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

__all__ = ["Dropout", "LockedDropout", "WordDropout", "dropout_mask"]

_LEVELS = 1 << 16


class Dropout(nn.Dropout):
    """Dropout whose masks are cheap on a CPU.

    Each number is zero with probability p, else 1/(1 - p) times its value. A mask is made of 16 random bits a
    number, four numbers to a draw, compared with a threshold: a third of the time of a Bernoulli draw a
    number (``python benchmarks/run.py dropout``). So p is rounded to a multiple of 1/65536.
    """

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The input with numbers dropped; while evaluating as it is."""
        return self._drop(input, input.shape)

    def _drop(self, input: Tensor, shape: torch.Size) -> Tensor:
        if not self.training or not self.p:
            return input
        return input * dropout_mask(shape, self.p, input)


class LockedDropout(Dropout):
    """Dropout that drops the same components at all positions of a sequence.

    One draw a sequence, where :class:`Dropout` draws anew at every position.

    Source: Gal & Ghahramani (2016), *A theoretically grounded application of dropout in recurrent neural
    networks*, who call it variational.
    """

    def forward(self, input: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """The sequences with components dropped; while evaluating as they are."""
        return self._drop(input, torch.Size((len(input), 1, input.shape[2])))


class WordDropout(nn.Dropout):
    """Dropout of words: with probability p a word is the unknown one, number 1, whose vector so learns."""

    def forward(self, input: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        """The words with some replaced, padding (0) never; while evaluating as they are."""
        if not self.training or not self.p:
            return input
        drop = torch.rand(input.shape, device=input.device) < self.p
        return input.masked_fill(drop & (input > 1), 1)


def dropout_mask(shape: torch.Size, p: float, like: Tensor) -> Tensor:
    """Numbers that are 0 with probability p, else 1/(1 - p), in the dtype and on the device of ``like``."""
    if like.device.type != "cpu":
        return F.dropout(like.new_ones(shape), p)
    dropped = min(round(p * _LEVELS), _LEVELS - 1)
    draws = torch.empty(-(-shape.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
    bits = draws.view(torch.int16)[: shape.numel()].view(shape)
    return ((bits >= dropped - _LEVELS // 2) * (_LEVELS / (_LEVELS - dropped))).to(like.dtype)
