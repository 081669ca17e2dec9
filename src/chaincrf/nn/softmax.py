"""A softmax at each token with the face of a CRF: the same questions, and no transition parameters."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ..crf.chain import LinearChain
from ..crf.checks import checked_weights
from ..crf.reference.score import UNKNOWN
from ..errors import ArgumentError
from ..labels import Constraints
from .head import Head, Reduction, check_num_tags, reduce_loss

__all__ = ["Softmax"]


class Softmax(Head):
    """Independent softmax decisions: a linear chain whose transitions are all zero.

    Args:
        num_tags: number of tags, K.
        constraints: the moves that are allowed; see :class:`chaincrf.CRF`.
        constrain: ``"decode"``: the loss is the cross-entropy, decoding keeps to the constraints.
            ``"always"``: the loss, too, counts the allowed paths only.
        label_smoothing: the share of each token's target that is spread evenly over all tags.

    Raises:
        ArgumentError: no tags, constraints of another size, or an unknown ``constrain``.
    """

    def __init__(
        self,
        num_tags: int,
        constraints: Constraints | None = None,
        *,
        constrain: Literal["always", "decode"] = "decode",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(num_tags, constraints, constrain)
        if not 0 <= label_smoothing < 1 or (label_smoothing and constrain == "always"):
            raise ArgumentError(
                'label_smoothing: expected 0 <= label_smoothing < 1, and 0 with constrain="always", '
                f"got {label_smoothing}"
            )
        self.label_smoothing = label_smoothing

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
        start = transitions = end = None
        if self.keeps(constrained):
            start, transitions, end = (
                torch.where(allowed, 0.0, -torch.inf)
                for allowed in (self.allowed_start, self.allowed_transitions, self.allowed_end)
            )
        if transitions is None:
            transitions = emissions.new_zeros(self.num_tags, self.num_tags)
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
        """The negative log-likelihood of the gold tags: the sum of the cross-entropies of the tokens.

        Args:
            emissions: score of each tag at each token.
            tags: the gold tags; -100 where a tag is unknown. Masked tags are not looked at.
            mask: True where a token counts; None: all count.
            reduction: see :meth:`chaincrf.CRF.forward`.
            weights: see :meth:`chaincrf.CRF.forward`.
        """
        chain = self.chain(emissions, mask)
        if self.keeps(None):
            loss = -chain.log_likelihood(tags, weights)
        else:
            loss = _cross_entropy(chain, tags, self.label_smoothing)
            if weights is not None:
                given = checked_weights(weights, chain.emissions, mask)
                loss = loss * (given if given.dim() == 2 else given.unsqueeze(1))
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
        if self.constrained and constrained is not False:
            return self.chain(emissions, mask, constrained=True).viterbi()[0]
        best, tags = self.chain(emissions, mask, constrained=False).emissions.max(2)
        counts = torch.ones_like(tags, dtype=torch.bool) if mask is None else mask
        possible = ~(counts & (best == -torch.inf)).any(1, keepdim=True)
        return torch.where(counts & possible, tags, -1)


def _cross_entropy(
    chain: LinearChain, tags: Int[Tensor, "B T"], smoothing: float = 0.0
) -> Float[Tensor, "B T"]:
    """What the chain with zero transitions says, without a recursion: an impossible sequence has loss inf."""
    scores, gold = chain.emissions, tags
    if chain.mask is not None:
        scores = torch.where(chain.mask.unsqueeze(2), scores, 0.0)
        gold = torch.where(chain.mask, tags, UNKNOWN)
    dead = scores.amax(2) == -torch.inf
    chosen = scores.gather(2, gold.clamp(0, scores.shape[2] - 1).unsqueeze(2)).squeeze(2)
    impossible = (dead | ((gold != UNKNOWN) & (chosen == -torch.inf))).any(1, keepdim=True)
    scores = torch.where(impossible.unsqueeze(2), 0.0, scores)
    loss = F.cross_entropy(
        scores.transpose(1, 2), gold, reduction="none", ignore_index=UNKNOWN, label_smoothing=smoothing
    )
    return torch.where(impossible, torch.inf, loss)
