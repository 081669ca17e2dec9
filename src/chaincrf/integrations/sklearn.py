"""A CRF as an estimator of scikit-learn; needs the extra ``sklearn``.

The targets are lists of tags, which scikit-learn knows as no kind of classification; so the estimator is none
of its classifiers, cross-validation does not stratify, and ``score`` is our own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .._lazy import require
from ..errors import ArgumentError
from ..evaluation import token_accuracy
from ..evaluation.span_f1 import evaluate_tags
from ..linear import LinearCRF, word_features

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
else:
    BaseEstimator = require("sklearn.base", "sklearn").BaseEstimator

__all__ = ["ChainCRFClassifier"]


class ChainCRFClassifier(BaseEstimator):
    """The classical linear-chain CRF over sparse features; see :class:`chaincrf.linear.LinearCRF`.

    It minimises ``-log p(y | X) + l1 |w| + l2 |w|^2``, summed over sentences, exactly.

    Args:
        algorithm: ``"lbfgs"`` (OWL-QN with ``l1``) or ``"adam"``.
        l1, l2: weights of the penalties.
        max_iterations: the most steps of L-BFGS, or the epochs of Adam.
        tolerance: L-BFGS ends where the function falls by less than this share of itself in ten steps.
        learning_rate, batch_size: of Adam.
        features: makes the features of a sentence given as a list of tokens; None:
            :func:`chaincrf.linear.word_features`.
        n_features: hash features into so many columns, a power of two; None: a column for each name.
        min_count: weights of a feature with a tag need so much of the feature at tokens of the tag.
        all_possible_states: weights also for pairs of feature and tag that the data never show together.
        scheme: a tagging scheme, such as ``"BIO"``: what it forbids gets probability zero, and ``score`` is
            span F1.
        random_state: seed of Adam's order of the sentences.

    Attributes:
        classes_: the tags, ``(K,)``.
        model_: the :class:`chaincrf.linear.LinearCRF`.
        n_iter_: steps or epochs made.
    """

    def __init__(
        self,
        algorithm: Literal["lbfgs", "adam"] = "lbfgs",
        *,
        l1: float = 0.0,
        l2: float = 0.1,
        max_iterations: int = 100,
        tolerance: float = 1e-5,
        learning_rate: float = 0.05,
        batch_size: int = 32,
        features: Callable[[Sequence[str]], Sequence[Any]] | None = None,
        n_features: int | None = None,
        min_count: float = 0.0,
        all_possible_states: bool = False,
        scheme: str | None = None,
        random_state: int = 0,
    ) -> None:
        self.algorithm = algorithm
        self.l1 = l1
        self.l2 = l2
        self.max_iterations = max_iterations
        self.tolerance = tolerance
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.features = features
        self.n_features = n_features
        self.min_count = min_count
        self.all_possible_states = all_possible_states
        self.scheme = scheme
        self.random_state = random_state

    def fit(self, X: Sequence[Sequence[Any]], y: Sequence[Sequence[str | None]]) -> ChainCRFClassifier:
        """Learn the weights.

        Args:
            X: for each sentence its tokens, or their features: a dictionary, or names, for each token.
            y: for each sentence its tags; None where a tag is not known: it is summed over.

        Raises:
            ArgumentError: an unknown algorithm, lengths that differ, no tags, a feature that is none, or tags
                that the scheme forbids.
        """
        if self.algorithm not in ("lbfgs", "adam"):
            raise ArgumentError(f'algorithm: expected "lbfgs" or "adam", got {self.algorithm!r}')
        model = LinearCRF(
            buckets=self.n_features,
            min_count=self.min_count,
            all_states=self.all_possible_states,
            scheme=self.scheme,
        )
        rows, l1, l2 = self._rows(X), self.l1, self.l2
        if self.algorithm == "lbfgs":
            model.fit_lbfgs(rows, y, l1=l1, l2=l2, max_iterations=self.max_iterations, delta=self.tolerance)
        else:
            model.fit_adam(
                rows,
                y,
                l1=l1,
                l2=l2,
                epochs=self.max_iterations,
                batch_size=self.batch_size,
                learning_rate=self.learning_rate,
                seed=self.random_state,
            )
        self.model_ = model
        self.classes_ = np.array(model.tags)
        self.n_iter_ = model.minimum.iterations if model.minimum else self.max_iterations
        return self

    def predict(self, X: Sequence[Sequence[Any]]) -> list[list[str]]:
        """The best tags of each sentence together (Viterbi)."""
        return self._fitted().predict(self._rows(X))

    def predict_proba(self, X: Sequence[Sequence[Any]]) -> list[np.ndarray]:
        """The marginals: ``(T, K)`` a sentence, the probability of each of ``classes_`` at each token."""
        return self._fitted().marginals(self._rows(X))

    def predict_marginals(self, X: Sequence[Sequence[Any]]) -> list[list[dict[str, float]]]:
        """The same as dictionaries from tags to probabilities, one a token."""
        tags = self.classes_.tolist() if hasattr(self, "classes_") else []
        return [
            [dict(zip(tags, row, strict=True)) for row in rows.tolist()] for rows in self.predict_proba(X)
        ]

    def score(self, X: Sequence[Sequence[Any]], y: Sequence[Sequence[str]]) -> float:
        """Span F1 if there is a scheme, the share of right tags if not."""
        predicted = self.predict(X)
        if self.scheme is not None:
            return evaluate_tags(y, predicted, self.scheme).overall.f1
        return token_accuracy(y, predicted).accuracy

    def _rows(self, X: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        if isinstance(X, str) or any(isinstance(sentence, str) for sentence in X):
            raise ArgumentError("X: expected sentences as lists of tokens or of features, got a text")
        make = self.features or word_features
        return [
            make(sentence) if len(sentence) and isinstance(sentence[0], str) else sentence for sentence in X
        ]

    def _fitted(self) -> LinearCRF:
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self, "model_")
        return self.model_
