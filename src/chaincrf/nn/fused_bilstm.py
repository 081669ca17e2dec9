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
        if encoder.training or not backends.installed("numba"):
            return False
        directions = (*encoder.forwards, *encoder.backwards)
        if not all(type(lstm) is nn.LSTM for lstm in directions):  # a quantized one, say
            return False
        weights = [weight for lstm in directions for weight in lstm.parameters()]
        return all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in weights)

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
        from ..crf.kernels.numba_cpu.threads import share, workers
        from . import lstm_kernel as kernel

        (B, T), H = types.shape, self.hidden
        work = 2 * int(lengths.sum()) * H * self.width // kernel.LANES
        number = workers(work, 2 * ((B + kernel.TILE - 1) // kernel.TILE))
        states = table.new_empty(B, T, 2 * H)
        memory = table.new_empty(number, kernel.TILE, self.width + 2 * H)
        held = table.contiguous(), types.contiguous(), torch.from_numpy(np.ascontiguousarray(lengths))
        places = (x.data_ptr() for x in (*held, *self.recurrent, memory, states))
        problem = kernel.Problem._make((B, T, H, self.width, *places))
        arguments: Any = (ctypes.c_int64 * (2 + len(problem)))(0, 0, *problem)
        share(number, kernel.run.of(table.dtype), arguments)
        del held  # whose memory the addresses are in
        return states


def _panels(matrix: Tensor) -> Tensor:
    """A matrix as the product reads it: some registers of columns side by side, then the next."""
    from ..crf.kernels.numba_cpu.product import registers
    from .lstm_kernel import LANES

    matrix = F.pad(matrix, (0, -matrix.shape[1] % LANES))
    columns = []
    while sum(columns) < matrix.shape[1]:
        columns.append(LANES * registers((matrix.shape[1] - sum(columns)) // LANES))
    return torch.cat([panel.flatten() for panel in matrix.split(columns, dim=1)])
