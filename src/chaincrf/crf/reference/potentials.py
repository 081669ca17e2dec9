"""The chain as the recursions see it: the tokens that count at the left, in float64."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["Potentials", "potentials"]


class Potentials(NamedTuple):
    """A batch of chains without gaps.

    The mask and its gaps are gone: row ``b`` has its ``lengths[b]`` tokens at the left, and what stands to
    the right of them is harmless. So a recursion runs over the whole width and knows nothing of masks;
    whoever reads its result looks at ``lengths``.

    Attributes:
        emissions: score of a tag at a token.
        transitions: score of a move, ``(K, K)``, or ``(B, T-1, K, K)`` where ``[:, t-1]`` leads into token t.
        start: score of starting in a tag.
        end: score of ending in a tag.
        lengths: number of tokens that count.
        order: where the tokens came from (a permutation of each row), None when nothing moved.
    """

    emissions: Float[Tensor, "B T K"]
    transitions: Float[Tensor, " ..."]
    start: Float[Tensor, " K"]
    end: Float[Tensor, " K"]
    lengths: Int[Tensor, " B"]
    order: Int[Tensor, "B T"] | None

    @property
    def per_position(self) -> bool:
        """True where each position has transitions of its own."""
        return self.transitions.dim() == 4

    def moves_into(self, t: int) -> Float[Tensor, " ..."]:
        """Scores of the moves into token ``t``, ``(1, K, K)`` or ``(B, K, K)``: [from, to]."""
        return self.transitions[:, t - 1] if self.per_position else self.transitions.unsqueeze(0)

    def counts(self) -> Bool[Tensor, "B T"]:
        """True at the tokens that count."""
        return torch.arange(self.emissions.shape[1], device=self.lengths.device) < self.lengths.unsqueeze(1)

    def last(self) -> Int[Tensor, " B"]:
        """Index of the last token (0 in an empty row)."""
        return (self.lengths - 1).clamp(min=0)

    def at_last(self, values: Float[Tensor, "B T *more"]) -> Float[Tensor, " B *more"]:
        """What ``values`` has at the last token."""
        index = _like(self.last().unsqueeze(1), values)
        return values.gather(1, index.expand(-1, 1, *values.shape[2:])).squeeze(1)

    def restrict(self, allowed: Bool[Tensor, "B T K"]) -> Potentials:
        """The same chain with only the allowed tags; the tokens of ``allowed`` stand at the left."""
        return self._replace(emissions=torch.where(allowed, self.emissions, -torch.inf))

    def to_left(self, values: Tensor, fill: int | float) -> Tensor:
        """Bring values of tokens, ``(B, T, ...)``, to the left as the tokens were; ``fill`` beyond them."""
        if self.order is None:
            return values
        values = values.gather(1, _like(self.order, values).expand_as(values))
        return torch.where(_like(self.counts(), values), values, fill)

    def in_place(self, values: Tensor, fill: int | float) -> Tensor:
        """The inverse of ``to_left``: results ``(B, T, ...)`` back at their tokens, ``fill`` elsewhere."""
        if self.order is None:
            return values
        values = torch.where(_like(self.counts(), values), values, fill)
        return torch.empty_like(values).scatter(1, _like(self.order, values).expand_as(values), values)

    def moves_to_left(self, values: Float[Tensor, "B moves K K"]) -> Float[Tensor, "B moves K K"]:
        """Bring values of moves to the left: each goes where the token that it leads into goes."""
        if self.order is None:
            return values
        values = values.gather(1, self._moves(values))
        return torch.where(_like(self.counts()[:, 1:], values), values, 0.0)

    def moves_in_place(self, values: Float[Tensor, "B moves K K"]) -> Float[Tensor, "B moves K K"]:
        """The inverse of ``moves_to_left``: 0 where no move is made."""
        if self.order is None:
            return values
        values = torch.where(_like(self.counts()[:, 1:], values), values, 0.0)
        return torch.zeros_like(values).scatter_add(1, self._moves(values), values)

    def _moves(self, values: Tensor) -> Tensor:
        assert self.order is not None
        return _like((self.order[:, 1:] - 1).clamp(min=0), values).expand_as(values)


def potentials(
    emissions: Float[Tensor, "B T K"],
    transitions: Float[Tensor, " ..."],
    start: Float[Tensor, " K"],
    end: Float[Tensor, " K"],
    mask: Bool[Tensor, "B T"] | None,
) -> Potentials:
    """Bring the tokens that count to the left (differentiable, no synchronisation).

    ``+inf`` becomes NaN at once: with it Z is infinite and p is not defined.

    Args:
        emissions: scores of the tags.
        transitions: ``(K, K)`` or ``(B, T-1, K, K)``.
        start: scores of starting in a tag.
        end: scores of ending in a tag.
        mask: True where a token counts, gaps anywhere; None: all count.
    """
    B, T, _ = emissions.shape
    device = emissions.device
    lengths = torch.full((B,), T, device=device) if mask is None else mask.sum(1)
    order = None if mask is None else (~mask).to(torch.uint8).argsort(dim=1, stable=True)
    emissions, transitions, start, end = (
        torch.where(x == torch.inf, torch.nan, x.double()) for x in (emissions, transitions, start, end)
    )
    chain = Potentials(emissions, transitions, start, end, lengths, order)
    chain = chain._replace(emissions=chain.to_left(chain.emissions, 0.0))
    return chain._replace(transitions=chain.moves_to_left(chain.transitions)) if chain.per_position else chain


def _like(index: Tensor, values: Tensor) -> Tensor:
    """``index`` with as many dimensions as ``values``."""
    return index.reshape(index.shape + (1,) * (values.dim() - index.dim()))
