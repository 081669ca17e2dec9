"""A softmax at each token with the face of a CRF: the same questions, and no transition parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ..crf.chain import LinearChain
from ..labels import Constraints, Scheme, constraints_from_tags, scheme_tags
from .crf import Reduction, check_num_tags, constraint_masks, reduce_loss

__all__ = ["Softmax"]


class Softmax(nn.Module):
    """Independent softmax decisions: a linear chain whose transitions are all zero.

    Args:
        num_tags: number of tags, K.
        constraints: the moves that are allowed; see :class:`chaincrf.CRF`.
        constrain: ``"decode"``: the loss is the cross-entropy, decoding keeps to the constraints.
            ``"always"``: the loss, too, counts the allowed paths only.

    Raises:
        ArgumentError: no tags, constraints of another size, or an unknown ``constrain``.
    """

    def __init__(
        self,
        num_tags: int,
        constraints: Constraints | None = None,
        *,
        constrain: Literal["always", "decode"] = "decode",
    ) -> None:
        super().__init__()
        masks = constraint_masks(num_tags, constraints, constrain)
        start, transitions, end = (torch.where(mask, 0.0, -torch.inf) for mask in masks)
        self.num_tags = num_tags
        self.constrain = constrain
        self.constrained = constraints is not None
        self.start_transitions = nn.Buffer(start, persistent=False)
        self.transitions = nn.Buffer(transitions, persistent=False)
        self.end_transitions = nn.Buffer(end, persistent=False)

    @classmethod
    def from_labels(
        cls,
        labels: Sequence[str],
        scheme: str | Scheme = "BIOES",
        *,
        constrain: Literal["always", "decode"] = "decode",
    ) -> Softmax:
        """A softmax over the tags ``scheme_tags(labels, scheme)``, in their order, with their constraints.

        Args:
            labels: span labels, such as ``["PER", "LOC"]``.
            scheme: BIO, IOB1, BIOES, BILOU or IO.
            constrain: as in the constructor.
        """
        tags = scheme_tags(labels, scheme)
        return cls(len(tags), constraints_from_tags(tags, scheme), constrain=constrain)

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
        """The distribution over paths, as a :class:`chaincrf.LinearChain` with zero transitions.

        Args:
            emissions: score of each tag at each token.
            mask: True where a token counts, gaps anywhere; None: all count.
            constrained: keep to the constraints or not; None: as ``constrain`` says for the loss.
        """
        check_num_tags(emissions, self.num_tags)
        if self._keeps(constrained, self.constrain == "always"):
            return LinearChain(
                emissions, self.transitions, self.start_transitions, self.end_transitions, mask
            )
        return LinearChain(emissions, emissions.new_zeros(self.num_tags, self.num_tags), mask=mask)

    def forward(
        self,
        emissions: Float[Tensor, "B T K"],
        tags: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B T"] | None = None,
        reduction: Reduction = "mean",
        *,
        weights: Float[Tensor, " B *T"] | None = None,
    ) -> Float[Tensor, " ..."]:
        """The negative log-likelihood of the gold tags: the sum of the cross-entropies of the tokens.

        Args:
            emissions: score of each tag at each token.
            tags: the gold tags; -100 where a tag is unknown. Masked tags are not looked at.
            mask: True where a token counts; None: all count.
            reduction: see :meth:`chaincrf.CRF.forward`.
            weights: see :meth:`chaincrf.CRF.forward`.
        """
        chain = self.chain(emissions, mask)
        if self._keeps(None, self.constrain == "always"):
            loss = -chain.log_likelihood(tags, weights)
        else:
            scores, gold = chain.emissions.transpose(1, 2), tags
            if mask is not None:
                scores, gold = torch.where(mask.unsqueeze(1), scores, 0.0), torch.where(mask, tags, -100)
            loss = F.cross_entropy(scores, gold, reduction="none")
            if weights is not None:
                loss = loss * (weights if weights.dim() == 2 else weights.unsqueeze(1))
            loss = loss.sum(1)
        return reduce_loss(loss, chain, reduction, weights)

    def decode(
        self,
        emissions: Float[Tensor, "B T K"],
        mask: Bool[Tensor, "B T"] | None = None,
        *,
        constrained: bool | None = None,
    ) -> Int[Tensor, "B T"]:
        """The best path, -1 where masked: the best tag of each token, or Viterbi where constraints hold.

        Args:
            emissions: score of each tag at each token.
            mask: True where a token counts; None: all count.
            constrained: keep to the constraints or not; None: if there are any.
        """
        if self._keeps(constrained, True):
            return self.chain(emissions, mask, constrained=True).viterbi()[0]
        tags = self.chain(emissions, mask, constrained=False).emissions.argmax(2)
        return tags if mask is None else torch.where(mask, tags, -1)

    def _keeps(self, constrained: bool | None, default: bool) -> bool:
        return self.constrained and (default if constrained is None else constrained)
