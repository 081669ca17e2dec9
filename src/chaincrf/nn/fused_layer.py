"""A layer of a BiLSTM in training, compiled: the products with the input in one, then :mod:`.lstm_kernel`.

Padding is neither read nor multiplied; a step of a tile is as wide as sequences are left in it. A gate is
kept as a tanh, so its slope is rounded as 1 is (1e-7) even where it is nearly 0, and PyTorch's is not.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional as F  # noqa: N812

from ..crf import backends

__all__ = ["Sequences", "call", "eager", "fused_layer", "panels", "plain", "serves"]


class Sequences(NamedTuple):
    """Where the tokens of a padded batch are.

    Attributes:
        tokens: the places of all tokens that are read in the batch laid end to end.
        types: the number of each token in ``tokens``; anything where padded.
        order: the sequences, the longest first.
        lengths: of those, in that order.
    """

    tokens: Int[Tensor, " N"]
    types: Int[Tensor, "B T"]
    order: Int[Tensor, " B"]
    lengths: Int[Tensor, " B"]

    @classmethod
    def of(cls, read: Bool[Tensor, "B T"]) -> Sequences:
        """Of a mask of what is read: the first positions of each sequence."""
        flat = read.flatten()
        lengths, order = read.sum(1).sort(descending=True, stable=True)
        return cls(flat.nonzero()[:, 0], (flat.cumsum(0) - 1).view_as(read), order, lengths)


def serves(directions: Sequence[nn.LSTM], inputs: Tensor) -> bool:
    """Whether the layer can be computed here: float32 on a CPU, without hooks, and Numba is installed."""
    return (
        inputs.device.type == "cpu"
        and inputs.dtype == torch.float32
        and eager(*directions)
        and plain(directions)
        and not torch.is_autocast_enabled("cpu")
    )


def eager(*modules: nn.Module) -> bool:
    """Whether nothing compiles, traces, transforms or intercepts operations, nor hooks these modules."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return (
        not torch.compiler.is_compiling()
        and not any(getattr(module, name) for module in modules for name in hooks)
        and not torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
        and not torch._C._are_functorch_transforms_active()
        and not torch._C._len_torch_dispatch_stack()  # make_fx, tensors without data, counters of operations
        and forward_ad._current_level < 0  # derivatives in forward mode
    )


def plain(directions: Sequence[nn.Module]) -> bool:
    """Whether these are PyTorch's LSTMs, float32 on a CPU, and Numba is installed."""
    if not backends.installed("numba") or not all(type(lstm) is nn.LSTM for lstm in directions):
        return False  # a quantized one, say
    weights = [weight for lstm in directions for weight in lstm.parameters()]
    return all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in weights)


def fused_layer(
    inputs: Float[Tensor, "B T D"],
    sequences: Sequences,
    learned: Bool[Tensor, "B T"] | None,
    *weights: Tensor,
) -> Float[Tensor, "B T H"]:
    """The states of both directions, side by side; zero where padded. It can be differentiated once.

    Args:
        inputs: one vector a position.
        sequences: of the batch.
        learned: True where the gradient of the input is wanted; it is zero elsewhere. None: everywhere.
        weights: input weights, recurrent weights and both biases of the forward direction, then of the other.
    """
    return _Layer.apply(inputs, sequences, learned, *weights)  # type: ignore[no-any-return]


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, sequences: Sequences, learned: Tensor | None, *weights: Tensor
    ) -> Tensor:
        given, recurrent = torch.cat([weights[0], weights[4]]), (weights[1], weights[5])
        hidden = recurrent[0].shape[1]
        bias = torch.cat([weights[2] + weights[3], weights[6] + weights[7]])
        tokens = inputs.flatten(0, 1).index_select(0, sequences.tokens)
        table = torch.addmm(bias, tokens, given.t())
        states = inputs.new_empty(*sequences.types.shape, 2 * hidden)
        kept = table.new_empty(len(tokens), 2, 2 * hidden)
        call(table, sequences, panels(torch.stack(recurrent).mT), states, hidden, kept)
        ctx.save_for_backward(tokens, given, *recurrent, table, kept)
        ctx.rest = sequences, learned, inputs.shape
        return states

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, slope: Tensor
    ) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            expected = "a compiled BiLSTM layer can be differentiated once, got create_graph=True"
            raise RuntimeError(f"{expected}: convert the model to float64, or put it in evaluation mode")
        with torch.autocast("cpu", enabled=False):
            return _slopes(ctx, slope)


def _slopes(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients of all arguments, from that of the states."""
    tokens, given, *recurrent, table, kept = ctx.saved_tensors
    sequences, learned, shape = ctx.rest
    hidden = kept.shape[2] // 2
    made = torch.empty_like(table)
    if len(tokens):
        call(table, sequences, panels(torch.stack(recurrent)), slope.contiguous(), hidden, kept, made)
    inputs = None
    if ctx.needs_input_grad[0]:
        places, slopes = sequences.tokens, made
        if learned is not None:
            wanted = learned.flatten()[places].nonzero()[:, 0]
            places, slopes = places[wanted], made[wanted]
        inputs = table.new_zeros(shape).flatten(0, 1).index_copy_(0, places, slopes @ given).view(shape)
    weights, biases = (made.t() @ tokens).split(4 * hidden), made.sum(0).split(4 * hidden)
    recurrent = [
        one.t() @ before[:, hidden:]
        for one, before in zip(made.split(4 * hidden, dim=1), kept.unbind(1), strict=True)
    ]
    ahead, back = zip(weights, recurrent, biases, biases, strict=True)
    return inputs, None, None, *ahead, *back


def call(
    table: Tensor,
    sequences: Sequences,
    recurrent: Tensor,
    states: Tensor,
    hidden: int,
    kept: Tensor | None = None,
    made: Tensor | None = None,
) -> None:
    """Call the kernel on as many threads as PyTorch has; see ``Problem`` there for the arguments."""
    from ..crf.kernels.numba_cpu.threads import share, workers
    from . import lstm_kernel as kernel

    B, T = sequences.types.shape
    width = recurrent.shape[1] // (hidden if made is None else 4 * hidden)
    work = 8 * len(sequences.tokens) * hidden * hidden // kernel.LANES
    number = workers(work, 2 * ((B + kernel.TILE - 1) // kernel.TILE))
    memory = table.new_empty(number, kernel.TILE, 5 * hidden + 2 * width)
    held = [table, *(x.contiguous() for x in sequences[1:]), *recurrent, memory, states]
    places = [0 if x is None else x.data_ptr() for x in (*held, kept, made)]
    problem = kernel.Problem._make((B, T, hidden, width, *places))
    arguments: Any = (ctypes.c_int64 * (2 + len(problem)))(0, 0, *problem)
    share(number, kernel.run.of(table.dtype), arguments)
    del held  # whose memory the addresses are in


def panels(matrices: Float[Tensor, "S I J"]) -> Float[Tensor, "S P"]:
    """Matrices as the product reads them: some registers of columns side by side, then the next."""
    from ..crf.kernels.numba_cpu.product import registers
    from .lstm_kernel import LANES

    S, I, J = matrices.shape  # noqa: E741
    if J % LANES:
        matrices = F.pad(matrices, (0, -J % LANES))
    sizes = []
    while sum(sizes) < J:
        sizes.append(LANES * registers((matrices.shape[2] - sum(sizes)) // LANES))
    equal = sizes.count(sizes[0])  # come first
    first, *others = matrices.split([equal * sizes[0], *sizes[equal:]], dim=2)
    first = first.reshape(S, I, equal, sizes[0]).transpose(1, 2)
    return torch.cat([panel.flatten(1) for panel in (first, *others)], dim=1)
