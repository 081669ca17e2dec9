"""A BiLSTM that is trained and only reads: each type's input products once, the rest of a layer compiled."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..errors import ArgumentError
from .bilstm import BiLSTM
from .fused_layer import Sequences, call, panels, plain

__all__ = ["FusedBiLSTM"]


class FusedBiLSTM:
    """The states of a :class:`BiLSTM` for tokens that are known by their type, on a CPU, without gradients.

    A step of an LSTM is two products: of the input and of the state before. The former depends on the token
    alone, whatever stands beside it, and in running text nine tokens of ten were seen before: half of the
    arithmetic is a look-up. The rest of a layer is compiled: the latter product in registers, the gates in
    one pass, all tokens in one call. A sequence that has ended is left out, so padding costs no step; none
    depends on the others. The states are those of ``encoder.eval()(vectors, mask)``: a gate is within 3e-7 of
    its value, and exact where it is shut or open.

    Tiles of 16 sequences, in either direction, are shared out to as many threads as PyTorch has.

    Args:
        encoder: whose weights are copied.

    Attributes:
        size: of the input products of a type, ``8 H``.

    Raises:
        ArgumentError: an encoder that it does not serve.
    """

    def __init__(self, encoder: BiLSTM) -> None:
        if not self.serves(encoder):
            raise ArgumentError("encoder: expected one of float32 on a CPU, in evaluation, and Numba")
        pairs = zip(encoder.forwards, encoder.backwards, strict=True)
        self._layers = [_Layer.of(*(cast("nn.LSTM", lstm) for lstm in pair)) for pair in pairs]
        self.size = 4 * encoder.output_size

    @staticmethod
    def serves(encoder: BiLSTM) -> bool:
        """Whether it can stand for an encoder: float32 on a CPU, not in training, and Numba is installed."""
        return not encoder.training and plain((*encoder.forwards, *encoder.backwards))

    def project(
        self, vectors: Float[Tensor, "U D"], out: Float[Tensor, "U P"] | None = None
    ) -> Float[Tensor, "U P"]:
        """The input products of U types in both directions, P = :attr:`size`.

        Args:
            vectors: what the encoder reads.
            out: where they are written, if not in memory of their own.
        """
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            return self._layers[0].project(vectors, out)

    def read(
        self, table: Float[Tensor, "U P"], types: Int[Tensor, "B T"], lengths: Int[np.ndarray, " B"]
    ) -> Float[Tensor, "B T H"]:
        """States of both directions, side by side; zero beyond the end of a sequence.

        Args:
            table: of :meth:`project`.
            types: the row of each token in it.
            lengths: number of tokens of each sequence, the longest first.

        Raises:
            ArgumentError: the lengths ascend somewhere, or the three do not go together.
        """
        B, T = types.shape
        if table.dtype != torch.float32 or table.device.type != "cpu" or table.shape[1] != self.size:
            expected = f"table: expected float32 on a CPU, rows of {self.size}"
            raise ArgumentError(f"{expected}, got {table.dtype} on {table.device}, of {table.shape[1]}")
        if types.dtype != torch.int64 or (types.numel() and not 0 <= types.min() <= types.max() < len(table)):
            raise ArgumentError(f"types: expected int64 rows of a table of {len(table)}, got {types}")
        lengths = lengths.astype(np.int64)
        fit = lengths.shape == (B,) and ((lengths >= 0) & (lengths <= T)).all()
        if not fit or (np.diff(lengths) > 0).any():
            expected = f"{B} numbers up to {T}, the longest first"
            raise ArgumentError(f"lengths: expected {expected}, got {lengths.tolist()}")
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            states = self._layers[0].read(table, types, lengths)
            for layer in self._layers[1:]:
                below = layer.project(states.flatten(0, 1))
                states = layer.read(below, torch.arange(B * T).view(B, T), lengths)
        return states


class _Layer(NamedTuple):
    """The weights of one layer, columns by direction and gate.

    Attributes:
        given: ``(D, 8 H)``, of the input.
        bias: ``(8 H,)``, both of each direction in one.
        recurrent: ``(2, 4 H^2)`` and zeros, those of each direction, in panels.
        hidden: H.
    """

    given: Tensor
    bias: Tensor
    recurrent: Tensor
    hidden: int

    @classmethod
    def of(cls, *directions: nn.LSTM) -> _Layer:
        weights = [[weight.detach() for weight in lstm.all_weights[0]] for lstm in directions]
        hidden = directions[0].hidden_size
        given = torch.cat([own[0].t() for own in weights], dim=1)
        bias = torch.cat([own[2] + own[3] for own in weights])
        recurrent = panels(torch.stack([own[1] for own in weights]).mT)
        return cls(given, bias, recurrent, hidden)

    def project(self, vectors: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.addmm(self.bias, vectors, self.given, out=out)

    def read(self, table: Tensor, types: Tensor, lengths: np.ndarray) -> Tensor:
        states = table.new_empty(*types.shape, 2 * self.hidden)
        order = torch.arange(len(types))
        sequences = Sequences(
            types.flatten(), types, order, torch.from_numpy(lengths)
        )  # tokens: their number
        call(table.contiguous(), sequences, self.recurrent, states, self.hidden)
        return states
