"""Words as the characters they are made of."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ..errors import ArgumentError
from .bilstm import BiLSTM
from .dropout import Dropout
from .fused_layer import eager

__all__ = ["CharCNN", "CharLSTM"]


class CharCNN(nn.Module):
    """A vector a word: embedded characters, one convolution, the maximum over the word.

    ``h[f] = max_p (b[f] + sum_{w,d} W[f,w,d] e[c[p+w],d])`` over the positions p of the word itself, so the
    result does not depend on the padding, hence not on the other words of a batch.

    Source: Ma & Hovy (2016), with their 30 filters of width 3 over character vectors of size 30.

    Args:
        num_chars: characters known, padding (0) and unknown (1) included.
        dim: size of a character vector.
        filters: size of a word's vector.
        width: characters under a filter; odd.
        dropout: on the character vectors.

    Raises:
        ArgumentError: if the width is even.
    """

    def __init__(
        self, num_chars: int, *, dim: int = 30, filters: int = 30, width: int = 3, dropout: float = 0.5
    ) -> None:
        super().__init__()
        if width % 2 == 0:
            raise ArgumentError(f"width: expected an odd number, to have a middle, got {width}")
        self.embedding = _char_table(num_chars, dim)
        self.dropout = Dropout(dropout)
        self.convolution = nn.Conv1d(dim, filters, width, padding=width // 2)
        self.width = width

    def forward(self, chars: Int[Tensor, "U C"]) -> Float[Tensor, "U F"]:
        """Vectors of U words given their characters, padded with 0 at the end."""
        plain = type(self.convolution) is nn.Conv1d and eager(self.convolution)
        if plain and chars.device.type == "cpu":
            return self._end_to_end(chars)
        vectors = self.dropout(self.embedding(chars))
        scores = self.convolution(vectors.transpose(1, 2))
        return scores.masked_fill((chars == 0)[:, None, :], -math.inf).amax(dim=2)

    def _end_to_end(self, chars: Tensor) -> Tensor:
        """The same of words laid end to end, as few zeros between them as the filters need."""
        around = self.width // 2
        chars = F.pad(chars, (around, 0))
        real = chars != 0
        read = real.clone()
        read[:, :around] = True
        flat = F.pad(chars[read], (0, around))
        vectors, length = self.dropout(self.embedding(flat)), len(flat) - 2 * around
        scores = cast("Tensor", self.convolution.bias)
        for at, weight in enumerate(self.convolution.weight.unbind(2)):
            scores = torch.addmm(scores, vectors[at : at + length], weight.t())
        inside = flat[around : around + length].nonzero()[:, 0]
        return _Largest.apply(scores.index_select(0, inside), real.sum(1))  # type: ignore[no-any-return]


class _Largest(torch.autograd.Function):
    """The largest score of each filter in each word, of words laid end to end.

    PyTorch's own gradient of that is wrong (in 2.13 at least): of several that are largest, each gets all of
    a negative gradient, where they share it, as of ``amax``, if it is positive.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, lengths: Tensor) -> Tensor:
        largest = torch.segment_reduce(scores, "max", lengths=lengths, unsafe=True)
        ctx.save_for_backward(scores, lengths, largest)
        return largest

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, slope: Tensor
    ) -> tuple[Tensor, None]:
        scores, lengths, largest = ctx.saved_tensors
        word = torch.arange(len(lengths)).repeat_interleave(lengths, output_size=len(scores))
        chosen = (scores == largest.index_select(0, word)).to(slope.dtype)
        number = torch.segment_reduce(chosen, "sum", lengths=lengths, unsafe=True)
        return chosen * (slope / number).index_select(0, word), None


class CharLSTM(nn.Module):
    """A vector a word: the last states of a bidirectional LSTM over its embedded characters.

    Source: Lample et al. (2016), with character vectors of size 25 and a state of 25 in each direction.

    Args:
        num_chars: characters known, padding (0) and unknown (1) included.
        dim: size of a character vector.
        size: size of a word's vector, half of it from each direction; even.
        dropout: on the character vectors.

    Raises:
        ArgumentError: if the size is odd.
    """

    def __init__(self, num_chars: int, *, dim: int = 25, size: int = 50, dropout: float = 0.5) -> None:
        super().__init__()
        if size % 2:
            raise ArgumentError(f"size: expected an even number, half for each direction, got {size}")
        self.embedding = _char_table(num_chars, dim)
        self.dropout = Dropout(dropout)
        self.lstm = BiLSTM(dim, size // 2)

    def forward(self, chars: Int[Tensor, "U C"]) -> Float[Tensor, "U F"]:
        """Vectors of U words given their characters, padded with 0 at the end."""
        mask = chars != 0
        states = self.lstm(self.dropout(self.embedding(chars)), mask)
        ahead, back = states.chunk(2, dim=2)
        last = (mask.sum(dim=1) - 1).clamp(min=0)
        ends = ahead.gather(1, last[:, None, None].expand(-1, 1, ahead.shape[2])).squeeze(1)
        return torch.cat([ends, back[:, 0]], dim=1)


def _char_table(num_chars: int, dim: int) -> nn.Embedding:
    table = nn.Embedding(num_chars, dim, padding_idx=0)
    bound = math.sqrt(3 / dim)
    with torch.no_grad():
        table.weight[1:].uniform_(-bound, bound)
    return table
