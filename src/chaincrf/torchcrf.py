"""A drop-in for pytorch-crf 0.7.2: ``from chaincrf.torchcrf import CRF``, and all else stays.

Same signatures, attributes, parameter names (so the same ``state_dict``), results and errors. It differs
where pytorch-crf goes wrong or stops without need:

* With a gap in the mask (a False before a True) pytorch-crf scores the gold path with the tag of the masked
  token, and its loss depends on that tag. Here the neighbour is the previous token that counts.
* A masked tag may be anything, such as -100; pytorch-crf indexes with it.
  Decoding skips the masked token, too; pytorch-crf takes the first so many positions for the path.
* A path that ``-inf`` forbids has log-likelihood ``-inf``, where pytorch-crf says ``nan``; and where all
  paths are forbidden, decoding says tag 0 throughout.
* The mask may be of any dtype that ``bool()`` takes, and integer tags of any width.
* Sums are taken in float64, so that a log-likelihood is never positive by rounding; parameters of half
  precision give a float32 result.

Private methods of pytorch-crf (``_compute_score``, ``_viterbi_decode`` and so on) are not there: who
overrides them finds the same quantities in :class:`chaincrf.LinearChain`.

The layer of this package, with constraints and all quantities, is :class:`chaincrf.CRF`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .crf.chain import LinearChain
from .errors import ArgumentError

__all__ = ["CRF"]


class CRF(nn.Module):
    """Conditional random field with the interface of pytorch-crf 0.7.2.

    Args:
        num_tags: number of tags.
        batch_first: whether inputs are ``(batch, length, ...)``; by default ``(length, batch, ...)``.

    Attributes:
        start_transitions: ``(num_tags,)`` parameter.
        end_transitions: ``(num_tags,)`` parameter.
        transitions: ``(num_tags, num_tags)`` parameter, from tag i to tag j.

    Raises:
        ValueError: num_tags is not positive.
    """

    def __init__(self, num_tags: int, batch_first: bool = False) -> None:
        if num_tags <= 0:
            raise ArgumentError(f"invalid number of tags: {num_tags}")
        super().__init__()
        self.num_tags = num_tags
        self.batch_first = batch_first
        self.start_transitions = nn.Parameter(torch.empty(num_tags))
        self.end_transitions = nn.Parameter(torch.empty(num_tags))
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters uniformly between -0.1 and 0.1."""
        for parameter in (self.start_transitions, self.end_transitions, self.transitions):
            nn.init.uniform_(parameter, -0.1, 0.1)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(num_tags={self.num_tags})"

    def forward(
        self, emissions: Tensor, tags: Tensor, mask: Tensor | None = None, reduction: str = "sum"
    ) -> Tensor:
        """The log-likelihood (not its negative) of the gold tags.

        Args:
            emissions: ``(length, batch, num_tags)``, or ``(batch, length, num_tags)`` if ``batch_first``.
            tags: gold tags of the same first two dimensions.
            mask: of the same shape, True (or not 0) where a token counts.
            reduction: ``"sum"``, ``"mean"`` over the batch, ``"token_mean"`` or ``"none"``.

        Raises:
            ValueError: a shape that does not fit, a first token that is masked, or an unknown reduction.
            IndexError: a tag that is not there (on a CPU), or tags that are no integers.
        """
        self._validate(emissions, tags=tags, mask=mask)
        if reduction not in ("none", "sum", "mean", "token_mean"):
            raise ArgumentError(f"invalid reduction: {reduction}")
        if tags.is_floating_point() or tags.dtype in (torch.bool, torch.uint8):
            raise IndexError(f"tags must be integers of 32 or 64 bits, got {tags.dtype}")
        chain = self._chain(emissions, mask)
        gold = tags.long() if self.batch_first else tags.long().transpose(0, 1)
        gold = gold if chain.mask is None else torch.where(chain.mask, gold, 0)
        if gold.device.type == "cpu":
            self._check_range(gold)
        gold = torch.where(gold < 0, gold + self.num_tags, gold)  # as pytorch-crf indexes
        likelihood = chain.log_likelihood(gold)
        if reduction == "none":
            return likelihood
        if reduction == "sum":
            return likelihood.sum()
        if reduction == "mean":
            return likelihood.mean()
        return likelihood.sum() / chain.lengths.sum()

    def decode(self, emissions: Tensor, mask: Tensor | None = None) -> list[list[int]]:
        """The best path of each sequence, as lists of their lengths.

        Args:
            emissions: ``(length, batch, num_tags)``, or ``(batch, length, num_tags)`` if ``batch_first``.
            mask: of its first two dimensions, True (or not 0) where a token counts.

        Raises:
            ValueError: a shape that does not fit, or a first token that is masked.
        """
        self._validate(emissions, mask=mask)
        chain = self._chain(emissions, mask)
        tags = chain.viterbi(compact=True)[0].clamp(min=0).tolist()
        return [row[:length] for row, length in zip(tags, chain.lengths.tolist(), strict=True)]

    def _chain(self, emissions: Tensor, mask: Tensor | None) -> LinearChain:
        mask = None if mask is None else mask.bool()
        emissions = emissions.to(torch.promote_types(emissions.dtype, self.transitions.dtype))
        if not self.batch_first:
            emissions = emissions.transpose(0, 1)
            mask = None if mask is None else mask.transpose(0, 1)
        return LinearChain(emissions, self.transitions, self.start_transitions, self.end_transitions, mask)

    def _check_range(self, tags: Tensor) -> None:
        by_time = tags.transpose(0, 1)
        wrong = by_time[(by_time < -self.num_tags) | (by_time >= self.num_tags)]
        if len(wrong):
            raise IndexError(
                f"index {int(wrong[0])} is out of bounds for dimension 0 with size {self.num_tags}"
            )

    def _validate(self, emissions: Tensor, tags: Tensor | None = None, mask: Tensor | None = None) -> None:
        if emissions.dim() != 3:
            raise ArgumentError(f"emissions must have dimension of 3, got {emissions.dim()}")
        if emissions.size(2) != self.num_tags:
            raise ArgumentError(
                f"expected last dimension of emissions is {self.num_tags}, got {emissions.size(2)}"
            )
        for name, x in (("tags", tags), ("mask", mask)):
            if x is not None and emissions.shape[:2] != x.shape:
                raise ArgumentError(
                    f"the first two dimensions of emissions and {name} must match, "
                    f"got {tuple(emissions.shape[:2])} and {tuple(x.shape)}"
                )
        if mask is not None and not (mask[:, 0] if self.batch_first else mask[0]).all():
            raise ArgumentError("mask of the first timestep must all be on")
