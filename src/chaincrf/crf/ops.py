"""The hot quantities as PyTorch operators, ``torch.ops.chaincrf.*``; the device picks the kernel.

Each operator takes the potentials as they are (gaps in the mask included), all in float32 or all in float64,
and computes in float64. Next to its value the loss returns its gradient, since one forward-backward gives
both: these further outputs are saved for the backward pass and carry no graph of their own. Where a second
derivative is wanted, the backward pass computes them again through the reference, which has one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from .reference.counts import Counts, expected_counts
from .reference.counts import negative_log_likelihood as reference_negative_log_likelihood
from .reference.potentials import Potentials, potentials
from .reference.viterbi import viterbi as reference_viterbi

__all__ = ["log_partition", "negative_log_likelihood", "viterbi"]

# Library.define: each call is measurably cheaper than through custom_op, with and without a gradient.
_CHAIN = "Tensor emissions, Tensor transitions, Tensor start, Tensor end, Tensor? mask"
_COUNTS = "Tensor, Tensor, Tensor, Tensor"
_library = torch.library.Library("chaincrf", "DEF")
_library.define(f"log_partition({_CHAIN}) -> (Tensor, {_COUNTS})")
_library.define(f"negative_log_likelihood({_CHAIN}, Tensor tags) -> (Tensor, {_COUNTS})")
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
    _refuse_tangents(emissions, transitions, start, end)
    return torch.ops.chaincrf.log_partition(emissions, transitions, start, end, mask)[0]


def negative_log_likelihood(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor | None, tags: Tensor
) -> Tensor:
    """-log p(tags) of each sequence, ``(B,)``; tags that are -100 are summed over.

    Args:
        emissions: ``(B, T, K)``.
        transitions: ``(K, K)`` or ``(B, T-1, K, K)``.
        start: ``(K,)``.
        end: ``(K,)``.
        mask: ``(B, T)`` bool, None where all tokens count.
        tags: ``(B, T)`` int64.
    """
    _refuse_tangents(emissions, transitions, start, end)
    return torch.ops.chaincrf.negative_log_likelihood(emissions, transitions, start, end, mask, tags)[0]


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
    _refuse_tangents(emissions, transitions, start, end)
    return torch.ops.chaincrf.viterbi(emissions, transitions, start, end, mask)


def _refuse_tangents(*inputs: Tensor) -> None:
    """An operator has no rule for tangents, and PyTorch would take that for a derivative of zero."""
    if torch.compiler.is_compiling():
        return
    if any(forward_ad.unpack_dual(x).tangent is not None for x in inputs):
        raise NotImplementedError("no forward-mode derivative of a chain: use reverse mode (torch.autograd)")


# The kernels: one reference for all devices.


def _with_counts(chain: Potentials, tags: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Counts]:
    """The loss (or log Z, without tags) and its gradient, rounded."""
    value, counts = expected_counts(chain) if tags is None else reference_negative_log_likelihood(chain, tags)
    return value.to(dtype), Counts(*(c.to(dtype, copy=True) for c in counts))  # none may be a view


@torch.no_grad()
def _log_partition(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor | None
) -> tuple[Tensor, ...]:
    value, counts = _with_counts(potentials(emissions, transitions, start, end, mask), None, emissions.dtype)
    return value, *counts


@torch.no_grad()
def _negative_log_likelihood(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor | None, tags: Tensor
) -> tuple[Tensor, ...]:
    value, counts = _with_counts(potentials(emissions, transitions, start, end, mask), tags, emissions.dtype)
    return value, *counts


@torch.no_grad()
def _viterbi(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    chain = potentials(emissions, transitions, start, end, mask)
    tags, scores = reference_viterbi(chain)
    return chain.in_place(tags, -1), scores.to(emissions.dtype)


# What the compiler needs to know: shapes and dtypes.


def _fake_with_counts(emissions: Tensor, transitions: Tensor, *_: Tensor | None) -> tuple[Tensor, ...]:
    B, _T, K = emissions.shape
    new = emissions.new_empty
    moves = new(B, K, K) if transitions.dim() == 2 else new(transitions.shape)
    return new(B), new(emissions.shape), moves, new(B, K), new(B, K)


def _fake_viterbi(emissions: Tensor, *_: Tensor | None) -> tuple[Tensor, Tensor]:
    B, T, _K = emissions.shape
    return emissions.new_empty(B, T, dtype=torch.int64), emissions.new_empty(B)


# The gradient: what was saved, or the reference once more where it must itself be differentiable.


def _setup_context(ctx: Any, inputs: tuple[Tensor | None, ...], output: tuple[Tensor, ...]) -> None:
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs, *output[1:])


def _backward(ctx: Any, gradient: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
    inputs, counts = ctx.saved_tensors[:-4], Counts(*ctx.saved_tensors[-4:])
    if gradient is None:  # nothing depends on the value
        return (None,) * len(inputs)
    emissions, transitions, start, end, mask, *tags = inputs
    if torch.is_grad_enabled():
        chain = potentials(emissions, transitions, start, end, mask)
        counts = _with_counts(chain, tags[0] if tags else None, gradient.dtype)[1]
    # products and sums, as an autocast region would round a matrix product
    rows = [x * gradient.reshape(-1, *(1,) * (x.dim() - 1)) for x in counts]
    moves = rows[1].sum(0) if transitions.dim() == 2 else rows[1]
    return rows[0], moves, rows[2].sum(0), rows[3].sum(0), *(None,) * (len(inputs) - 4)


def _no_gradient(ctx: Any, inputs: tuple[Tensor | None, ...], output: tuple[Tensor, ...]) -> None:
    ctx.mark_non_differentiable(*output)


def _vmap(operator: Any) -> Callable[..., tuple[Any, Any]]:
    """Batches of batches are one batch if they share the parameters; else they are taken one by one."""

    def rule(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Any, Any]:
        size = info.batch_size
        batched = [d is not None for d in in_dims]
        inputs = tuple(x.movedim(d, 0) if d is not None else x for x, d in zip(inputs, in_dims, strict=True))
        emissions, *parameters = inputs[:4]
        rows = (emissions, *inputs[4:])  # what has a row for each sequence
        if not any(batched[1:4]) and parameters[0].dim() == 2:
            wide = (
                x if x is None or is_batched else x.expand(size, *x.shape)
                for x, is_batched in zip(rows, (batched[0], *batched[4:]), strict=True)
            )
            emissions, *others = (x if x is None else x.flatten(0, 1) for x in wide)
            outputs = operator(emissions, *parameters, *others)
            outputs = tuple(x.unflatten(0, (size, -1)) for x in outputs)
        else:
            picked = list(zip(inputs, batched, strict=True))
            each = [operator(*(x[n] if is_batched else x for x, is_batched in picked)) for n in range(size)]
            outputs = tuple(map(torch.stack, zip(*each, strict=True)))
        return outputs, (0,) * len(outputs)

    return rule


for _name, _kernel, _fake, _context in (
    ("log_partition", _log_partition, _fake_with_counts, _setup_context),
    ("negative_log_likelihood", _negative_log_likelihood, _fake_with_counts, _setup_context),
    ("viterbi", _viterbi, _fake_viterbi, _no_gradient),
):
    _library.impl(_name, _kernel, "CompositeExplicitAutograd")
    _operator = f"chaincrf::{_name}"
    torch.library.register_fake(_operator, _fake, lib=_library)
    torch.library.register_vmap(_operator, _vmap(getattr(torch.ops.chaincrf, _name)), lib=_library)
    for _device in ("cpu", "cuda"):
        torch.library.register_autocast(_operator, _device, torch.float32, lib=_library)
    torch.library.register_autograd(_operator, _backward, setup_context=_context, lib=_library)
