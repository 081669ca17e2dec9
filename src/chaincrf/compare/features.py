"""The classical baseline: a CRF on hand-made features, by CRFsuite (extra ``crfsuite``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .._lazy import require
from ..data.shapes import SHAPES, word_shape

__all__ = ["FeatureCRF", "features"]

_AFFIX = 3


def features(tokens: Sequence[str]) -> list[dict[str, str | bool]]:
    """A dozen features of each token: the word, its ends, its shape, and the words beside it."""
    lower = [token.lower() for token in tokens]
    shapes = [SHAPES[word_shape(token)] for token in tokens]
    found = []
    for i, token in enumerate(tokens):
        item: dict[str, str | bool] = {
            "word": lower[i],
            "prefix": lower[i][:_AFFIX],
            "suffix": lower[i][-_AFFIX:],
            "suffix-2": lower[i][-2:],
            "shape": shapes[i],
            "hyphen": "-" in token,
            "digit": any(character.isdigit() for character in token),
        }
        for step in (-2, -1, 1, 2):
            inside = 0 <= i + step < len(tokens)
            item[f"{step:+}:word"] = lower[i + step] if inside else "<edge>"
            if abs(step) == 1:
                item[f"{step:+}:shape"] = shapes[i + step] if inside else "<edge>"
        found.append(item)
    return found


class FeatureCRF:
    """CRFsuite with L-BFGS and elastic-net weights of 0.1, its usual setting.

    Raises:
        MissingExtra: sklearn-crfsuite is not installed.
    """

    def __init__(self) -> None:
        self._model: Any = require("sklearn_crfsuite", "crfsuite").CRF(
            algorithm="lbfgs", c1=0.1, c2=0.1, max_iterations=100, all_possible_transitions=True
        )

    def fit(self, tokens: Sequence[Sequence[str]], tags: Sequence[Sequence[str]]) -> None:
        """Train on tagged sentences; the same data give the same model."""
        self._model.fit([features(sentence) for sentence in tokens], [list(path) for path in tags])

    def predict(self, tokens: Sequence[Sequence[str]]) -> list[list[str]]:
        """The best path of each sentence."""
        return [[str(tag) for tag in path] for path in self._model.predict(self._items(tokens))]

    def marginals(self, tokens: Sequence[Sequence[str]]) -> list[list[dict[str, float]]]:
        """The probability of each tag of each token."""
        return self._model.predict_marginals(self._items(tokens))

    def _items(self, tokens: Sequence[Sequence[str]]) -> Iterator[list[dict[str, str | bool]]]:
        return (features(sentence) for sentence in tokens)
