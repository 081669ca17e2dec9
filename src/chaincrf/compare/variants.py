"""The models that a comparison puts side by side.

Variants that differ in their decoder alone are *decoders of one training run*: the same weights at every
epoch, each with the epoch that its own development score selects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import ArgumentError
from ..tagging.predict import Way
from ..training import Recipe

__all__ = ["ALSO", "SMOOTHING", "VARIANTS", "Variant", "variants_for"]

SMOOTHING = 0.1
"""The label smoothing of the smoothed softmax."""


@dataclass(frozen=True)
class Variant:
    """One way to make tags of emissions, or of features.

    Attributes:
        name: short name.
        title: name for people.
        description: one sentence for the report.
        head: what is trained.
        constrain: where the scheme's forbidden moves are excluded.
        decoder: how the trained model is decoded, if not by the best path.
        smoothing: label smoothing of a softmax.
    """

    name: str
    title: str
    description: str
    head: Literal["softmax", "crf", "features"]
    constrain: Literal["never", "decode", "always"]
    decoder: Literal["best", "greedy", "posterior"] = "best"
    smoothing: float = 0.0

    @property
    def trained_as(self) -> str:
        """Equal for variants that share their weights: constraints in decoding change no training."""
        name = f"{self.head}-smoothed" if self.smoothing else self.head
        return f"{name}-constrained" if self.constrain == "always" else name

    @property
    def way(self) -> Way:
        """How it decodes."""
        return self.constrain != "never" if self.decoder == "best" else self.decoder

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe of its training."""
        constrain = "always" if self.constrain == "always" else "decode"
        head = "crf" if self.head == "features" else self.head
        update = {"head": head, "constrain": constrain, "label_smoothing": self.smoothing}
        return Recipe.model_validate(recipe.model_dump() | update)


VARIANTS = (
    Variant("softmax", "softmax, greedy", "every token takes its own best tag", "softmax", "never"),
    Variant(
        "softmax-constrained",
        "softmax, constrained",
        "the same softmax, decoded by Viterbi under the scheme's constraints: nothing is learned about moves",
        "softmax",
        "decode",
    ),
    Variant("crf", "CRF", "learns a score for every move; none is excluded", "crf", "never"),
    Variant(
        "crf-constrained",
        "CRF, constrained",
        "learns a score for every move; forbidden moves are excluded in training and in decoding",
        "crf",
        "always",
    ),
)
"""What every comparison trains."""

ALSO = (
    Variant(
        "crf-greedy",
        "CRF, left to right",
        "the CRF without its search: every token takes its best tag after the one before it",
        "crf",
        "never",
        decoder="greedy",
    ),
    Variant(
        "crf-posterior",
        "CRF, posterior",
        "the CRF decoded for the most right tokens to be expected, by its marginals",
        "crf",
        "never",
        decoder="posterior",
    ),
    Variant(
        "softmax-smoothed",
        "softmax, smoothed",
        f"a softmax trained with label smoothing {SMOOTHING}, decoded under the scheme's constraints",
        "softmax",
        "decode",
        smoothing=SMOOTHING,
    ),
    Variant(
        "feature-crf",
        "CRF on features",
        "a classical CRF (CRFsuite) on a dozen hand-made features: no network, no word vectors, no seeds",
        "features",
        "never",
    ),
)
"""What a comparison trains on demand."""


def variants_for(task: str, also: Sequence[str] = ()) -> tuple[Variant, ...]:
    """The variants of a comparison; for POS, where every move is allowed, those that constraints do not make.

    Args:
        task: "ner" or "pos".
        also: names of ``ALSO`` to add, or "all".

    Raises:
        ArgumentError: if there is no such variant.
    """
    names = [variant.name for variant in ALSO]
    for name in also:
        if name not in (*names, "all"):
            raise ArgumentError(f"also: expected one of {', '.join(names)} or all, got {name!r}")
    chosen = [*VARIANTS, *(v for v in ALSO if v.name in also or "all" in also)]
    if task != "ner":
        chosen = [v for v in chosen if v.constrain == "never" or v.smoothing]
    return tuple(chosen)
