"""The negative log-likelihood of a corpus as a function of one vector of weights, and its gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from ..crf import LinearChain
from ..labels import Constraints

__all__ = ["Layout", "Objective", "Weights", "batches", "chain"]

Vector = NDArray[np.float64]
_BATCH = 8192  # tokens computed together, padding included


class Weights(NamedTuple):
    """The weights in their shapes.

    Attributes:
        states: (F, K) of a feature with a tag.
        transitions: (K, K) from tag i to tag j.
        start, end: (K,) of a tag at the borders of the sentence.
    """

    states: Vector
    transitions: Vector
    start: Vector
    end: Vector


class Layout(NamedTuple):
    """Which weights there are; the others are 0, and no part of the vector.

    Attributes:
        num_features, num_tags: F and K.
        states: the weights of ``Weights.states``, as places in it flattened.
        moves: those of ``Weights.transitions``.
        borders: whether there are weights of starting and ending in a tag.
    """

    num_features: int
    num_tags: int
    states: NDArray[np.int64]
    moves: NDArray[np.int64]
    borders: bool

    def __len__(self) -> int:
        """Count the weights."""
        return len(self.states) + len(self.moves) + 2 * self.num_tags * self.borders

    def unpack(self, vector: Vector) -> Weights:
        """The vector in shapes."""
        F, K = self.num_features, self.num_tags
        states, transitions, borders = np.zeros(F * K), np.zeros(K * K), np.zeros((2, K))
        S, M = len(self.states), len(self.moves)
        states[self.states] = vector[:S]
        transitions[self.moves] = vector[S : S + M]
        if self.borders:
            borders[:] = vector[S + M :].reshape(2, K)
        return Weights(states.reshape(F, K), transitions.reshape(K, K), borders[0], borders[1])

    def pack(self, weights: Weights) -> Vector:
        """The weights that there are, as a vector."""
        parts = [weights.states.reshape(-1)[self.states], weights.transitions.reshape(-1)[self.moves]]
        return np.concatenate(parts + [weights.start, weights.end] * self.borders)


def batches(
    lengths: NDArray[np.int64], tokens: int = _BATCH
) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
    """Cut a corpus into batches of sentences of like length; those without a token are in none.

    Args:
        lengths: number of tokens of each sentence; their tokens are the rows of a matrix, in their order.
        tokens: the most in a batch, padding included, if a sentence is not longer.

    Yields:
        The sentences' numbers ``(B,)``, the rows of their tokens ``(B, T)`` (0 where padded), and the mask.
    """
    firsts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    at = 0
    while at < len(order):
        end = at + 1
        while end < len(order) and lengths[order[end]] * (end + 1 - at) <= tokens:
            end += 1
        part = order[at:end]
        mask = np.arange(lengths[part].max()) < lengths[part, None]
        rows = np.where(mask, firsts[part, None] + np.arange(mask.shape[1]), 0)
        yield part, torch.from_numpy(rows), torch.from_numpy(mask)
        at = end


def chain(
    emissions: Tensor, weights: Weights, rows: Tensor, mask: Tensor, constraints: Constraints | None = None
) -> LinearChain:
    """The distribution over the paths of a batch: ``emissions`` is ``(N, K)``, of all tokens."""
    moves = [torch.from_numpy(x) for x in (weights.transitions, weights.start, weights.end)]
    if constraints is not None:
        allowed = (constraints.transitions, constraints.start, constraints.end)
        moves = [torch.where(torch.tensor(a), x, -torch.inf) for x, a in zip(moves, allowed, strict=True)]
    return LinearChain(emissions[rows], *moves, mask=None if bool(mask.all()) else mask)


class Objective:
    """``-log p(tags) + l2 |w|^2``, summed over the sentences; O(nonzeros K + N K^2) a call.

    Args:
        features: (N, F), a row a token.
        tags: (N,), -100 where a tag is unknown (summed over).
        lengths: tokens of each sentence.
        layout: which weights there are.
        l2: weight of the squared norm.
        constraints: moves that are allowed; None: all.
    """

    def __init__(
        self,
        features: csr_array,
        tags: NDArray[np.int64],
        lengths: NDArray[np.int64],
        layout: Layout,
        l2: float,
        constraints: Constraints | None = None,
    ) -> None:
        self.features, self.layout, self.l2, self.constraints = features, layout, l2, constraints
        self._columns = features.T.tocsr()
        gold = torch.from_numpy(tags)
        self._batches = [(rows, mask, gold[rows]) for _, rows, mask in batches(lengths)]

    def __call__(self, vector: Vector) -> tuple[float, Vector]:
        """The value and its gradient."""
        weights = self.layout.unpack(vector)
        emissions = torch.from_numpy(self.features @ weights.states)
        value, by_token = 0.0, np.zeros(tuple(emissions.shape))
        by_move = [np.zeros_like(x) for x in weights[1:]]
        for rows, mask, gold in self._batches:
            batch = chain(emissions, weights, rows, mask, self.constraints)
            leaves = [batch.emissions, batch.transitions, batch.start_transitions, batch.end_transitions]
            for leaf in leaves:
                leaf.requires_grad_()
            loss = batch.loss(gold, "sum")
            of_tokens, *of_moves = torch.autograd.grad(loss, leaves)
            value += loss.item()
            by_token[rows[mask].numpy()] = of_tokens[mask].numpy()
            by_move = [total + part.numpy() for total, part in zip(by_move, of_moves, strict=True)]
        gradient = self.layout.pack(Weights(self._columns @ by_token, *by_move))
        return value + self.l2 * float(vector @ vector), gradient + 2 * self.l2 * vector
