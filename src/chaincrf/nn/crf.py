"""The CRF layer: transition scores as parameters, emissions in, loss and tags out."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ..crf.chain import LinearChain
from ..labels import Constraints
from .head import Head, Reduction, check_num_tags, reduce_loss

__all__ = ["CRF"]


class CRF(Head):
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
        super().__init__(num_tags, constraints, constrain)
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags))
        self.start_transitions = nn.Parameter(torch.empty(num_tags))
        self.end_transitions = nn.Parameter(torch.empty(num_tags))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set all transition scores to zero."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

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

        Raises:
            ArgumentError: a shape or dtype that does not fit.
        """
        check_num_tags(emissions, self.num_tags)
        start, transitions, end = self.start_transitions, self.transitions, self.end_transitions
        if self.keeps(constrained):
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
            weights: not negative; a factor for each sequence, ``(B,)``, or for each token's term,
                ``(B, T)``; see :meth:`chaincrf.LinearChain.log_likelihood`. Weights of sequences are divided
                out of both means, weights of tokens out of ``"token_mean"``.

        Raises:
            ArgumentError: a shape or dtype that does not fit, or an unknown reduction.
        """
        chain = self.chain(emissions, mask)
        if weights is None and reduction in ("mean", "sum", "token_mean"):
            return chain.loss(tags, reduction)
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

        Raises:
            ArgumentError: a shape or dtype that does not fit.
        """
        return self.chain(emissions, mask, constrained=constrained is not False).viterbi()[0]
