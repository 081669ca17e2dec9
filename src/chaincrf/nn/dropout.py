"""Dropout that is locked over a sequence."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

__all__ = ["LockedDropout"]


class LockedDropout(nn.Dropout):
    """Dropout that drops the same components at all positions of a sequence.

    Each component of each sequence is zero with probability p, else 1/(1 - p) times its value: one draw a
    sequence, where :class:`torch.nn.Dropout` draws anew at every position.

    Source: Gal & Ghahramani (2016), *A theoretically grounded application of dropout in recurrent neural
    networks*, who call it variational.
    """

    def forward(self, input: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """The sequences with components dropped; while evaluating as they are."""
        if not self.training or not self.p:
            return input
        return input * F.dropout(input.new_ones(len(input), 1, input.shape[2]), self.p)
