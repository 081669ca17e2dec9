"""A vector a distinct token, computed once: what the encoder reads does not depend on the sentence.

A word has one vector, whatever stands beside it: that of the word table, of its characters and of its shape,
side by side. In running text nine tokens of ten were seen before, so a look-up stands for the character CNN,
and for the products of the LSTM's input weights where ``FusedBiLSTM`` serves: they are what is kept then.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from threading import Lock

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..data.batching import encode_tokens
from ..nn.fused_bilstm import FusedBiLSTM
from .bundle import Bundle

__all__ = ["MOST_BYTES", "TypeVectors"]

MOST_BYTES, MOST_TYPES = 2**27, 2**16
"""What is kept between calls, whichever is less; one token more, and it is begun anew. A token's row has
``32 H`` bytes where :class:`FusedBiLSTM` serves: 32,768 of them with 128 hidden units."""

_PIECE = 2048


class TypeVectors:
    """The vectors of the distinct tokens that a model has seen; threads may share it.

    Args:
        bundle: the model, whose weights stay as they are.
        most: distinct tokens that are kept; None: see :data:`MOST_BYTES`. A single call may have more.
    """

    def __init__(self, bundle: Bundle, most: int | None = None) -> None:
        self._bundle = bundle
        self._most = most
        self._fused: FusedBiLSTM | None = None
        self._lock = Lock()
        self._rows: dict[str, int] = {}
        self._table: Tensor | None = None

    def look_up(
        self, sentences: Sequence[Sequence[str]]
    ) -> tuple[list[Int[np.ndarray, " T"]], Float[Tensor, "U D"]]:
        """The rows of the tokens of each sentence, and the table that they are rows of; row 0 is zero.

        Args:
            sentences: the tokens of each.
        """
        with self._lock:
            types = dict.fromkeys(chain.from_iterable(sentences))
            new = [token for token in types if token not in self._rows]
            if self._table is not None and len(self._rows) + len(new) > self._room(self._table):
                self._rows, self._table, new = {}, None, list(types)
            if new or self._table is None:
                self._add(new)
            rows, table = self._rows, self._table
            assert table is not None
            found = [
                np.fromiter(map(rows.__getitem__, tokens), dtype=np.int64, count=len(tokens))
                for tokens in sentences
            ]
        return found, table

    def score(
        self, table: Float[Tensor, "U D"], types: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T K"]:
        """A score for every tag at every token.

        Args:
            table: of :meth:`look_up`.
            types: the row of each token in it, 0 beyond the end of a sentence.
            mask: True where there is a token, from the first one on; the longest sentence first.
        """
        model = self._bundle.model
        with torch.inference_mode():
            if self._fused is not None:
                return model.projection(self._fused.read(table, types, mask.sum(dim=1).numpy()))
            return model.score(table.index_select(0, types.flatten()).view(*types.shape, -1), mask)

    def _add(self, tokens: list[str]) -> None:
        """Compute the vectors of new tokens; rows that others read are left alone."""
        model = self._bundle.model
        filled = len(self._rows) + 1
        with torch.inference_mode():
            if self._table is None:
                self._fused = FusedBiLSTM(model.encoder) if FusedBiLSTM.serves(model.encoder) else None
                size = model.input_size if self._fused is None else self._fused.size
                self._table = model.projection.weight.new_zeros(1, size)
            needed = filled + len(tokens)
            if needed > len(self._table):
                rows = max(needed, min(2 * needed, self._room(self._table) + 1))
                table = self._table.new_empty(rows, self._table.shape[1])
                table[:filled] = self._table[:filled]
                self._table = table
            # Tokens of like length together: the character encoder reads little padding.
            order = sorted(tokens, key=len)
            for first in range(0, len(order), _PIECE):
                piece = order[first : first + _PIECE]
                encoded = encode_tokens([piece], self._bundle.vocabulary)
                batch = encoded.batch(np.array([0])).to(self._table.device)
                # A batch knows its types in ascending order, which is that of the piece: all are distinct.
                vectors = model.represent(batch.words[0], chars=batch.chars, shapes=batch.shapes)
                kept = self._table[filled + first : filled + first + len(piece)]
                if self._fused is None:
                    kept.copy_(vectors)
                else:
                    self._fused.project(vectors, out=kept)
        self._rows |= {token: filled + i for i, token in enumerate(order)}

    def _room(self, table: Tensor) -> int:
        """Distinct tokens that may be kept."""
        return self._most or min(MOST_TYPES, MOST_BYTES // (table.shape[1] * table.element_size()))
