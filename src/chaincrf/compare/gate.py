"""Is a new model worse than an old one? A comparison's tests, for a gate in continuous integration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..data.corpus import Corpus
from ..errors import ArgumentError
from ..evaluation.significance import CrossedEffect, by_unit, crossed_effect, ratio_contributions, unit_effect
from ..labels import REPAIRS, Span, tags_to_spans
from ..tagging import Tagger
from ..training import in_scheme
from .effects import documents_of

__all__ = ["LEVEL", "Gate", "compare_models"]

LEVEL = 0.05


@dataclass(frozen=True)
class Gate:
    """New models minus old ones on test data, in points.

    Attributes:
        metric: "F1" or "accuracy".
        old, new: mean scores, 0 to 100.
        pairs: pairs of models.
        effect: of one pair on new sentences, of several on new trainings too.
    """

    metric: str
    old: float
    new: float
    pairs: int
    unit: str
    effect: CrossedEffect

    @property
    def worse(self) -> bool:
        """Whether the new models score significantly below the old ones."""
        return self.effect.mean < 0 and self.effect.p < LEVEL

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "worse": self.worse}

    def __str__(self) -> str:
        effect = self.effect
        what = "significantly worse" if self.worse else "not shown to be worse"
        new = f"new trainings and new {self.unit}s" if self.pairs > 1 else f"new {self.unit}s"
        return (
            f"{self.metric} {self.new:.2f} against {self.old:.2f}: {what}. The difference is "
            f"{effect.mean:+.2f} points, 95% interval {effect.low:+.2f} to {effect.high:+.2f} for {new}, "
            f"p = {effect.p:.3f}; a loss of {effect.detectable:.2f} points would be found in four cases of "
            "five."
        )


def compare_models(old: Sequence[Tagger], new: Sequence[Tagger], test: Corpus) -> Gate:
    """Tag the test data with old and new models, and test the difference.

    F1 is that of spans, ill-formed ones repaired (conlleval), whatever scheme each model predicts in.

    Args:
        old, new: models, paired by their order (trained with the same seed, say).
        test: tagged data.

    Raises:
        ArgumentError: their numbers differ, or there is none, or a model is of another task than the data.
    """
    if len(old) != len(new) or not old:
        raise ArgumentError(f"expected as many new models as old ones, got {len(new)} and {len(old)}")
    for tagger in (*old, *new):
        if tagger.bundle.config.task != test.report.task:
            raise ArgumentError(
                f"expected models for the task {test.report.task!r}, as the test data are read, got one for "
                f"{tagger.bundle.config.task!r}"
            )
    sentences = in_scheme(test, test.report.scheme)
    scheme = test.report.scheme
    gold = [set(_spans(sentence.tags or (), scheme)) for sentence in sentences]
    units = documents_of([sentence.document for sentence in sentences])
    tables = []
    for models in (old, new):
        rows = []
        for tagger in models:
            tags = tagger.tag_sentences(sentences)
            found = [set(_spans(path, tagger.bundle.config.scheme)) for path in tags]
            pairs = list(zip(found, gold, strict=True))
            rows.append([[2 * len(a & b) for a, b in pairs], [len(a) + len(b) for a, b in pairs]])
        counts = np.array(rows)
        counts = counts if units is None else by_unit(counts, units)
        tables.append(100 * ratio_contributions(counts[:, 0], counts[:, 1]))
    differences = tables[1] - tables[0]
    return Gate(
        metric="accuracy" if scheme is None else "F1",
        old=float(tables[0].mean()),
        new=float(tables[1].mean()),
        pairs=len(old),
        unit="sentence" if units is None else "document",
        effect=crossed_effect(differences) if len(old) > 1 else unit_effect(differences[0]),
    )


def _spans(tags: Sequence[str], scheme: str | None) -> list[Span]:
    if scheme is None:
        return [Span(i, i + 1, tag) for i, tag in enumerate(tags)]
    return tags_to_spans(tags, scheme, REPAIRS[0])
