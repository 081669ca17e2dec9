"""The differences of variants, as effects on new seeds and new sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..evaluation.significance import by_unit, crossed_effect, holm, ratio_contributions
from .results import Effect

__all__ = ["CLAIM", "DECLARED", "Counts", "documents_of", "effects_of"]

DECLARED = (("softmax-constrained", "softmax"), ("crf", "softmax-constrained"), ("crf", "softmax"))
"""The contrasts declared beforehand, first minus second, under the first repair policy."""

EXPLORATORY = (
    ("crf-constrained", "softmax-constrained"),
    ("crf-constrained", "crf"),
    ("crf-greedy", "crf"),
    ("crf-posterior", "crf"),
    ("softmax-smoothed", "softmax-constrained"),
    ("crf", "feature-crf"),
)

CLAIM = 5
"""With fewer seeds no claim of significance is made."""

Counts = Mapping[str, Mapping[str, Mapping[int, np.ndarray]]]
"""By repair policy, variant and seed: numerator and denominator of each test sentence, ``(2, N)``."""


def effects_of(counts: Counts, units: Sequence[int] | None = None, *, declare: bool = True) -> list[Effect]:
    """All differences worth showing, the declared ones first, each under every repair policy of the counts.

    Args:
        counts: what each run has right, sentence by sentence; the first repair policy is the declared one.
        units: the document of each sentence; None: sentences are the units.
        declare: whether there are declared contrasts at all (not so in a further scheme).
    """
    found = list(_effects(counts, units))
    declared = [
        i
        for i, effect in enumerate(found)
        if declare and (effect.first, effect.second) in DECLARED and effect.repair == next(iter(counts))
    ]
    tested = [found[i].p for i in declared]
    adjusted = holm([p for p in tested if p is not None]) if None not in tested else [None] * len(tested)
    for i, p in zip(declared, adjusted, strict=True):
        found[i] = found[i].model_copy(update={"declared": True, "p_adjusted": p})
    return found


def _effects(counts: Counts, units: Sequence[int] | None) -> Iterator[Effect]:
    family = sum(all(name in next(iter(counts.values())) for name in pair) for pair in DECLARED)
    for pair in (*DECLARED, *EXPLORATORY):
        for repair, variants in counts.items():
            if all(name in variants for name in pair):
                yield _effect(*pair, repair, variants, units, max(family, 1) if pair in DECLARED else 1)


def _effect(
    first: str,
    second: str,
    repair: str,
    variants: Mapping[str, Mapping[int, np.ndarray]],
    units: Sequence[int] | None,
    comparisons: int,
) -> Effect:
    one, other = variants[first], variants[second]
    # a variant without seeds stands against every seed of another
    seeds = sorted(set(one) & set(other)) if len(one) > 1 and len(other) > 1 else sorted({*one, *other})
    tables = []
    for table in (one, other):
        rows = np.stack([table.get(seed, next(iter(table.values()))) for seed in seeds])
        rows = rows if units is None else by_unit(rows, units)
        tables.append(100 * ratio_contributions(rows[:, 0], rows[:, 1]))
    differences = tables[0] - tables[1]
    mean = {seed: float(row.mean()) for seed, row in zip(seeds, differences, strict=True)}
    S, N = differences.shape
    known = crossed_effect(differences, comparisons=comparisons) if S > 1 and N > 1 else None
    return Effect(
        first=first,
        second=second,
        repair=repair,
        declared=False,
        differences=mean,
        mean=float(differences.mean()),
        units=N,
        standard_error=known and known.standard_error,
        df=known and known.df,
        low=known and known.low,
        high=known and known.high,
        p=known.p if known and S >= CLAIM else None,
        p_adjusted=None,
        detectable=known and known.detectable,
    )


def documents_of(documents: Sequence[str | None]) -> list[int] | None:
    """Number the documents of sentences; None where they are not all known, or there is but one.

    Args:
        documents: the name of each sentence's document.
    """
    if None in documents or len(set(documents)) < 2:
        return None
    numbers: dict[str | None, int] = {}
    return [numbers.setdefault(name, len(numbers)) for name in documents]
