"""What the two heads of a tagger, CRF and Softmax, share: constraints, and the reduction of a loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..crf.chain import LinearChain
from ..crf.ops import units
from ..errors import ArgumentError
from ..labels import Constraints, Scheme, constraints_from_tags, scheme_tags

__all__ = ["Head", "Reduction", "check_num_tags", "constraint_masks", "reduce_loss"]

Reduction = Literal["mean", "sum", "token_mean", "none"]
_Head = TypeVar("_Head", bound="Head")


class Head(nn.Module):
    """Makes tags of emissions, and knows when constraints hold; see its two kinds, CRF and Softmax.

    Args:
        num_tags: number of tags, K.
        constraints: the moves that are allowed; None: all.
        constrain: ``"always"`` or ``"decode"``.

    Raises:
        ArgumentError: no tags, constraints of another size, or an unknown ``constrain``.
    """

    def __init__(
        self, num_tags: int, constraints: Constraints | None, constrain: Literal["always", "decode"]
    ) -> None:
        super().__init__()
        start, transitions, end = constraint_masks(num_tags, constraints, constrain)
        self.num_tags = num_tags
        self.constrain = constrain
        self.constrained = constraints is not None
        self.allowed_start = nn.Buffer(start, persistent=False)
        self.allowed_transitions = nn.Buffer(transitions, persistent=False)
        self.allowed_end = nn.Buffer(end, persistent=False)

    @classmethod
    def from_labels(
        cls: type[_Head], labels: Sequence[str], scheme: str | Scheme = "BIOES", **options: Any
    ) -> _Head:
        """The head over the tags ``scheme_tags(labels, scheme)``, in their order, with their constraints.

        Args:
            labels: span labels, such as ``["PER", "LOC"]``.
            scheme: BIO, IOB1, BIOES, BILOU or IO.
            **options: further arguments of the constructor.

        Raises:
            LabelError: an unknown scheme.
        """
        tags = scheme_tags(labels, scheme)
        return cls(len(tags), constraints_from_tags(tags, scheme), **options)

    def extra_repr(self) -> str:
        """The arguments, for ``repr``."""
        return f"{self.num_tags}" + (f", constrain={self.constrain!r}" if self.constrained else "")

    def keeps(self, constrained: bool | None) -> bool:
        """Whether constraints hold in a chain; None asks for the chain of the loss."""
        return self.constrained and (self.constrain == "always" if constrained is None else constrained)


def check_num_tags(emissions: Float[Tensor, "B T K"], num_tags: int) -> None:
    """Check that the emissions have a score for each tag.

    Args:
        emissions: scores of the tags.
        num_tags: number of tags that there must be.

    Raises:
        ArgumentError: there is another number.
    """
    if emissions.shape[-1] != num_tags:
        shape = tuple(emissions.shape)
        raise ArgumentError(f"emissions must be (B, T, {num_tags}), a score for each tag, got {shape}")


def constraint_masks(
    num_tags: int, constraints: Constraints | None, constrain: str
) -> tuple[Bool[Tensor, " K"], Bool[Tensor, "K K"], Bool[Tensor, " K"]]:
    """The constraints as tensors, checked.

    Args:
        num_tags: number of tags, K.
        constraints: the allowed moves, or None: all.
        constrain: ``"always"`` or ``"decode"``.

    Raises:
        ArgumentError: no tags, constraints of another size, or an unknown ``constrain``.
    """
    if num_tags < 1:
        raise ArgumentError(f"num_tags must be at least 1, got {num_tags}")
    if constrain not in ("always", "decode"):
        raise ArgumentError(f'constrain must be "always" or "decode", got {constrain!r}')
    if constraints is None:
        every = torch.ones(num_tags, num_tags, dtype=torch.bool)
        return every[0].clone(), every, every[0].clone()
    start, transitions, end = (torch.as_tensor(x, dtype=torch.bool) for x in constraints)
    shapes = tuple(start.shape), tuple(transitions.shape), tuple(end.shape)
    K = num_tags
    if shapes != ((K,), (K, K), (K,)):
        raise ArgumentError(f"constraints must have shapes {((K,), (K, K), (K,))}, got {shapes}")
    return start, transitions, end


def reduce_loss(
    loss: Float[Tensor, " B"],
    chain: LinearChain,
    reduction: str,
    weights: Float[Tensor, " B *T"] | None = None,
) -> Float[Tensor, " ..."]:
    """Reduce the losses of the sequences to one; a mean over nothing is 0.

    Args:
        loss: the weighted loss of each sequence, 0 in empty ones.
        chain: whose losses they are.
        reduction: see :meth:`chaincrf.CRF.forward`.
        weights: of the sequences, or of the tokens.

    Raises:
        ArgumentError: an unknown reduction.
    """
    if reduction not in ("mean", "sum", "token_mean", "none"):
        raise ArgumentError(f'reduction must be "mean", "sum", "token_mean" or "none", got {reduction!r}')
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if weights is None:
        return loss.sum() / units(chain.emissions, chain.mask, reduction)
    parts = (chain.lengths > 0) if reduction == "mean" else chain.lengths
    if weights.dim() == 1:
        parts = parts * weights
    elif reduction == "token_mean":
        parts = weights if chain.mask is None else torch.where(chain.mask, weights, 0.0)
    total = parts.sum()
    return loss.sum() / torch.where(total > 0, total, 1)
