"""The encoder: a bidirectional LSTM over padded batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..errors import ArgumentError
from .dropout import Dropout, LockedDropout, dropout_mask
from .fused_layer import Sequences, fused_layer, serves

__all__ = ["BiLSTM"]

_LayerOf = Callable[[Tensor, Tensor | None, nn.LSTM, nn.LSTM], Tensor]


class BiLSTM(nn.Module):
    """A bidirectional LSTM whose backward direction reads each sequence reversed within its own length.

    Padding then comes after the last token in both directions, where it can harm neither, and no packing is
    needed. In training on a CPU, in float32 and where Numba is installed, a layer is compiled
    (:mod:`.fused_layer`): 2 to 3 times as fast as PyTorch's packed LSTM, 1 to 1.6 times as fast as its
    padded one (``python benchmarks/run.py encoder``), which it is elsewhere. The states are those of a packed
    ``nn.LSTM``; at padded positions they mean nothing.

    Initialised as the literature does: input weights by Glorot & Bengio (2010), recurrent ones orthogonal
    (Saxe, McClelland & Ganguli, 2014), biases 0 with the forget gate's at 1 (Gers, Schmidhuber & Cummins,
    2000; Jozefowicz, Zaremba & Sutskever, 2015).

    Args:
        input_size: size of an input vector.
        hidden: size of the state of *one* direction; the output has twice as many.
        layers: number of layers, each reading both directions of the one below.
        dropout: between layers.
        locked: drop the same components at all positions of a sequence (:class:`LockedDropout`).
        recurrent_dropout: while training, the probability that a recurrent weight is zero for a batch
            (DropConnect, drawn once a batch for all its steps: Merity, Keskar & Socher, 2018). It regularises
            the recurrence as a dropped state would, and the loop over time remains one fused operator.
    """

    def __init__(
        self,
        input_size: int,
        hidden: int,
        *,
        layers: int = 1,
        dropout: float = 0.0,
        locked: bool = False,
        recurrent_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = [input_size] + [2 * hidden] * (layers - 1)
        self.forwards = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in sizes)
        self.backwards = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in sizes)
        self.dropout = LockedDropout(dropout) if locked else Dropout(dropout)
        self.recurrent_dropout = recurrent_dropout
        self.output_size = 2 * hidden
        for lstm in (*self.forwards, *self.backwards):
            _initialise(cast("nn.LSTM", lstm))

    def forward(
        self,
        inputs: Float[Tensor, "B T D"],
        mask: Bool[Tensor, "B T"],
        learned: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T H"]:
        """States of both directions, side by side.

        Args:
            inputs: one vector a position.
            mask: True where a token counts. A sequence ends at its last True; positions before it are
                read, whether they count or not.
            learned: True where something is learned of the input. The gradient of others may be left zero,
                which saves the compiled layer a product.

        Raises:
            ArgumentError: a mask is not of the inputs' batch and length.

        The compiled layer can be differentiated once, and says so: twice in float64, or in evaluation.
        """
        for name, given in (("mask", mask), ("learned", learned)):
            if given is not None and inputs.shape[:2] != given.shape:
                expected = f"{name}: expected {tuple(inputs.shape[:2])}, the batch and length of the inputs"
                raise ArgumentError(f"{expected}, got {tuple(given.shape)}")
        position = torch.arange(mask.shape[1], device=mask.device)
        lengths = (mask * (position + 1)).amax(dim=1, keepdim=True)
        pairs = [
            cast("tuple[nn.LSTM, nn.LSTM]", pair) for pair in zip(self.forwards, self.backwards, strict=True)
        ]
        fused = self.training and all(serves(pair, inputs) for pair in pairs)
        layer = self._fused(position < lengths) if fused else self._plain(position, lengths)
        states = inputs
        for number, pair in enumerate(pairs):
            if number:
                states, learned = self.dropout(states), None
            states = layer(states, learned, *pair)
        return states

    def _fused(self, read: Tensor) -> _LayerOf:
        """A layer for a batch of which some positions are read, compiled."""
        sequences = Sequences.of(read)
        return lambda states, learned, ahead, back: fused_layer(
            states, sequences, learned, *self._weights(ahead), *self._weights(back)
        )

    def _plain(self, position: Tensor, lengths: Tensor) -> _LayerOf:
        """A layer for sequences of some lengths, of PyTorch's own."""
        B, T = len(lengths), len(position)
        mirror = torch.where(position < lengths, lengths - 1 - position, position)
        # Rows of the batch laid end to end: index_select and its backward are the faster ones on a CPU.
        mirror = (mirror + T * torch.arange(B, device=lengths.device)[:, None]).flatten()

        def layer(states: Tensor, _: Tensor | None, ahead: nn.LSTM, back: nn.LSTM) -> Tensor:
            forwards = self._run(ahead, states)
            backwards = self._run(back, _take(states, mirror))
            return torch.cat([forwards, _take(backwards, mirror)], dim=2)

        return layer

    def _run(self, lstm: nn.LSTM, inputs: Tensor) -> Tensor:
        if not self.training or not self.recurrent_dropout:
            return lstm(inputs)[0]
        zeros = inputs.new_zeros(1, len(inputs), lstm.hidden_size)
        return torch.lstm(inputs, (zeros, zeros), self._weights(lstm), True, 1, 0.0, True, False, True)[0]

    def _weights(self, lstm: nn.LSTM) -> tuple[Tensor, ...]:
        weight, recurrent, *biases = lstm.all_weights[0]
        if self.training and self.recurrent_dropout:
            recurrent = recurrent * dropout_mask(recurrent.shape, self.recurrent_dropout, recurrent)
        return weight, recurrent, *biases


def _take(states: Tensor, rows: Tensor) -> Tensor:
    return states.flatten(0, 1).index_select(0, rows).view_as(states)


def _initialise(lstm: nn.LSTM) -> None:
    hidden = lstm.hidden_size
    with torch.no_grad():
        for name, parameter in lstm.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(parameter)
            elif name.startswith("weight_hh"):
                for gate in parameter.split(hidden):
                    nn.init.orthogonal_(gate)
            else:
                nn.init.zeros_(parameter)
                if name.startswith("bias_ih"):
                    parameter[hidden : 2 * hidden] = 1  # the forget gate; there are two biases, one is enough
