"""A BiLSTM that is trained and only reads: each type's input products once, the gates in one pass."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..crf import backends
from ..errors import ArgumentError
from .bilstm import BiLSTM

__all__ = ["FusedBiLSTM"]


class FusedBiLSTM:
    """The states of a :class:`BiLSTM` for tokens that are known by their type, on a CPU, without gradients.

    A step of an LSTM is two products: of the input and of the state before. The former depends on the token
    alone, whatever stands beside it, and in running text nine tokens of ten were seen before: half of the
    arithmetic is a look-up. The latter, ``(sequences left, H) x (H, 4 H)``, is PyTorch's; the gates are one
    compiled pass in place of a dozen operators, and padding costs nothing, as a sequence that has ended is
    left out. The states are those of ``encoder.eval()(vectors, mask)`` within about 1e-6.

    Args:
        encoder: whose weights are copied.
    """

    def __init__(self, encoder: BiLSTM) -> None:
        pairs = zip(encoder.forwards, encoder.backwards, strict=True)
        self._layers = [_Layer.of(*(cast("nn.LSTM", lstm) for lstm in pair)) for pair in pairs]
        self._hidden = encoder.output_size // 2
        self.size = 8 * self._hidden

    @staticmethod
    def serves(encoder: BiLSTM) -> bool:
        """Whether it can stand for an encoder: float32 on a CPU, not in training, and Numba is installed."""
        weight = encoder.forwards[0].weight_hh_l0
        on_cpu = weight.device.type == "cpu" and weight.dtype == torch.float32
        return on_cpu and not encoder.training and backends.installed("numba")

    def project(self, vectors: Float[Tensor, "U D"]) -> Float[Tensor, "U P"]:
        """The input products of U types in both directions, P = :attr:`size`.

        Args:
            vectors: what the encoder reads.
        """
        return self._layers[0].project(vectors)

    def read(
        self, table: Float[Tensor, "U P"], types: Int[Tensor, "B T"], lengths: Int[np.ndarray, " B"]
    ) -> Float[Tensor, "B T H"]:
        """States of both directions, side by side; zero beyond the end of a sequence.

        Args:
            table: of :meth:`project`.
            types: the row of each token in it.
            lengths: number of tokens of each sequence, the longest first.

        Raises:
            ArgumentError: the lengths ascend somewhere, or do not fit the types.
        """
        B, T = types.shape
        if (np.diff(lengths) > 0).any() or (B and not 0 <= lengths[-1] <= lengths[0] <= T):
            raise ArgumentError(f"lengths: expected at most {T}, the longest first, got {lengths.tolist()}")
        with torch.inference_mode():
            states = self._layer(0, table, types, lengths)
            for number in range(1, len(self._layers)):
                below = self._layers[number].project(states.flatten(0, 1))
                states = self._layer(number, below, torch.arange(B * T).view(B, T), lengths)
        return states

    def _layer(self, number: int, table: Tensor, types: Tensor, lengths: np.ndarray) -> Tensor:
        from . import lstm_gates as kernel

        (B, T), H = types.shape, self._hidden
        states, products = table.new_zeros(B, T, 2 * H), table.new_empty(B, 4 * H)
        table, types = table.contiguous(), types.contiguous()
        lengths = np.ascontiguousarray(lengths, dtype=np.int64)
        left = (lengths > np.arange(T)[:, None]).sum(axis=1).tolist()
        step = kernel.run.of(table.dtype)
        for back, recurrent in enumerate(self._layers[number].recurrent):
            cell, state = table.new_zeros(2, B, H)
            products.zero_()
            read = table.data_ptr(), types.data_ptr(), lengths.ctypes.data
            places = products.data_ptr(), *read, *(x.data_ptr() for x in (cell, state, states))
            problem = kernel.Problem._make((0, 0, back, T, H, *places))
            arguments: Any = (ctypes.c_int64 * len(problem))(*problem)
            before, out = state, products
            for t, count in enumerate(left):
                if count != len(before):
                    before, out = state[:count], products[:count]
                if t:  # before the first token the state is zero, and so are the products
                    torch.mm(before, recurrent, out=out)
                arguments[kernel.AT_STEP], arguments[kernel.AT_COUNT] = t, count
                step(arguments)
        return states


class _Layer(NamedTuple):
    """The weights of one layer, columns by direction and gate; those of i, f, o are halved (see the kernel).

    Attributes:
        given: ``(D, 8 H)``, of the input.
        bias: ``(8 H,)``, both of each direction in one.
        recurrent: ``(H, 4 H)`` for each direction.
    """

    given: Tensor
    bias: Tensor
    recurrent: tuple[Tensor, ...]

    @classmethod
    def of(cls, *directions: nn.LSTM) -> _Layer:
        weights = [[weight.detach() for weight in lstm.all_weights[0]] for lstm in directions]
        hidden = directions[0].hidden_size
        scale = weights[0][0].new_tensor([0.5, 0.5, 1.0, 0.5]).repeat_interleave(hidden)
        given = torch.cat([own[0].t() * scale for own in weights], dim=1)
        bias = torch.cat([(own[2] + own[3]) * scale for own in weights])
        return cls(given, bias, tuple((own[1].t() * scale).contiguous() for own in weights))

    def project(self, vectors: Tensor) -> Tensor:
        return torch.addmm(self.bias, vectors, self.given)
