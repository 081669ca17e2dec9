"""A face like sklearn-crfsuite's: ``from chaincrf.sklearn_crfsuite import CRF``, and the rest stays.

The same features, the same function (weights for the pairs of feature and tag, and for the moves, that the
data show; none for the borders of a sentence), minimised by L-BFGS, by OWL-QN with ``c1``. It differs:

* ``algorithm`` is ``"lbfgs"`` (the default there, too); the online algorithms of CRFsuite are not served.
* The step sizes are found by halving; ``linesearch`` says nothing here.
* There is no model file of CRFsuite's: an estimator is kept as scikit-learn's are.

Needs the extra ``sklearn``, not ``crfsuite``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._lazy import require
from .errors import ArgumentError
from .evaluation import token_accuracy
from .linear import LinearCRF

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
else:
    BaseEstimator = require("sklearn.base", "sklearn").BaseEstimator

__all__ = ["CRF"]


class CRF(BaseEstimator):
    """The linear-chain CRF of CRFsuite: ``-log p(y | X) + c1 |w| + c2 |w|^2``.

    Args:
        algorithm: ``"lbfgs"``; None is the same.
        min_freq: the least of a feature at the tokens of a tag, and of a move; 0.
        all_possible_states, all_possible_transitions: weights also for what the data never show; False.
        c1, c2: weights of the penalties; 0 and 1.
        max_iterations: the most steps; None: until it has converged.
        num_memories: steps that L-BFGS remembers; 6.
        epsilon, period, delta: when it has converged, see :func:`chaincrf.linear.minimise`.
        linesearch: not looked at.
        max_linesearch: the most points tried in a step; 20.
        verbose: print the value after each step.

    Attributes:
        classes_: the tags.
        attributes_: names of the features that have a weight.
        state_features_: the weights of feature and tag that are not 0.
        transition_features_: the weights of moves that are not 0.

    Raises:
        ArgumentError: by ``fit``: another algorithm.
    """

    def __init__(
        self,
        algorithm: str | None = None,
        min_freq: float | None = None,
        all_possible_states: bool | None = None,
        all_possible_transitions: bool | None = None,
        c1: float | None = None,
        c2: float | None = None,
        max_iterations: int | None = None,
        num_memories: int | None = None,
        epsilon: float | None = None,
        period: int | None = None,
        delta: float | None = None,
        linesearch: str | None = None,
        max_linesearch: int | None = None,
        *,
        verbose: bool = False,
    ) -> None:
        self.algorithm = algorithm
        self.min_freq = min_freq
        self.all_possible_states = all_possible_states
        self.all_possible_transitions = all_possible_transitions
        self.c1 = c1
        self.c2 = c2
        self.max_iterations = max_iterations
        self.num_memories = num_memories
        self.epsilon = epsilon
        self.period = period
        self.delta = delta
        self.linesearch = linesearch
        self.max_linesearch = max_linesearch
        self.verbose = verbose

    def fit(self, X: Sequence[Sequence[Any]], y: Sequence[Sequence[str]]) -> CRF:
        """Learn the weights.

        Args:
            X: for each sentence the features of its tokens: dictionaries, or names.
            y: for each sentence its tags.

        Raises:
            ArgumentError: an algorithm that is not served, lengths that differ, no tags, a bad feature.
        """
        if self.algorithm not in (None, "lbfgs"):
            raise ArgumentError(
                f'algorithm: expected "lbfgs", the one that is served, got {self.algorithm!r}'
            )
        options = {
            "max_iterations": self.max_iterations,
            "memory": self.num_memories,
            "epsilon": self.epsilon,
            "period": self.period,
            "delta": self.delta,
            "max_linesearch": self.max_linesearch,
            "on_iteration": _say if self.verbose else None,
        }
        self.model_ = LinearCRF(
            min_count=self.min_freq or 0.0,
            all_states=bool(self.all_possible_states) and not self.min_freq,  # their frequency is 0
            all_moves=bool(self.all_possible_transitions) and not self.min_freq,
            borders=False,
        ).fit_lbfgs(
            X,
            y,
            l1=self.c1 or 0.0,
            l2=1.0 if self.c2 is None else self.c2,
            **{name: value for name, value in options.items() if value is not None},
        )
        return self

    def predict(self, X: Sequence[Sequence[Any]]) -> list[list[str]]:
        """The best tags of each sentence together (Viterbi)."""
        return self._fitted().predict(X)

    def predict_single(self, xseq: Sequence[Any]) -> list[str]:
        """The best tags of one sentence."""
        return self.predict([xseq])[0]

    def predict_marginals(self, X: Sequence[Sequence[Any]]) -> list[list[dict[str, float]]]:
        """For each token of each sentence the probability of each tag."""
        model = self._fitted()
        return [
            [dict(zip(model.tags, row, strict=True)) for row in rows.tolist()] for rows in model.marginals(X)
        ]

    def predict_marginals_single(self, xseq: Sequence[Any]) -> list[dict[str, float]]:
        """For each token of one sentence the probability of each tag."""
        return self.predict_marginals([xseq])[0]

    def score(self, X: Sequence[Sequence[Any]], y: Sequence[Sequence[str]]) -> float:
        """The share of right tags."""
        return token_accuracy(y, self.predict(X)).accuracy

    @property
    def classes_(self) -> list[str]:
        """The tags."""
        return list(self._fitted().tags)

    @property
    def attributes_(self) -> list[str]:
        """Names of the features that have a weight other than 0."""
        model = self._fitted()
        used = np.abs(model.weights.states).max(axis=1) > 0
        return [name for name, is_used in zip(model.features.names or (), used, strict=True) if is_used]

    @property
    def num_attributes_(self) -> int:
        """How many of them."""
        return len(self.attributes_)

    @property
    def state_features_(self) -> Mapping[tuple[str, str], float]:
        """The weights that are not 0, by feature and tag."""
        model = self._fitted()
        names, states = model.features.names or [], model.weights.states
        return {(names[f], model.tags[k]): float(states[f, k]) for f, k in np.argwhere(states).tolist()}

    @property
    def transition_features_(self) -> Mapping[tuple[str, str], float]:
        """The weights of moves that are not 0, by tag and next tag."""
        model = self._fitted()
        moves = model.weights.transitions
        return {(model.tags[i], model.tags[j]): float(moves[i, j]) for i, j in np.argwhere(moves).tolist()}

    def _fitted(self) -> LinearCRF:
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self, "model_")
        return self.model_


def _say(iteration: int, value: float) -> None:
    print(f"iteration {iteration}: {value:.6f}")  # noqa: T201
