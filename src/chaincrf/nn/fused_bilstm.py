"""A BiLSTM that is trained and only reads: each type's input products once, the rest of a layer compiled."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ..crf import backends
from ..errors import ArgumentError
from .bilstm import BiLSTM

__all__ = ["FusedBiLSTM"]


class FusedBiLSTM:
    """The states of a :class:`BiLSTM` for tokens that are known by their type, on a CPU, without gradients.

    A step of an LSTM is two products: of the input and of the state before. The former depends on the token
    alone, whatever stands beside it, and in running text nine tokens of ten were seen before: half of the
    arithmetic is a look-up. The rest of a layer is compiled: the latter product in registers, the gates in
    one pass, all tokens in one call. A sequence that has ended is left out, so padding costs nothing; none
    depends on the others. The states are those of ``encoder.eval()(vectors, mask)`` within about 1e-6.

    Tiles of 16 sequences, in either direction, are shared out to as many threads as PyTorch has.

    Args:
        encoder: whose weights are copied.
    """

    def __init__(self, encoder: BiLSTM) -> None:
        pairs = zip(encoder.forwards, encoder.backwards, strict=True)
        self._layers = [_Layer.of(*(cast("nn.LSTM", lstm) for lstm in pair)) for pair in pairs]
        self.size = 4 * encoder.output_size

    @staticmethod
    def serves(encoder: BiLSTM) -> bool:
        """Whether it can stand for an encoder: float32 on a CPU, not in training, and Numba is installed."""
        weight = encoder.forwards[0].weight_hh_l0
        on_cpu = weight.device.type == "cpu" and weight.dtype == torch.float32
        return on_cpu and not encoder.training and backends.installed("numba")

    def project(
        self, vectors: Float[Tensor, "U D"], out: Float[Tensor, "U P"] | None = None
    ) -> Float[Tensor, "U P"]:
        """The input products of U types in both directions, P = :attr:`size`.

        Args:
            vectors: what the encoder reads.
            out: where they are written, if not in memory of their own.
        """
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
            ArgumentError: the lengths ascend somewhere, or do not fit the types.
        """
        B, T = types.shape
        if (np.diff(lengths) > 0).any() or (B and not 0 <= lengths[-1] <= lengths[0] <= T):
            raise ArgumentError(f"lengths: expected at most {T}, the longest first, got {lengths.tolist()}")
        with torch.inference_mode():
            states = self._layers[0].read(table, types, lengths)
            for layer in self._layers[1:]:
                below = layer.project(states.flatten(0, 1))
                states = layer.read(below, torch.arange(B * T).view(B, T), lengths)
        return states


class _Layer(NamedTuple):
    """The weights of one layer, columns by direction and gate; those of i, f, o are halved (see the kernel).

    Attributes:
        given: ``(D, 8 H)``, of the input.
        bias: ``(8 H,)``, both of each direction in one.
        recurrent: those of each direction, in panels.
        hidden: H.
        width: 4 H, and zeros to fill a register.
    """

    given: Tensor
    bias: Tensor
    recurrent: tuple[Tensor, ...]
    hidden: int
    width: int

    @classmethod
    def of(cls, *directions: nn.LSTM) -> _Layer:
        weights = [[weight.detach() for weight in lstm.all_weights[0]] for lstm in directions]
        hidden = directions[0].hidden_size
        scale = weights[0][0].new_tensor([0.5, 0.5, 1.0, 0.5]).repeat_interleave(hidden)
        given = torch.cat([own[0].t() * scale for own in weights], dim=1)
        bias = torch.cat([(own[2] + own[3]) * scale for own in weights])
        panels = tuple(_panels(own[1].t() * scale) for own in weights)
        return cls(given, bias, panels, hidden, len(panels[0]) // hidden)

    def project(self, vectors: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.addmm(self.bias, vectors, self.given, out=out)

    def read(self, table: Tensor, types: Tensor, lengths: np.ndarray) -> Tensor:
        from . import lstm_kernel as kernel

        (B, T), H = types.shape, self.hidden
        work = 2 * int(lengths.sum()) * H * self.width // kernel.LANES
        number = kernel.workers(work, 2 * ((B + kernel.TILE - 1) // kernel.TILE))
        states = table.new_empty(B, T, 2 * H)
        memory = table.new_empty(number, kernel.TILE, self.width + 2 * H)
        held = table.contiguous(), types.contiguous(), torch.from_numpy(lengths.astype(np.int64, order="C"))
        places = (x.data_ptr() for x in (*held, *self.recurrent, memory, states))
        problem = kernel.Problem._make((0, 0, B, T, H, self.width, *places))
        arguments: Any = (ctypes.c_int64 * len(problem))(*problem)
        code = kernel.run.of(table.dtype)
        if number == 1:
            code(arguments)
        else:
            kernel.share(number, code, arguments)
        del held  # whose memory the addresses are in
        return states


def _panels(matrix: Tensor) -> Tensor:
    """A matrix as the product reads it: some registers of columns side by side, then the next."""
    from .lstm_kernel import LANES, registers

    matrix = F.pad(matrix, (0, -matrix.shape[1] % LANES))
    columns = []
    while sum(columns) < matrix.shape[1]:
        columns.append(LANES * registers((matrix.shape[1] - sum(columns)) // LANES))
    return torch.cat([panel.flatten() for panel in matrix.split(columns, dim=1)])
