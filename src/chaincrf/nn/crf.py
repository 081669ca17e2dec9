"""The CRF layer: transition scores as parameters, emissions in, loss and tags out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ..crf.chain import LinearChain
from ..errors import ArgumentError
from ..labels import Constraints, Scheme, constraints_from_tags, scheme_tags

__all__ = ["CRF", "Reduction", "check_num_tags", "constraint_masks", "reduce_loss"]

Reduction = Literal["mean", "sum", "token_mean", "none"]


class CRF(nn.Module):
    """A linear-chain CRF on top of emissions; batch first.

    The transition scores start at zero. They need no symmetry broken (the log-likelihood is concave in them),
    and at zero a CRF *is* the softmax: a CRF and a softmax tagger of one seed begin as the same model.

    Args:
        num_tags: number of tags, K.
        constraints: the moves that are allowed, True in ``start`` (K,), ``transitions`` (K, K) and ``end``
            (K,), as :func:`chaincrf.labels.constraints_from_tags` gives them; None: all moves.
        constrain: ``"always"``: the forbidden paths have probability zero, in the loss as in decoding.
            ``"decode"``: the loss knows nothing of them, only decoding keeps to them; another model.

    Attributes:
        transitions: ``(K, K)``, score of tag i followed by tag j.
        start_transitions: ``(K,)``, score of starting in a tag.
        end_transitions: ``(K,)``, score of ending in a tag.

    Raises:
        ArgumentError: no tags, constraints of another size, or an unknown ``constrain``.
    """

    def __init__(
        self,
        num_tags: int,
        constraints: Constraints | None = None,
        *,
        constrain: Literal["always", "decode"] = "always",
    ) -> None:
        super().__init__()
        start, transitions, end = constraint_masks(num_tags, constraints, constrain)
        self.num_tags = num_tags
        self.constrain = constrain
        self.constrained = constraints is not None
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags))
        self.start_transitions = nn.Parameter(torch.empty(num_tags))
        self.end_transitions = nn.Parameter(torch.empty(num_tags))
        self.allowed_start = nn.Buffer(start, persistent=False)
        self.allowed_transitions = nn.Buffer(transitions, persistent=False)
        self.allowed_end = nn.Buffer(end, persistent=False)
        self.reset_parameters()

    @classmethod
    def from_labels(
        cls,
        labels: Sequence[str],
        scheme: str | Scheme = "BIOES",
        *,
        constrain: Literal["always", "decode"] = "always",
    ) -> CRF:
        """A CRF over the tags ``scheme_tags(labels, scheme)``, in their order, with the scheme's constraints.

        Args:
            labels: span labels, such as ``["PER", "LOC"]``.
            scheme: BIO, IOB1, BIOES, BILOU or IO.
            constrain: as in the constructor.
        """
        tags = scheme_tags(labels, scheme)
        return cls(len(tags), constraints_from_tags(tags, scheme), constrain=constrain)

    def reset_parameters(self) -> None:
        """Set all transition scores to zero."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def extra_repr(self) -> str:
        """The arguments, for ``repr``."""
        return (
            f"num_tags={self.num_tags}, constrain={self.constrain!r}"
            if self.constrained
            else f"{self.num_tags}"
        )

    def chain(
        self,
        emissions: Float[Tensor, "B T K"],
        mask: Bool[Tensor, "B T"] | None = None,
        *,
        constrained: bool | None = None,
    ) -> LinearChain:
        """The distribution over paths, as a :class:`chaincrf.LinearChain`: ask it for any quantity.

        Args:
            emissions: score of each tag at each token.
            mask: True where a token counts, gaps anywhere; None: all count.
            constrained: keep to the constraints or not; None: as ``constrain`` says for the loss.
        """
        check_num_tags(emissions, self.num_tags)
        start, transitions, end = self.start_transitions, self.transitions, self.end_transitions
        if constrained is None:
            constrained = self.constrain == "always"
        if constrained and self.constrained:
            start = torch.where(self.allowed_start, start, -torch.inf)
            transitions = torch.where(self.allowed_transitions, transitions, -torch.inf)
            end = torch.where(self.allowed_end, end, -torch.inf)
        return LinearChain(emissions, transitions, start, end, mask)

    def forward(
        self,
        emissions: Float[Tensor, "B T K"],
        tags: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B T"] | None = None,
        reduction: Reduction = "mean",
        *,
        weights: Float[Tensor, " B *T"] | None = None,
    ) -> Float[Tensor, " ..."]:
        """The negative log-likelihood of the gold tags.

        Args:
            emissions: score of each tag at each token.
            tags: the gold tags; -100 where a tag is unknown (summed over). Masked tags are not looked at.
            mask: True where a token counts, gaps anywhere; None: all count.
            reduction: ``"mean"`` over the sequences that have a token, ``"sum"``, ``"token_mean"``: the sum
                by the number of tokens that count, or ``"none"``: ``(B,)``. A mean over nothing is 0.
            weights: a factor for each sequence, ``(B,)``, or for each token's term, ``(B, T)``; see
                :meth:`chaincrf.LinearChain.log_likelihood`. A mean is then over the weights.
        """
        chain = self.chain(emissions, mask)
        return reduce_loss(-chain.log_likelihood(tags, weights), chain, reduction, weights)

    def decode(
        self,
        emissions: Float[Tensor, "B T K"],
        mask: Bool[Tensor, "B T"] | None = None,
        *,
        constrained: bool | None = None,
    ) -> Int[Tensor, "B T"]:
        """The best path (Viterbi), -1 where masked.

        Args:
            emissions: score of each tag at each token.
            mask: True where a token counts, gaps anywhere; None: all count.
            constrained: keep to the constraints or not; None: if there are any.
        """
        constrained = constrained is None or constrained
        return self.chain(emissions, mask, constrained=constrained).viterbi()[0]


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
        reduction: see :meth:`CRF.forward`.
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
    units = (chain.lengths > 0) if reduction == "mean" else chain.lengths
    if weights is not None and weights.dim() == 1:
        units = units * weights
    elif weights is not None and reduction == "token_mean":
        units = weights if chain.mask is None else torch.where(chain.mask, weights, 0.0)
    total = units.sum()
    return loss.sum() / torch.where(total > 0, total, 1)
