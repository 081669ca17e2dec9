"""The hot quantities as PyTorch operators, ``torch.ops.chaincrf.*``; the device picks the kernel.

Each operator takes the potentials as they are (gaps in the mask included) in float32 or float64, and computes
in float64. Next to its value the loss returns its gradient, since one forward-backward gives both: these
further outputs are saved for the backward pass and carry no graph of their own. Where a second derivative is
wanted, the backward pass computes them again through the reference, which has one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .reference.counts import Counts, expected_counts
from .reference.counts import negative_log_likelihood as reference_negative_log_likelihood
from .reference.potentials import potentials
from .reference.viterbi import viterbi as reference_viterbi

__all__ = ["log_partition", "negative_log_likelihood", "viterbi"]

_CHAIN = "Tensor emissions, Tensor transitions, Tensor start, Tensor end, Tensor? mask"
_COUNTS = "Tensor, Tensor, Tensor, Tensor"
Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]
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
    return torch.ops.chaincrf.log_partition(emissions, transitions, start, end, mask)[0]


def negative_log_likelihood(  # noqa: PLR0917
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
    return torch.ops.chaincrf.viterbi(emissions, transitions, start, end, mask)


# The kernels: one reference for all devices.


def _with_counts(inputs: Inputs, tags: Tensor | None) -> tuple[Tensor, Counts]:
    """The loss (or log Z, without tags) and its gradient, in the dtype of the emissions."""
    chain = potentials(*inputs)
    value, counts = expected_counts(chain) if tags is None else reference_negative_log_likelihood(chain, tags)
    dtype = inputs[0].dtype
    return value.to(dtype), Counts(*(c.to(dtype) for c in counts))


def _log_partition(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor | None
) -> tuple[Tensor, ...]:
    value, counts = _with_counts((emissions, transitions, start, end, mask), None)
    return value, *counts


def _negative_log_likelihood(  # noqa: PLR0917
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor | None, tags: Tensor
) -> tuple[Tensor, ...]:
    value, counts = _with_counts((emissions, transitions, start, end, mask), tags)
    return value, *counts


def _viterbi(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    chain = potentials(emissions, transitions, start, end, mask)
    tags, scores = reference_viterbi(chain)
    return chain.in_place(tags, -1), scores.to(emissions.dtype)


# What the compiler needs to know: shapes and dtypes.


def _fake_with_counts(emissions: Tensor, transitions: Tensor, *_: Tensor | None) -> tuple[Tensor, ...]:
    B, _, K = emissions.shape
    moves = emissions.new_empty(B, K, K) if transitions.dim() == 2 else torch.empty_like(transitions)
    new = emissions.new_empty
    return new(B), new(emissions.shape), moves, new(B, K), new(B, K)


def _fake_viterbi(emissions: Tensor, *_: Tensor | None) -> tuple[Tensor, Tensor]:
    return emissions.new_empty(emissions.shape[:2], dtype=torch.int64), emissions.new_empty(
        emissions.shape[0]
    )


# The gradient: what was saved, or the reference once more where it must itself be differentiable.


def _setup_context(ctx: Any, inputs: tuple[Tensor | None, ...], output: tuple[Tensor, ...]) -> None:
    _, *counts = output
    ctx.mark_non_differentiable(*counts)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs, *counts)
    ctx.inputs = len(inputs)


def _backward(ctx: Any, gradient: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
    inputs, counts = ctx.saved_tensors[: ctx.inputs], Counts(*ctx.saved_tensors[ctx.inputs :])
    if gradient is None:
        return (None,) * ctx.inputs
    if torch.is_grad_enabled():
        counts = _with_counts(inputs[:5], inputs[5] if ctx.inputs == 6 else None)[1]
    emissions = counts.emissions * gradient[:, None, None]
    if inputs[1].dim() == 2:
        transitions = torch.tensordot(gradient, counts.transitions, 1)
    else:
        transitions = counts.transitions * gradient[:, None, None, None]
    start, end = gradient @ counts.start, gradient @ counts.end
    return emissions, transitions, start, end, *(None,) * (ctx.inputs - 4)


for _name, _kernel, _fake in (
    ("log_partition", _log_partition, _fake_with_counts),
    ("negative_log_likelihood", _negative_log_likelihood, _fake_with_counts),
    ("viterbi", _viterbi, _fake_viterbi),
):
    _library.impl(_name, _kernel, "CompositeExplicitAutograd")
    torch.library.register_fake(f"chaincrf::{_name}", _fake, lib=_library)
    if _name != "viterbi":
        torch.library.register_autograd(
            f"chaincrf::{_name}", _backward, setup_context=_setup_context, lib=_library
        )
