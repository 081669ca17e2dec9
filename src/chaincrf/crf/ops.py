"""The hot quantities as PyTorch operators, ``torch.ops.chaincrf.*``; the device picks the kernel.

Each operator takes the potentials as they are (gaps in the mask included), all in float32 or all in float64,
and computes in float64. Next to its value the loss returns its gradient, since one forward-backward gives
both: these further outputs are saved for the backward pass and carry no graph of their own. Where a second
derivative is wanted, the backward pass computes them again through the reference, which has one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import forward_ad

from .backends import kernels_for
from .reference.counts import Counts, expected_counts, no_counts
from .reference.counts import negative_log_likelihood as reference_negative_log_likelihood
from .reference.potentials import Potentials, potentials
from .reference.viterbi import viterbi as reference_viterbi

__all__ = ["Reduction", "log_partition", "negative_log_likelihood", "units", "viterbi"]

Reduction = Literal["sum", "mean", "token_mean"]

# Library.define: each call is measurably cheaper than through custom_op, with and without a gradient.
_CHAIN = "Tensor emissions, Tensor transitions, Tensor start, Tensor end, Tensor? mask"
_COUNTS = "Tensor, Tensor, Tensor, Tensor"
_library = torch.library.Library("chaincrf", "DEF")
_library.define(f"log_partition({_CHAIN}, bool gradient) -> (Tensor, {_COUNTS})")
_library.define(f"negative_log_likelihood({_CHAIN}, Tensor tags, bool gradient) -> (Tensor, {_COUNTS})")
_library.define(f"viterbi({_CHAIN}) -> (Tensor, Tensor)")


def log_partition(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor | None
) -> Tensor:
    """The log-partition log Z of each sequence, ``(B,)``; its gradient is the marginals.

    Args:
        emissions: ``(B, T, K)``.
        transitions: ``(K, K)`` or ``(B, T-1, K, K)``.
        start: ``(K,)``.
        end: ``(K,)``.
        mask: ``(B, T)`` bool, None where all tokens count.
    """
    inputs = emissions, transitions, start, end, mask
    gradient = _wants_gradient(*inputs[:4])
    if _directly(*inputs):
        return _Direct.apply(*inputs, None) if gradient else _loss(*inputs, None, False)[0]
    return _log_partition_operator(*inputs, gradient)[0]


def negative_log_likelihood(
    emissions: Tensor,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
    mask: Tensor | None,
    tags: Tensor,
    reduction: Reduction | None = None,
) -> Tensor:
    """-log p(tags) of each sequence, ``(B,)``, or their sum or mean; -100 is summed over.

    Args:
        emissions: ``(B, T, K)``.
        transitions: ``(K, K)`` or ``(B, T-1, K, K)``.
        start: ``(K,)``.
        end: ``(K,)``.
        mask: ``(B, T)`` bool, None where all tokens count.
        tags: ``(B, T)`` int64.
        reduction: ``"sum"``, ``"mean"`` over the sequences that have a token, or ``"token_mean"``; or None.
    """
    inputs = emissions, transitions, start, end, mask
    gradient = _wants_gradient(*inputs[:4])
    if _directly(*inputs, tags):
        kernels = kernels_for(emissions) if reduction is not None and transitions.dim() == 2 else None
        if kernels is not None:
            found = kernels.reduced_loss(*inputs, tags, gradient=gradient, reduction=reduction)
            if found is not None:
                return _Reduced.apply(*inputs, tags, reduction, kernels, found) if gradient else found[0]
        value = _Direct.apply(*inputs, tags) if gradient else _loss(*inputs, tags, False)[0]
    else:
        value = _loss_operator(*inputs, tags, gradient)[0]
    return value if reduction is None else value.sum() / units(emissions, mask, reduction)


def units(emissions: Tensor, mask: Tensor | None, reduction: Reduction) -> int | Tensor:
    """What a sum over a batch is divided by: 1, the sequences with a token, or the tokens; at least 1."""
    if reduction == "sum":
        return 1
    tokens = reduction == "token_mean"
    if mask is None:
        B, T, _ = emissions.shape
        return max(1, B * T if tokens else B)
    return (mask if tokens else mask.any(1)).sum().clamp(min=1)


def viterbi(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The best tags ``(B, T)``, in place and -1 where masked, and their scores ``(B,)``; no gradient.

    Args:
        emissions: ``(B, T, K)``.
        transitions: ``(K, K)`` or ``(B, T-1, K, K)``.
        start: ``(K,)``.
        end: ``(K,)``.
        mask: ``(B, T)`` bool, None where all tokens count.
    """
    inputs = emissions, transitions, start, end, mask
    _refuse_tangents(*inputs[:4])
    return _viterbi(*inputs) if _directly(*inputs) else _viterbi_operator(*inputs)


def _wants_gradient(*inputs: Tensor) -> bool:
    _refuse_tangents(*inputs)
    return torch.is_grad_enabled() and any(x.requires_grad for x in inputs)


def _refuse_tangents(*inputs: Tensor) -> None:
    """An operator has no rule for tangents, and PyTorch would take that for a derivative of zero."""
    if torch.compiler.is_compiling() or forward_ad._current_level < 0:
        return
    if any(forward_ad.unpack_dual(x).tangent is not None for x in inputs):
        raise NotImplementedError("no forward-mode derivative of a chain: use reverse mode (torch.autograd)")


_PLAIN = {torch.Tensor, torch.nn.Parameter, type(None)}


def _directly(emissions: Tensor, *others: Tensor | None) -> bool:
    """Whether nobody looks on who must see an operator (a compiler, a transform, a tracer).

    Then the kernel is called as it is: the way through the dispatcher takes longer than a sentence.
    """
    for x in (emissions, *others):
        if type(x) not in _PLAIN:
            return False
    return not (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._get_tracing_state() is not None
        or emissions.dtype not in (torch.float32, torch.float64)
    )


class _Direct(torch.autograd.Function):
    """The loss, or log Z without tags, where an operator is not needed."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        emissions, transitions, start, end, mask, tags = inputs
        value, *counts = _loss(emissions, transitions, start, end, mask, tags, True)
        ctx.set_materialize_grads(False)
        ctx.has_counts = True
        ctx.save_for_backward(*inputs, *counts)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        return _backward(ctx, gradients[0])[:6]


class _Reduced(torch.autograd.Function):
    """A reduced loss that a kernel has found, with its gradient."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        *tensors, ctx.reduction, ctx.kernels, (value, ctx.counts, ctx.units) = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        if gradient is None:  # nothing depends on the value
            return (None,) * 9
        if torch.is_grad_enabled():
            *inputs, tags = ctx.saved_tensors
            counts = _with_counts(potentials(*inputs), tags, gradient.dtype)[1]
            each = gradient / units(inputs[0], inputs[4], ctx.reduction)
            return *_weighted(counts, each.expand(len(tags)), True), *(None,) * 5
        counts = vars(ctx).pop("counts", None)
        if counts is None:  # a second time, and those of the first are in use
            counts = ctx.kernels.reduced_loss(*ctx.saved_tensors, gradient=True, reduction=ctx.reduction)[1]
        if ctx.units is not None:  # they are still those of the sequences
            each = gradient.expand(len(counts.emissions))
            return *_weighted(counts, each, True, ctx.units), *(None,) * 5
        if gradient.device.type != "cpu" or not _in_memory(gradient) or gradient.item() != 1:
            counts = (gradient * x for x in counts)
        return *counts, *(None,) * 5


# The kernels: compiled ones where they serve, else the reference.


def _with_counts(chain: Potentials, tags: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Counts]:
    """The loss (or log Z, without tags) and its gradient, rounded."""
    value, counts = expected_counts(chain) if tags is None else reference_negative_log_likelihood(chain, tags)
    return value.to(dtype), Counts(*(c.to(dtype, copy=True) for c in counts))  # none may be a view


def _loss(
    emissions: Tensor,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
    mask: Tensor | None,
    tags: Tensor | None,
    gradient: bool,
) -> tuple[Tensor, ...]:
    inputs = emissions, transitions, start, end, mask
    kernels = kernels_for(emissions)
    if kernels is not None:
        return kernels.loss(*inputs, tags, gradient)
    with torch.no_grad():
        value, counts = _with_counts(potentials(*inputs), tags, emissions.dtype)
        return value, *(counts if gradient else no_counts(emissions))


def _log_partition(
    emissions: Tensor,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
    mask: Tensor | None,
    gradient: bool,
) -> tuple[Tensor, ...]:
    return _loss(emissions, transitions, start, end, mask, None, gradient)


def _viterbi(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    inputs = emissions, transitions, start, end, mask
    kernels = kernels_for(emissions)
    if kernels is not None:
        return kernels.viterbi(*inputs)
    with torch.no_grad():
        chain = potentials(*inputs)
        tags, scores = reference_viterbi(chain)
        return chain.in_place(tags, -1), scores.to(emissions.dtype)


# What the compiler needs to know: shapes and dtypes.


def _fake_with_counts(
    emissions: Tensor, transitions: Tensor, *others: Tensor | bool | None
) -> tuple[Tensor, ...]:
    B, _T, K = emissions.shape
    new = emissions.new_empty
    if not others[-1]:
        return new(B), *no_counts(emissions)
    moves = new(B, K, K) if transitions.dim() == 2 else new(transitions.shape)
    return new(B), new(emissions.shape), moves, new(B, K), new(B, K)


def _fake_viterbi(emissions: Tensor, *_: Tensor | None) -> tuple[Tensor, Tensor]:
    B, T, _K = emissions.shape
    return emissions.new_empty(B, T, dtype=torch.int64), emissions.new_empty(B)


# The gradient: what was saved, or the reference once more where it must itself be differentiable.


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)
    ctx.has_counts = inputs[-1]
    ctx.save_for_backward(*inputs[:-1], *output[1:])


def _backward(ctx: Any, gradient: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
    inputs, counts = ctx.saved_tensors[:-4], Counts(*ctx.saved_tensors[-4:])
    if gradient is None:  # nothing depends on the value
        return (None,) * (len(inputs) + 1)
    emissions, transitions, start, end, mask, *tags = inputs
    if torch.is_grad_enabled() or not ctx.has_counts:
        chain = potentials(emissions, transitions, start, end, mask)
        counts = _with_counts(chain, tags[0] if tags else None, gradient.dtype)[1]
    return *_weighted(counts, gradient, transitions.dim() == 2), *(None,) * (len(inputs) - 3)


def _in_memory(x: Tensor) -> bool:
    """Not so within ``is_grads_batched``, where a plain tensor stands for many."""
    try:
        return x.data_ptr() != 0
    except RuntimeError:
        return False


def _weighted(
    counts: Counts, weights: Tensor, shared: bool, units: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Counts times the weights of their sequences (by the units), summed for what the sequences share."""
    plainly = not torch.is_grad_enabled() and _directly(weights) and _in_memory(weights)
    kernels = kernels_for(counts.emissions) if plainly else None
    if kernels is not None:
        return kernels.weighted(counts, weights, shared, units)
    weights = weights if units is None else weights / units
    # products and sums, as an autocast region would round a matrix product
    rows = [x * weights.reshape(-1, *(1,) * (x.dim() - 1)) for x in counts]
    return rows[0], rows[1].sum(0) if shared else rows[1], rows[2].sum(0), rows[3].sum(0)


def _no_gradient(ctx: Any, inputs: tuple[Tensor | None, ...], output: tuple[Tensor, ...]) -> None:
    ctx.mark_non_differentiable(*output)


def _vmap(operator: Any) -> Callable[..., tuple[Any, Any]]:
    """Batches of batches are one batch if they share the parameters; else they are taken one by one."""

    def rule(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Any, Any]:
        size = info.batch_size
        batched = [d is not None for d in in_dims]
        flags = [x for x in inputs if isinstance(x, bool)]
        inputs, in_dims = inputs[: len(inputs) - len(flags)], in_dims[: len(in_dims) - len(flags)]
        batched = batched[: len(inputs)]
        inputs = tuple(x.movedim(d, 0) if d is not None else x for x, d in zip(inputs, in_dims, strict=True))
        emissions, *parameters = inputs[:4]
        rows = (emissions, *inputs[4:])  # what has a row for each sequence
        if not any(batched[1:4]) and parameters[0].dim() == 2:
            wide = (
                x if x is None or is_batched else x.expand(size, *x.shape)
                for x, is_batched in zip(rows, (batched[0], *batched[4:]), strict=True)
            )
            emissions, *others = (x if x is None else x.flatten(0, 1) for x in wide)
            outputs = operator(emissions, *parameters, *others, *flags)
            outputs = tuple(x.unflatten(0, (size, -1)) for x in outputs)
        else:
            picked = list(zip(inputs, batched, strict=True))
            each = [
                operator(*(x[n] if is_batched else x for x, is_batched in picked), *flags)
                for n in range(size)
            ]
            outputs = tuple(map(torch.stack, zip(*each, strict=True)))
        return outputs, (0,) * len(outputs)

    return rule


for _name, _kernel, _fake, _context in (
    ("log_partition", _log_partition, _fake_with_counts, _setup_context),
    ("negative_log_likelihood", _loss, _fake_with_counts, _setup_context),
    ("viterbi", _viterbi, _fake_viterbi, _no_gradient),
):
    _library.impl(_name, _kernel, "CompositeExplicitAutograd")
    _operator = f"chaincrf::{_name}"
    torch.library.register_fake(_operator, _fake, lib=_library)
    torch.library.register_vmap(_operator, _vmap(getattr(torch.ops.chaincrf, _name)), lib=_library)
    for _device in ("cpu", "cuda"):
        torch.library.register_autocast(_operator, _device, torch.float32, lib=_library)
    torch.library.register_autograd(_operator, _backward, setup_context=_context, lib=_library)

_log_partition_operator = torch.ops.chaincrf.log_partition.default
_loss_operator = torch.ops.chaincrf.negative_log_likelihood.default
_viterbi_operator = torch.ops.chaincrf.viterbi.default
