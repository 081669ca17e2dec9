"""All runs of a comparison in one tagging scheme, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from ..labels import REPAIRS, constraints_from_tags, ill_formed_moves
from ..training import Recipe, in_scheme
from .effects import documents_of, effects_of
from .jobs import Bench, JobRecord, Outcome
from .measures import TestSet, measure_run
from .results import Effect, Run, Transitions, VariantResult
from .variants import Variant, variants_for

__all__ = ["SchemeTable", "tags_of"]

_EXAMPLES = 12
_EXAMPLE_TOKENS = 40
_TESTED = ("conlleval", "drop")  # under strict nothing is tested: it lies between


class SchemeTable:
    """Every variant with every seed in one scheme.

    Args:
        bench: the data.
        recipe: of the comparison.
        scheme: the scheme; not looked at for POS.
        seeds: those that all variants were done with.
        records: the runs by name.
        also: the further variants.
    """

    def __init__(
        self,
        bench: Bench,
        recipe: Recipe,
        scheme: str,
        seeds: Sequence[int],
        records: Mapping[str, JobRecord],
        also: Sequence[str],
    ) -> None:
        said = scheme if recipe.task == "ner" else None
        self.test = TestSet(in_scheme(bench.train, said), bench.gold(said), said)
        self.units = documents_of([sentence.document for sentence in self.test.sentences])
        self._records = {
            (name, record.seed): record
            for record in records.values()
            if record.scheme == said and record.seed in seeds
            for name in record.outcomes
        }
        self.tags = next(r.tags for r in self._records.values() if r.has_model)
        self._order = [v for v in variants_for(recipe.task, also) if (v.name, seeds[0]) in self._records]
        names = _TESTED if said else ("accuracy",)
        self._counts: dict[str, dict[str, dict[int, np.ndarray]]] = {
            repair: {v.name: {} for v in self._order} for repair in names
        }
        self._first = seeds[0]
        tokens = sum(map(len, in_scheme(bench.train, said)))
        self.variants = [self._variant(variant, seeds, tokens) for variant in self._order]

    def _variant(self, variant: Variant, seeds: Sequence[int], tokens: int) -> VariantResult:
        runs: list[Run] = []
        for seed in seeds:
            record = self._records.get((variant.name, seed))
            if record is None:  # the variant has no seeds
                continue
            outcome = record.outcomes[variant.name]
            runs.append(measure_run(self.test, record, outcome, tokens))
            tags = tags_of(record, outcome)
            for repair, table in self._counts.items():
                table[variant.name][seed] = self.test.counts(tags, repair if self.test.scheme else REPAIRS[0])
        return VariantResult(
            name=variant.name, title=variant.title, description=variant.description, runs=runs
        )

    def effects(self, *, declare: bool = True) -> list[Effect]:
        """The differences of the variants."""
        return effects_of(self._counts, self.units, declare=declare)

    def transitions(self) -> Transitions | None:
        """The learned scores of the constrained CRF, or of the CRF, mean over the seeds."""
        for name in ("crf-constrained", "crf"):
            tables = [r.transitions for (n, _), r in self._records.items() if n == name]
            found = [table for table in tables if table is not None]
            if not found:
                continue
            scores = [[_mean(cell) for cell in zip(*rows, strict=True)] for rows in zip(*found, strict=True)]
            K = len(self.tags)
            if self.test.scheme is None:
                allowed = [[True] * K for _ in range(K)]
            else:
                moves = constraints_from_tags(self.tags, self.test.scheme).transitions
                allowed = [list(row) for row in moves]
            return Transitions(variant=name, scores=scores, allowed=allowed)
        return None

    def examples(self) -> list[dict[str, Any]]:
        """Short sentences on which the variants of the first seed do not agree, spread over the test data."""
        said = {
            variant.name: tags_of(record, record.outcomes[variant.name])
            for variant in self._order
            if (record := self._records.get((variant.name, self._first))) is not None
        }
        found = []
        for number, sentence in enumerate(self.test.sentences):
            paths = {name: tags[number] for name, tags in said.items()}
            if len({tuple(path) for path in paths.values()}) == 1 or len(sentence) > _EXAMPLE_TOKENS:
                continue
            scheme = self.test.scheme
            invalid = {name: ill_formed_moves(path, scheme) if scheme else [] for name, path in paths.items()}
            found.append(
                {
                    "tokens": list(sentence.tokens),
                    "gold": list(sentence.tags or ()),
                    "tags": paths,
                    "invalid": invalid,
                }
            )
        step = max(1, len(found) // _EXAMPLES)
        return found[::step][:_EXAMPLES]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def tags_of(record: JobRecord, outcome: Outcome) -> list[list[str]]:
    """The tags of a run as text."""
    return [[record.tags[i] for i in path] for path in outcome.tags]
