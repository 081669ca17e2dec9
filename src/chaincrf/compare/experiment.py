"""Train every variant with every seed, and measure."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import datetime, timezone
from pathlib import Path

from .. import __version__
from ..data.corpus import Corpus
from ..errors import ArgumentError, DataError, NotFiniteError
from ..labels import get_scheme
from ..tagging import Tagger
from ..training import Epoch, Recipe, environment, in_scheme
from .jobs import Bench, Job, JobRecord, plan_jobs
from .predictor import predictors
from .results import Comparison, CorpusSummary, SchemeResult
from .runs import RunStore, on_ray, run_here, run_in_processes
from .scheme_table import SchemeTable

__all__ = ["compare"]

OnRun = Callable[[Job, int, int], None]
"""Told when a run begins: the job, how many are done, and the number of all."""


def compare(
    train: Corpus,
    dev: Corpus,
    test: Corpus,
    recipe: Recipe | None = None,
    *,
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    schemes: Sequence[str] = (),
    also: Sequence[str] = (),
    folder: Path | None = None,
    jobs: int = 0,
    ray: str | None = None,
    command: str | None = None,
    attribution: str | None = None,
    on_run: OnRun = lambda job, done, total: None,
    on_progress: Callable[[Job, int | Epoch, int], None] = lambda job, done, total: None,
    on_failure: Callable[[NotFiniteError], object] = lambda error: warnings.warn(str(error), stacklevel=2),
) -> tuple[Comparison, Tagger]:
    """Train all variants, paired by seed, and measure each on the test data.

    With the same seed all variants start from the same weights (of what they share) and see the same
    batches and dropout; the loss of both heads is the negative log-likelihood of a sentence, averaged over
    the batch. The test data is read once per run, after training.

    Args:
        train, dev, test: the data.
        recipe: how to train; its ``head``, ``constrain``, ``label_smoothing`` and ``seed`` are set by the
            comparison.
        seeds: one training run of each variant for every one of them.
        schemes: the tagging schemes to compare in; the first is the main one, by default the recipe's alone.
        also: further variants, names of ``ALSO`` or "all".
        folder: where the record of every run is kept; a run that is there is not done again. None: nowhere.
        jobs: processes at a time, a run each; 0: in this process. With more than one the runs of the first
            seed still go one by one, so that their times and memory count.
        ray: in place of ``jobs``, the address of a Ray cluster, or "local". Nothing is timed there.
        command, attribution: for the report.
        on_run: told when a run begins.
        on_progress: told of a run's steps and epochs.
        on_failure: called with a loss or gradient that is not finite, if one ends the comparison early.

    Returns:
        What was measured, and the tagger with the best development score of all.

    Raises:
        ArgumentError: if there is no seed, or one twice, or no such variant.
        DataError: if the data cannot be trained on.
        NotFiniteError: if a loss or gradient is not finite before the first seed is done.

    After a keyboard interrupt, or a loss that is not finite, the comparison covers the seeds that all
    variants were done with; before the first such seed it is raised.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ArgumentError(f"seeds: expected distinct ones, at least one, got {list(seeds)}")
    recipe = recipe or Recipe()
    names = [get_scheme(name).name for name in schemes] or [recipe.scheme]
    if len(set(names)) < len(names):
        raise ArgumentError(f"schemes: expected distinct ones, got {names}")
    schemes = names if recipe.task == "ner" else names[:1]
    for corpus in (train, dev, test):
        if corpus.report.unknown:
            raise DataError("expected data with all tags known", path=corpus.report.path)
    bench = Bench(train, dev, test)
    for scheme in schemes:
        bench.gold(scheme if recipe.task == "ner" else None)  # what cannot be tested is not trained
    plan = plan_jobs(recipe, schemes, seeds, also)
    place = tempfile.TemporaryDirectory() if folder is None else nullcontext(str(folder))
    with place as path:
        store = RunStore(Path(path))
        records, end = _run_all(plan, bench, store, jobs, ray, on_run, on_progress)
        complete = [
            seed for seed in seeds if all(job.name in records for job in plan if job.recipe.seed == seed)
        ]
        if not complete:
            raise end or KeyboardInterrupt
        if isinstance(end, NotFiniteError):
            on_failure(end)
        tables = [SchemeTable(bench, recipe, scheme, complete, records, also) for scheme in schemes]
        best = _best(records)
        assert best is not None  # every comparison trains a network
        tagger = store.tagger(best)
    main, *others = tables
    comparison = Comparison(
        chaincrf_version=__version__,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=command,
        attribution=attribution,
        task=recipe.task,
        corpus=[_summary("train", train), _summary("dev", dev), _summary("test", test)],
        scheme=main.test.scheme,
        tags=main.tags,
        seeds=complete,
        unit="sentence" if main.units is None else "document",
        recipe=recipe.model_dump(mode="json", exclude={"head", "constrain", "seed", "label_smoothing"}),
        environment=environment(),
        variants=main.variants,
        effects=main.effects(),
        other_schemes=[
            SchemeResult(
                scheme=table.test.scheme or "",
                tags=table.tags,
                variants=table.variants,
                effects=table.effects(declare=False),
            )
            for table in others
        ],
        transitions=main.transitions(),
        predictors=predictors(in_scheme(train, main.test.scheme), main.test.scheme),
        example=main.examples(),
    )
    return comparison, tagger


def _run_all(
    plan: Sequence[Job],
    bench: Bench,
    store: RunStore,
    jobs: int,
    ray: str | None,
    on_run: OnRun,
    on_progress: Callable[[Job, int | Epoch, int], None],
) -> tuple[dict[str, JobRecord], KeyboardInterrupt | NotFiniteError | None]:
    """The record of every run, from the store or done now, and what ended them before their time."""
    records = {job.name: record for job in plan if (record := store.load(job, bench)) is not None}
    best = _best(records)
    if best is not None and not store.has_model(best):
        del records[best.name]  # its model was lost: done again
        best = None
    begun: set[str] = set()

    def progress(job: Job, done: int | Epoch, total: int) -> None:
        if job.name not in begun:
            begun.add(job.name)
            on_run(job, len(records), len(plan))
        on_progress(job, done, total)

    todo = [job for job in plan if job.name not in records]
    first = [job for job in todo if job.recipe.seed == plan[0].recipe.seed]
    if ray is not None:
        rounds = [on_ray(todo, bench, progress, address=ray)]
    elif jobs > 1:  # the first seed's runs are timed
        rest = todo[len(first) :]
        rounds = [
            run_in_processes(first, bench, progress, most=1),
            run_in_processes(rest, bench, progress, most=jobs),
        ]
    else:
        rounds = [
            run_in_processes(todo, bench, progress, most=1) if jobs else run_here(todo, bench, progress)
        ]
    try:
        for results in rounds:
            for job, result in results:
                if result.model and (best is None or result.record.score > best.score):
                    store.keep_model(result, best)
                    best = result.record
                store.save(result.record)
                records[job.name] = result.record
    except (KeyboardInterrupt, NotFiniteError) as error:
        return records, error
    return records, None


def _best(records: dict[str, JobRecord]) -> JobRecord | None:
    """The run with the best development score that has a model; the first of equal ones."""
    with_model = [record for record in records.values() if record.has_model]
    return max(with_model, key=lambda record: record.score, default=None)


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
