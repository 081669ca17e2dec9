"""Train every variant with every seed, and measure."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from .. import __version__
from ..data.batching import encode
from ..data.corpus import Corpus
from ..errors import ArgumentError, DataError, NotFiniteError
from ..evaluation import measure
from ..labels import ill_formed_moves
from ..nn import BiLSTMTagger
from ..tagging import Tagger
from ..tagging.predict import predict_tags
from ..training import (
    Epoch,
    Kept,
    Recipe,
    build_model,
    environment,
    finished_tagger,
    fit,
    in_scheme,
    prepare,
)
from .results import Comparison, CorpusSummary, LabelScore, Run, VariantResult
from .variants import Variant, runs_of, variants_for

__all__ = ["compare"]

_EXAMPLES = 12


def compare(
    train: Corpus,
    dev: Corpus,
    test: Corpus,
    recipe: Recipe | None = None,
    *,
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    on_run: Callable[[str, int, int, int], None] = lambda title, seed, done, total: None,
    on_step: Callable[[int, int], None] = lambda done, total: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_failure: Callable[[NotFiniteError], object] = lambda error: warnings.warn(str(error), stacklevel=2),
) -> tuple[Comparison, Tagger]:
    """Train all variants, paired by seed, and measure each on the test data.

    With the same seed all variants start from the same weights (of what they share) and see the same
    batches and dropout; the loss of both heads is the negative log-likelihood of a sentence, averaged over
    the batch. The test data is read once per run, after training.

    Args:
        train, dev, test: the data.
        recipe: how to train; its ``head``, ``constrain`` and ``seed`` are set by the comparison.
        seeds: one training run of each variant for every one of them.
        on_run: called before each training run with its name, seed, number (from 0) and the number of all.
        on_step, on_epoch: as in :func:`chaincrf.training.fit`.
        on_failure: called with a loss or gradient that is not finite, if one ends the comparison early.

    Returns:
        What was measured, and the tagger with the best development score of all.

    Raises:
        ArgumentError: if there is no seed, or one twice.
        DataError: if the data cannot be trained on.
        NotFiniteError: if a loss or gradient is not finite before the first seed is done.

    After a keyboard interrupt, or a loss that is not finite, the comparison covers the seeds that all
    variants were done with; before the first such seed it is raised.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ArgumentError(f"seeds: expected distinct ones, at least one, got {list(seeds)}")
    recipe = recipe or Recipe()
    bench = _Bench(train, dev, test, recipe)
    variants = variants_for(recipe.task)
    plan = runs_of(variants, recipe)
    rounds: list[dict[str, _Result]] = []
    best: _Result | None = None
    try:
        for turn, seed in enumerate(seeds):
            results: dict[str, _Result] = {}
            for number, (run_recipe, decoders) in enumerate(plan, start=turn * len(plan)):
                title = decoders[0].head if len(decoders) > 1 else decoders[0].title
                on_run(title, seed, number, len(plan) * len(seeds))
                seeded = Recipe.model_validate(run_recipe.model_dump() | {"seed": seed})
                results |= bench.run(seeded, decoders, on_step, on_epoch)
            rounds.append(results)
            best = max(filter(None, (best, *results.values())), key=lambda result: result.kept.score)
            for result in results.values():
                if result is not best:
                    result.kept.state = {}  # one model is kept, not all
    except (KeyboardInterrupt, NotFiniteError) as error:
        if not rounds:
            raise
        if isinstance(error, NotFiniteError):
            on_failure(error)
    assert best is not None  # there is at least one seed
    comparison = Comparison(
        chaincrf_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=recipe.task,
        corpus=[_summary("train", train), _summary("dev", dev), _summary("test", test)],
        scheme=bench.prepared.scheme,
        tags=list(bench.prepared.vocabulary.tags),
        seeds=list(seeds)[: len(rounds)],
        recipe=recipe.model_dump(mode="json", exclude={"head", "constrain", "seed"}),
        environment=environment(),
        variants=[
            VariantResult(
                name=variant.name,
                title=variant.title,
                description=variant.description,
                runs=[results[variant.name].run for results in rounds],
            )
            for variant in variants
        ],
        example=bench.examples({name: result.tags for name, result in rounds[0].items()}),
    )
    return comparison, bench.tagger(best)


@dataclass(frozen=True)
class _Result:
    """One variant, trained with one seed."""

    recipe: Recipe
    kept: Kept
    run: Run
    tags: list[list[str]]


class _Bench:
    """What all runs share: the data, encoded once."""

    def __init__(self, train: Corpus, dev: Corpus, test: Corpus, recipe: Recipe) -> None:
        self.train, self.dev = train, dev
        self.prepared = prepare(train, dev, recipe)
        self.sentences = in_scheme(test, self.prepared.scheme)
        if not self.sentences or any(sentence.tags is None for sentence in self.sentences):
            raise DataError("expected tagged sentences to test on", path=test.report.path)
        self.gold = [sentence.tags or () for sentence in self.sentences]
        self.encoded = encode(self.sentences, self.prepared.vocabulary)

    def run(
        self,
        recipe: Recipe,
        decoders: Sequence[Variant],
        on_step: Callable[[int, int], None],
        on_epoch: Callable[[Epoch], None],
    ) -> dict[str, _Result]:
        """Train one model, and measure every variant that decodes it."""
        model = build_model(self.prepared, recipe).model
        ways = {variant.name: variant.constrained for variant in decoders}
        record = fit(model, self.prepared, recipe, decoders=ways, on_step=on_step, on_epoch=on_epoch)
        if record.interrupted:
            raise KeyboardInterrupt
        if record.failure is not None:
            raise record.failure
        results = {}
        for variant in decoders:
            kept = record.kept[variant.name]
            kept.restore(model)
            tags, speed = self._tag(model, variant)
            said = recipe.model_copy(update={"constrain": variant.constrain})
            results[variant.name] = _Result(said, kept, self._measure(recipe.seed, kept, tags, speed), tags)
        return results

    def _tag(self, model: BiLSTMTagger, variant: Variant) -> tuple[list[list[str]], float]:
        """The test data's tags, and tokens tagged a second: the median of three passes after a first one."""
        tags: list[list[str]] = []
        seconds = []
        for _ in range(4):
            start = time.perf_counter()
            (tags,) = predict_tags(
                model, self.encoded, self.prepared.vocabulary.tags, constrained=[variant.constrained]
            )
            seconds.append(time.perf_counter() - start)
        return tags, self.encoded.num_tokens / median(seconds[1:])

    def _measure(self, seed: int, kept: Kept, tags: list[list[str]], speed: float) -> Run:
        found = measure(self.gold, tags, self.prepared.scheme)
        return Run(
            seed=seed,
            dev_score=kept.score,
            test_scores=found.scores,
            labels=[
                LabelScore(label=label, correct=score.correct, predicted=score.predicted, gold=score.gold)
                for label, score in found.per_label.items()
            ],
            sentences=len(self.sentences),
            invalid_sentences=found.invalid.invalid_sentences if found.invalid else 0,
            moves=found.invalid.moves if found.invalid else 0,
            invalid_moves=found.invalid.invalid_moves if found.invalid else 0,
            epochs=kept.epochs,
            best_epoch=kept.epoch,
            train_seconds=kept.train_seconds,
            train_tokens_per_second=self.prepared.train.num_tokens * kept.epochs / kept.train_seconds,
            tag_tokens_per_second=speed,
        )

    def examples(self, tags: dict[str, list[list[str]]]) -> list[dict[str, Any]]:
        """The first short sentences on which the variants do not agree."""
        scheme = self.prepared.scheme
        found = []
        for number, sentence in enumerate(self.sentences):
            said = {name: results[number] for name, results in tags.items()}
            if len({tuple(path) for path in said.values()}) == 1 or len(sentence.tokens) > 40:
                continue
            invalid = {name: ill_formed_moves(path, scheme) if scheme else [] for name, path in said.items()}
            found.append(
                {
                    "tokens": list(sentence.tokens),
                    "gold": list(sentence.tags or ()),
                    "tags": said,
                    "invalid": invalid,
                }
            )
            if len(found) == _EXAMPLES:
                break
        return found

    def tagger(self, result: _Result) -> Tagger:
        """The model of a result, ready to tag."""
        bundle = build_model(self.prepared, result.recipe)
        return finished_tagger(bundle, result.recipe, result.kept, self.train, self.dev)


def _summary(split: str, corpus: Corpus) -> CorpusSummary:
    report = corpus.report
    return CorpusSummary(
        split=split,  # type: ignore[arg-type]
        path=report.shown_path,
        sha256=report.sha256,
        sentences=report.sentences,
        tokens=report.tokens,
        spans=None if report.scheme is None else sum(report.labels.values()),
        repaired_sentences=report.repaired_sentences,
    )
