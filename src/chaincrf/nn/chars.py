"""Words as the characters they are made of."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

__all__ = ["CharCNN"]


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
    """

    def __init__(
        self, num_chars: int, *, dim: int = 30, filters: int = 30, width: int = 3, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_chars, dim, padding_idx=0)
        bound = math.sqrt(3 / dim)
        with torch.no_grad():
            self.embedding.weight[1:].uniform_(-bound, bound)
        self.dropout = nn.Dropout(dropout)
        self.convolution = nn.Conv1d(dim, filters, width, padding=width // 2)
        self.width = width

    def forward(self, chars: Int[Tensor, "U C"]) -> Float[Tensor, "U F"]:
        """Vectors of U words given their characters, padded with 0 at the end."""
        vectors = self.dropout(self.embedding(chars))
        scores = self.convolution(vectors.transpose(1, 2))
        return scores.masked_fill((chars == 0)[:, None, :], -math.inf).amax(dim=2)
