"""The linear-chain CRF of Lafferty, McCallum & Pereira (2001): features in, tags out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ..crf import LinearChain
from ..errors import ArgumentError
from ..labels import Constraints, constraints_from_tags
from .features import FeatureMap, Token
from .objective import Layout, Objective, Weights, batches, chain
from .owlqn import Minimum, minimise

__all__ = ["LinearCRF"]


class LinearCRF:
    """A CRF whose emissions are weighted sums of the features of a token.

    ::

        score(y) = sum_t (sum_f x_t[f] states[f, y_t] + transitions[y_{t-1}, y_t]) + start[y_1] + end[y_T]

    Args:
        buckets: hash the features into so many columns, a power of two; None: a column for each name.
        min_count: a weight of a feature with a tag needs so much of the feature at tokens of the tag, and
            without ``all_moves`` the weight of a move so many of them.
        all_states: weights also for pairs of feature and tag that the data never show together.
        all_moves: weights also for moves that the data never show.
        borders: weights for starting and ending in a tag.
        scheme: a tagging scheme, whose forbidden moves get probability zero; None: all are possible.

    Attributes:
        features: columns of the feature matrix.
        tags: the tags, in their order.
        weights: what was learnt.
        minimum: how the search ended; None after ``fit_adam``.

    Source: Lafferty, McCallum & Pereira (2001), "Conditional random fields".
    """

    features: FeatureMap
    tags: list[str]
    weights: Weights
    minimum: Minimum | None

    def __init__(
        self,
        *,
        buckets: int | None = None,
        min_count: float = 0.0,
        all_states: bool = False,
        all_moves: bool = True,
        borders: bool = True,
        scheme: str | None = None,
    ) -> None:
        self.buckets, self.min_count, self.borders, self.scheme = buckets, min_count, borders, scheme
        self.all_states, self.all_moves = all_states, all_moves

    @property
    def constraints(self) -> Constraints | None:
        """The moves that the scheme allows."""
        return None if self.scheme is None else constraints_from_tags(self.tags, self.scheme)

    def fit_lbfgs(
        self,
        X: Sequence[Sequence[Token]],
        y: Sequence[Sequence[str | None]],
        *,
        l1: float = 0.0,
        l2: float = 1.0,
        **options: object,
    ) -> LinearCRF:
        """Minimise ``-log p(y | X) + l1 |w| + l2 |w|^2`` by L-BFGS, by OWL-QN if there is an ``l1``.

        Args:
            X: the features of the tokens of each sentence.
            y: their tags; None where one is not known: it is summed over.
            l1, l2: weights of the penalties, at least 0.
            **options: of :func:`chaincrf.linear.minimise`.

        Raises:
            ArgumentError: no tags, lengths that differ, a feature that is none, a negative penalty.
        """
        _check_penalties(l1, l2)
        objective = self._objective(X, y, l2)
        self.minimum = minimise(objective, np.zeros(len(objective.layout)), l1, **options)  # type: ignore[arg-type]
        self.weights = objective.layout.unpack(self.minimum.x)
        return self

    def fit_adam(
        self,
        X: Sequence[Sequence[Token]],
        y: Sequence[Sequence[str | None]],
        *,
        l1: float = 0.0,
        l2: float = 1.0,
        epochs: int = 20,
        batch_size: int = 32,
        learning_rate: float = 0.05,
        seed: int = 0,
        on_epoch: Callable[[int, float], None] = lambda epoch, loss: None,
    ) -> LinearCRF:
        """Go down the same function by Adam, a batch a step, the learning rate falling to 0 linearly.

        ``l1`` is a pull of each weight towards zero after each step.

        Args:
            X, y, l1, l2: as ``fit_lbfgs``.
            epochs: passes over the data.
            batch_size: sentences in a batch.
            learning_rate: the first one.
            seed: of the order of the sentences.
            on_epoch: called after each epoch with its number and the mean loss of a sentence.

        Raises:
            ArgumentError: as ``fit_lbfgs``.
        """
        _check_penalties(l1, l2)
        matrix, gold, lengths, layout = self._prepare(X, y)
        firsts = np.concatenate([[0], np.cumsum(lengths)])
        vector = torch.zeros(len(layout), dtype=torch.float64)
        optimizer = torch.optim.Adam([vector], learning_rate)
        order, total = np.random.default_rng(seed), epochs * -(-len(lengths) // batch_size)
        for epoch in range(1, epochs + 1):
            loss = 0.0
            shuffled = order.permutation(len(lengths))
            for at in range(0, len(shuffled), batch_size):
                part = shuffled[at : at + batch_size]
                rows = np.concatenate([np.arange(int(firsts[i]), int(firsts[i + 1])) for i in part])
                share = len(part) / len(lengths)
                objective = Objective(
                    matrix[rows], gold[rows], lengths[part], layout, l2 * share, self.constraints
                )
                value, gradient = objective(vector.numpy())
                vector.grad = torch.from_numpy(gradient / len(part))
                step = (epoch - 1) * -(-len(lengths) // batch_size) + at // batch_size
                rate = optimizer.param_groups[0]["lr"] = learning_rate * (1 - step / total)
                optimizer.step()
                if l1:
                    vector.copy_(torch.nn.functional.softshrink(vector, rate * l1 / len(lengths)))
                loss += value
            on_epoch(epoch, loss / len(lengths))
        self.weights, self.minimum = layout.unpack(vector.numpy()), None
        return self

    def predict(self, X: Sequence[Sequence[Token]]) -> list[list[str]]:
        """The best path of each sentence (Viterbi).

        Args:
            X: the features of the tokens of each sentence.
        """
        found = self._in_batches(X, lambda batch: batch.viterbi()[0])
        return [[self.tags[i] for i in path.tolist()] for path in found]

    def marginals(self, X: Sequence[Sequence[Token]]) -> list[NDArray[np.float64]]:
        """The probability of each tag at each token, ``(T, K)`` a sentence.

        Args:
            X: the features of the tokens of each sentence.
        """
        return self._in_batches(X, lambda batch: batch.marginals())

    def _in_batches(
        self, X: Sequence[Sequence[Token]], ask: Callable[[LinearChain], torch.Tensor]
    ) -> list[NDArray]:
        lengths = np.array([len(sentence) for sentence in X], dtype=np.int64)
        emissions = torch.from_numpy(self.features.matrix(X) @ self.weights.states)
        empty = np.zeros((0, len(self.tags)))
        results: list[NDArray] = [empty] * len(X)
        with torch.no_grad():
            for part, rows, mask in batches(lengths):
                found = ask(chain(emissions, self.weights, rows, mask, self.constraints)).numpy()
                for i, row in zip(part.tolist(), found, strict=True):
                    results[i] = row[: lengths[i]]
        return results

    def _objective(
        self, X: Sequence[Sequence[Token]], y: Sequence[Sequence[str | None]], l2: float
    ) -> Objective:
        matrix, gold, lengths, layout = self._prepare(X, y)
        return Objective(matrix, gold, lengths, layout, l2, self.constraints)

    def _prepare(
        self, X: Sequence[Sequence[Token]], y: Sequence[Sequence[str | None]]
    ) -> tuple[csr_array, NDArray[np.int64], NDArray[np.int64], Layout]:
        """Decide on tags and weights, and encode."""
        lengths = _check_lengths(X, y)
        self.tags = sorted({tag for tags in y for tag in tags if tag is not None})
        if not self.tags:
            raise ArgumentError("y: expected tags, found none")
        number = {tag: i for i, tag in enumerate(self.tags)}
        gold = np.array([-100 if tag is None else number[tag] for tags in y for tag in tags], dtype=np.int64)
        if self.constraints is not None:
            _check_gold(y, self.tags, self.constraints)
        self.features = FeatureMap(self.buckets)
        matrix = self.features.matrix(X, fit=True)
        F, K = len(self.features), len(self.tags)
        if self.all_states:
            states = np.arange(F * K)
        else:
            weighed = abs(matrix)
            if not self.min_count:
                weighed.data[:] = 1  # that a feature is there is enough, even with value 0
            pairs = (weighed.T @ _one_hot(gold, K)).tocoo()  # (F, K): how much of a feature with a tag
            enough = pairs.data >= self.min_count
            states = np.sort(pairs.coords[0][enough].astype(np.int64) * K + pairs.coords[1][enough])
        if self.buckets is None:
            columns, rows = np.unique(states // K, return_inverse=True)
            self.features.keep(columns)
            F, matrix, states = len(columns), matrix[:, columns], rows * K + states % K
        layout = Layout(F, K, states, self._moves(gold, lengths, K), self.borders)
        return matrix.tocsr(), gold, lengths, layout

    def _moves(self, gold: NDArray[np.int64], lengths: NDArray[np.int64], K: int) -> NDArray[np.int64]:
        if self.all_moves:
            return np.arange(K * K)
        inside = np.ones(len(gold), dtype=bool)
        inside[np.cumsum(lengths)[lengths > 0] - lengths[lengths > 0]] = False  # no move into a first token
        before, after = np.roll(gold, 1)[inside], gold[inside]
        both = (before >= 0) & (after >= 0)
        moves, counts = np.unique(before[both] * K + after[both], return_counts=True)
        return moves[counts >= self.min_count]


def _one_hot(gold: NDArray[np.int64], K: int) -> csr_array:
    rows = np.flatnonzero(gold >= 0)
    return csr_array((np.ones(len(rows)), (rows, gold[rows])), shape=(len(gold), K))


def _check_penalties(l1: float, l2: float) -> None:
    for name, value in (("l1", l1), ("l2", l2)):
        if not 0 <= value < np.inf:
            raise ArgumentError(f"{name}: expected a number of at least 0, got {value}")


def _check_lengths(X: Sequence[Sequence[Token]], y: Sequence[Iterable[str | None]]) -> NDArray[np.int64]:
    if len(X) != len(y):
        raise ArgumentError(f"y: expected tags for each of {len(X)} sentences, got {len(y)}")
    for number, (sentence, tags) in enumerate(zip(X, y, strict=True), start=1):
        if len(sentence) != len(list(tags)):
            raise ArgumentError(
                f"y: sentence {number}: expected a tag for each of {len(sentence)} tokens, "
                f"got {len(list(tags))}"
            )
    return np.array([len(sentence) for sentence in X], dtype=np.int64)


def _check_gold(y: Sequence[Sequence[str | None]], tags: Sequence[str], allowed: Constraints) -> None:
    number = {tag: i for i, tag in enumerate(tags)}
    for place, sentence in enumerate(y, start=1):
        path = [None if tag is None else number[tag] for tag in sentence]
        wrong = path and (
            (path[0] is not None and not allowed.start[path[0]])
            or (path[-1] is not None and not allowed.end[path[-1]])
        )
        for before, after in pairwise(path):
            wrong = wrong or (
                before is not None and after is not None and not allowed.transitions[before][after]
            )
        if wrong:
            raise ArgumentError(
                f"y: sentence {place}: the scheme forbids {' '.join(map(str, sentence))[:200]}; "
                "chaincrf.labels.repair_tags mends such tags"
            )
