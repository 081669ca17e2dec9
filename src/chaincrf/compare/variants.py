"""The models that a comparison puts side by side.

Variants that differ in their decoder alone are *decoders of one training run*: the same weights at every
epoch, each with the epoch that its own development score selects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..training import Recipe

__all__ = ["VARIANTS", "Variant", "runs_of", "variants_for"]


@dataclass(frozen=True)
class Variant:
    """One way to make tags of emissions.

    Attributes:
        name: short name.
        title: name for people.
        description: one sentence for the report.
        head: what is trained.
        constrain: where the scheme's forbidden moves are excluded.
    """

    name: str
    title: str
    description: str
    head: Literal["softmax", "crf"]
    constrain: Literal["never", "decode", "always"]

    @property
    def trained_as(self) -> tuple[str, str]:
        """Equal for variants that share their weights: constraints in decoding change no training."""
        return self.head, "always" if self.constrain == "always" else "decode"

    @property
    def constrained(self) -> bool:
        """Whether decoding is constrained."""
        return self.constrain != "never"


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


def variants_for(task: str) -> tuple[Variant, ...]:
    """All variants for NER; for POS, where every move is allowed, those without constraints."""
    return VARIANTS if task == "ner" else tuple(v for v in VARIANTS if v.constrain == "never")


def runs_of(variants: Sequence[Variant], recipe: Recipe) -> list[tuple[Recipe, list[Variant]]]:
    """The training runs that variants need: the recipe of each, and the variants that decode its model."""
    runs: dict[tuple[str, str], list[Variant]] = {}
    for variant in variants:
        runs.setdefault(variant.trained_as, []).append(variant)
    return [
        (recipe.model_copy(update={"head": head, "constrain": constrain}), decoders)
        for (head, constrain), decoders in runs.items()
    ]
