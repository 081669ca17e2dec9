"""Train every variant with every seed, and measure."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from .. import __version__
from ..data.batching import EncodedSentences, encode
from ..data.corpus import Corpus
from ..data.sentence import Sentence
from ..evaluation import SpanScores, evaluate_tags, invalid_sequences, token_accuracy
from ..labels import REPAIRS, get_scheme, ill_formed_moves
from ..nn import BiLSTMTagger
from ..tagging import Tagger
from ..tagging.predict import predict_tags
from ..training import (
    Epoch,
    Fit,
    Prepared,
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

    Returns:
        What was measured, and the tagger with the best development score of all.

    Raises:
        DataError: if the data cannot be trained on.
    """
    recipe = recipe or Recipe()
    prepared = prepare(train, dev, recipe)
    test_sentences = in_scheme(test, prepared.scheme)
    encoded = encode(test_sentences, prepared.vocabulary)
    variants = variants_for(recipe.task)
    runs: dict[str, list[Run]] = {variant.name: [] for variant in variants}
    first_tags: dict[str, list[list[str]]] = {}
    best: tuple[float, Tagger] | None = None
    plan = [(run, decoders, seed) for seed in seeds for run, decoders in runs_of(variants, recipe)]
    for number, (run_recipe, decoders, seed) in enumerate(plan):
        on_run(_run_title(decoders), seed, number, len(plan))
        seeded = run_recipe.model_copy(update={"seed": seed})
        model = build_model(prepared, seeded).model
        ways = {variant.name: variant.constrained for variant in decoders}
        record = fit(model, prepared, seeded, decoders=ways, on_step=on_step, on_epoch=on_epoch)
        if record.interrupted:
            raise KeyboardInterrupt
        for variant in decoders:
            run, tags = _measure(variant, seed, record, model, prepared, encoded, test_sentences)
            runs[variant.name].append(run)
            first_tags.setdefault(variant.name, tags)
            if best is None or run.dev_score > best[0]:
                said = seeded.model_copy(update={"constrain": variant.constrain})
                bundle = build_model(prepared, said)
                best = (
                    run.dev_score,
                    finished_tagger(bundle, said, record, record.kept[variant.name], train, dev),
                )
    assert best is not None  # there is at least one variant and one seed
    comparison = Comparison(
        chaincrf_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=recipe.task,
        corpus=[_summary("train", train), _summary("dev", dev), _summary("test", test)],
        scheme=prepared.scheme,
        tags=list(prepared.vocabulary.tags),
        seeds=list(seeds),
        recipe=recipe.model_dump(mode="json", exclude={"head", "constrain", "seed"}),
        environment=environment(),
        variants=[
            VariantResult(name=v.name, title=v.title, description=v.description, runs=runs[v.name])
            for v in variants
        ],
        example=_examples(test_sentences, first_tags, prepared.scheme),
    )
    return comparison, best[1]


def _run_title(decoders: Sequence[Variant]) -> str:
    return decoders[0].head if len(decoders) > 1 else decoders[0].title


def _measure(
    variant: Variant,
    seed: int,
    record: Fit,
    model: BiLSTMTagger,
    prepared: Prepared,
    encoded: EncodedSentences,
    sentences: Sequence[Sentence],
) -> tuple[Run, list[list[str]]]:
    kept = record.kept[variant.name]
    model.load_state_dict(kept.state)
    vocabulary = prepared.vocabulary
    start = time.perf_counter()
    (tags,) = predict_tags(model, encoded, vocabulary.tags, constrained=[variant.constrained])
    seconds = time.perf_counter() - start
    gold = [sentence.tags or () for sentence in sentences]
    if prepared.scheme is None:
        accuracy = token_accuracy(gold, tags)
        scores, per_label = {"accuracy": accuracy.accuracy}, accuracy.per_tag
        invalid = (0, 0, 0)
    else:
        by_repair: dict[str, SpanScores] = {
            repair: evaluate_tags(gold, tags, prepared.scheme, repair) for repair in REPAIRS
        }
        scores = {repair: score.overall.f1 for repair, score in by_repair.items()}
        per_label = by_repair[REPAIRS[0]].per_label
        rate = invalid_sequences(tags, prepared.scheme)
        invalid = (rate.invalid_sentences, rate.moves, rate.invalid_moves)
    run = Run(
        seed=seed,
        dev_score=kept.score,
        test_scores=scores,
        labels=[
            LabelScore(label=label, correct=score.correct, predicted=score.predicted, gold=score.gold)
            for label, score in sorted(per_label.items())
        ],
        sentences=len(sentences),
        invalid_sentences=invalid[0],
        moves=invalid[1],
        invalid_moves=invalid[2],
        epochs=len(record.epochs),
        best_epoch=kept.epoch,
        train_seconds=record.train_seconds,
        train_tokens_per_second=prepared.train.num_tokens * len(record.epochs) / record.train_seconds,
        tag_tokens_per_second=encoded.num_tokens / seconds,
    )
    return run, tags


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


def _examples(
    sentences: Sequence[Sentence], tags: dict[str, list[list[str]]], scheme: str | None
) -> list[dict[str, Any]]:
    """The first short sentences on which the variants (of the first seed) do not agree."""
    found = []
    for number, sentence in enumerate(sentences):
        said = {name: results[number] for name, results in tags.items()}
        if len({tuple(path) for path in said.values()}) == 1 or len(sentence.tokens) > 40:
            continue
        invalid = {
            name: ill_formed_moves(path, get_scheme(scheme)) if scheme else [] for name, path in said.items()
        }
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
