"""Words as vectors."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

__all__ = ["WordEmbedding"]


class WordEmbedding(nn.Module):
    """A table of word vectors of which the first ``num_trained`` rows are parameters.

    The rows after them belong to words that only a pretrained table knows: training never sees these words,
    so their vectors are a buffer, and an optimiser step does not pay for them. They are kept in half
    precision, which rounds by at most 1/2048 of a value: far below the noise of such vectors, and half the
    memory.

    Row 0 is the padding and stays zero; row 1 is the unknown word. New vectors are drawn from
    uniform(-b, b) with b = sqrt(3 / dim), the variance of the usual pretrained tables (Ma & Hovy, 2016).

    While an optimiser updates the rows of a batch alone, ``looked_up`` is the pair of these rows' numbers,
    ascending, and their values, which stand in for the table; see :class:`chaincrf.training.rows.RowUpdates`.

    Args:
        num_words: rows of the whole table.
        dim: size of a vector.
        num_trained: rows that are parameters; all of them by default.
    """

    def __init__(self, num_words: int, dim: int, *, num_trained: int | None = None) -> None:
        super().__init__()
        self.num_trained = num_words if num_trained is None else num_trained
        bound = math.sqrt(3 / dim)
        weight = torch.empty(self.num_trained, dim).uniform_(-bound, bound)
        weight[0] = 0
        self.weight = nn.Parameter(weight)
        self.looked_up: tuple[Tensor, Tensor] | None = None
        self.frozen: Tensor
        self.register_buffer("frozen", torch.zeros(num_words - self.num_trained, dim).half())

    def load_vectors(self, rows: Int[Tensor, " N"], vectors: Float[Tensor, "N D"]) -> None:
        """Copy pretrained vectors into the given rows of the table."""
        with torch.no_grad():
            trained = rows < self.num_trained
            self.weight[rows[trained]] = vectors[trained].to(self.weight)
            self.frozen[rows[~trained] - self.num_trained] = vectors[~trained].to(self.frozen)

    def trained_rows(self, words: Int[Tensor, " N"]) -> Int[Tensor, " U"]:
        """The parameters that these words read, ascending; those of padding and the unknown word besides."""
        words = torch.cat([words, torch.tensor([0, 1])])
        return torch.unique(words[words < self.num_trained])

    def learned(self, words: Int[Tensor, "B T"]) -> Bool[Tensor, "B T"] | None:
        """True where a word's vector is a parameter; None if all are."""
        return words < self.num_trained if len(self.frozen) else None

    def forward(self, words: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """Vectors of the words."""
        weight, rows = self.weight, words.clamp(max=self.num_trained - 1)
        if self.looked_up is not None:
            known, weight = self.looked_up
            rows = torch.searchsorted(known, rows).clamp(max=len(known) - 1)  # of frozen words: any
        vectors = F.embedding(rows, weight, padding_idx=0)
        learned = self.learned(words)
        if learned is None:
            return vectors
        pretrained = F.embedding((words - self.num_trained).clamp(min=0), self.frozen).to(vectors)
        return torch.where(learned[..., None], vectors, pretrained)
