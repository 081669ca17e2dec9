"""One training run of a comparison: what it is given, what it does, and the record that is kept of it."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from .. import __version__
from ..crf import LinearChain
from ..data.batching import EncodedSentences, encode
from ..data.corpus import Corpus
from ..data.sentence import Sentence
from ..errors import DataError
from ..labels import Span, tags_to_spans
from ..nn import CRF, BiLSTMTagger
from ..tagging import Tagger
from ..tagging.predict import predict_tags
from ..tagging.span_probability import span_log_probability
from ..training import Epoch, Kept, Prepared, Recipe, build_model, finished_tagger, fit, in_scheme, prepare
from ..training.loop import dev_score
from .cost import EnergyMeter, peak_memory
from .variants import Variant, variants_for

__all__ = ["Bench", "Job", "JobRecord", "JobResult", "Outcome", "Progress", "plan_jobs"]

Progress = Callable[[int | Epoch, int], None]
"""Told of a run: the steps done and those of all, or an epoch and 0."""

_SHOWN_TAGS = 80  # of a larger table of transitions nothing is kept


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Outcome(_Record):
    """One variant of a run: the epoch it kept, and what it made of the test data."""

    dev_score: float
    best_epoch: int
    epochs: int
    train_seconds: float
    tag_tokens_per_second: float
    tags: list[list[int]] = Field(description="the tags of each test sentence, as positions in 'tags'")
    confidences: list[list[float]] | None = Field(
        description="the probability of each span read from the tags (conlleval), of each tag for POS"
    )
    log_likelihood: float | None = Field(
        description="of the gold tags, mean over the sentences whose tags the model knows; None if one of "
        "them is impossible, or the model gives no probabilities"
    )


class JobRecord(_Record):
    """What is kept of a training run, in a file of its own."""

    format_version: Literal[1] = 1
    key: str = Field(description="digest of all that determines the run")
    name: str
    scheme: str | None
    seed: int
    tags: list[str]
    outcomes: dict[str, Outcome]
    transitions: list[list[float | None]] | None = Field(description="learned; None where forbidden")
    has_model: bool = Field(description="whether there is a tagger to keep")
    alone: bool = Field(description="whether no other run of the comparison ran beside it")
    peak_memory: int | None = Field(description="bytes; None where the run had no process of its own")
    joules: float | None

    @property
    def best(self) -> str:
        """The variant with the best development score."""
        return max(self.outcomes, key=lambda name: self.outcomes[name].dev_score)

    @property
    def score(self) -> float:
        """The best development score."""
        return self.outcomes[self.best].dev_score


@dataclass(frozen=True)
class JobResult:
    """The record of a run, and the files of its best model (none of the feature CRF's)."""

    record: JobRecord
    model: dict[str, bytes]


@dataclass(frozen=True)
class Job:
    """One training run and the variants that decode its model.

    Attributes:
        recipe: how to train, scheme and seed included.
        variants: the decoders.
    """

    recipe: Recipe
    variants: tuple[Variant, ...]

    @property
    def name(self) -> str:
        """A name for files: scheme, what is trained, seed."""
        scheme = "" if self.recipe.task == "pos" else f"{self.recipe.scheme}-"
        return f"{scheme}{self.variants[0].trained_as}-{self.recipe.seed}"

    @property
    def title(self) -> str:
        """A name for people."""
        one = len(self.variants) == 1 or self.variants[0].head == "crf"
        title = self.variants[0].title if one else self.variants[0].head
        return title if self.recipe.task == "pos" else f"{title}, {self.recipe.scheme}"

    def key(self, bench: Bench) -> str:
        """A digest of all that determines the result."""
        content = {
            "version": __version__,
            "recipe": self.recipe.model_dump(mode="json"),
            "variants": [(v.name, v.way) for v in self.variants],
            "data": [corpus.report.sha256 for corpus in bench.corpora],
            "sizes": [len(corpus.sentences) for corpus in bench.corpora],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def plan_jobs(recipe: Recipe, schemes: Sequence[str], seeds: Sequence[int], also: Sequence[str]) -> list[Job]:
    """All runs of a comparison, interleaved: every training of the first seed, then of the second, ...

    The feature CRF has no seeds: it is trained once a scheme.
    """
    jobs = []
    for seed in seeds:
        for scheme in schemes:
            runs: dict[str, list[Variant]] = {}
            for variant in variants_for(recipe.task, also):
                if variant.head != "features" or seed == seeds[0]:
                    runs.setdefault(variant.trained_as, []).append(variant)
            for decoders in runs.values():
                said = recipe.model_copy(update={"scheme": scheme, "seed": seed})
                jobs.append(Job(decoders[0].recipe(said), tuple(decoders)))
    return jobs


@dataclass
class Bench:
    """What all runs share: the data, encoded once a scheme.

    Attributes:
        train, dev, test: the data.
    """

    train: Corpus
    dev: Corpus
    test: Corpus
    _prepared: dict[str, Prepared] = field(default_factory=dict, repr=False)

    @property
    def corpora(self) -> tuple[Corpus, Corpus, Corpus]:
        """Training, development and test data."""
        return self.train, self.dev, self.test

    def prepared(self, recipe: Recipe) -> Prepared:
        """The training and development data, encoded."""
        key = recipe.model_copy(update={"seed": 0, "head": "crf", "constrain": "always"}).model_dump_json()
        if key not in self._prepared:
            self._prepared[key] = prepare(self.train, self.dev, recipe)
        return self._prepared[key]

    def gold(self, scheme: str | None) -> list[Sentence]:
        """The test sentences with their tags in a scheme.

        Raises:
            DataError: if there is none, or one without tags.
        """
        sentences = in_scheme(self.test, scheme)
        if not sentences or any(sentence.tags is None for sentence in sentences):
            raise DataError("expected tagged sentences to test on", path=self.test.report.path)
        return sentences

    def run(
        self, job: Job, *, alone: bool = True, own_process: bool = False, progress: Progress | None = None
    ) -> JobResult:
        """Train one model, and measure every variant that decodes it.

        Raises:
            KeyboardInterrupt: if it was interrupted.
            NotFiniteError: if training failed.
        """
        energy = EnergyMeter(job.recipe.device)
        features = job.variants[0].head == "features"
        run = self._feature_run if features else self._network_run
        tags, outcomes, transitions, model = run(job, progress or (lambda done, total: None))
        record = JobRecord(
            key=job.key(self),
            name=job.name,
            scheme=job.recipe.scheme if job.recipe.task == "ner" else None,
            seed=job.recipe.seed,
            tags=tags,
            outcomes=outcomes,
            transitions=transitions,
            has_model=bool(model),
            alone=alone,
            peak_memory=peak_memory() if own_process else None,
            joules=energy.joules() if alone else None,
        )
        return JobResult(record, model)

    def _network_run(self, job: Job, progress: Progress) -> Any:
        recipe = job.recipe
        prepared = self.prepared(recipe)
        sentences = self.gold(prepared.scheme)
        encoded = encode(sentences, prepared.vocabulary)
        bundle = build_model(prepared, recipe)
        record = fit(
            bundle.model,
            prepared,
            recipe,
            decoders={variant.name: variant.way for variant in job.variants},
            on_step=lambda done, total, loss: progress(done, total),
            on_epoch=lambda epoch: progress(epoch, 0),
        )
        if record.interrupted:
            raise KeyboardInterrupt
        if record.failure is not None:
            raise record.failure
        outcomes, transitions = {}, None
        for variant in job.variants:
            kept = record.kept[variant.name]
            kept.restore(bundle.model)
            outcomes[variant.name] = _outcome(bundle.model, prepared, variant, kept, sentences, encoded)
            if transitions is None:
                transitions = _transitions(bundle.model, prepared)
        best = max(job.variants, key=lambda variant: record.kept[variant.name].score)
        kept, said = record.kept[best.name], recipe.model_copy(update={"constrain": best.constrain})
        tagger = finished_tagger(build_model(prepared, said), said, kept, self.train, self.dev)
        return list(prepared.vocabulary.tags), outcomes, transitions, _files(tagger)

    def _feature_run(self, job: Job, progress: Progress) -> Any:
        from .features import FeatureCRF

        scheme = job.recipe.scheme if job.recipe.task == "ner" else None
        train, dev = in_scheme(self.train, scheme), in_scheme(self.dev, scheme)
        sentences = self.gold(scheme)
        model = FeatureCRF()
        start = time.perf_counter()
        model.fit([s.tokens for s in train], [s.tags or () for s in train])
        seconds = time.perf_counter() - start
        start = time.perf_counter()
        paths = model.predict([s.tokens for s in sentences])
        speed = sum(map(len, paths)) / (time.perf_counter() - start)
        tags = sorted({tag for path in paths for tag in path})
        index = {tag: i for i, tag in enumerate(tags)}
        score = dev_score([s.tags or () for s in dev], model.predict([s.tokens for s in dev]), scheme)
        outcome = Outcome(
            dev_score=score,
            best_epoch=1,
            epochs=1,
            train_seconds=seconds,
            tag_tokens_per_second=speed,
            tags=[[index[tag] for tag in path] for path in paths],
            confidences=None,
            log_likelihood=None,
        )
        progress(1, 1)
        return tags, {job.variants[0].name: outcome}, None, {}


def _outcome(
    model: BiLSTMTagger,
    prepared: Prepared,
    variant: Variant,
    kept: Kept,
    sentences: Sequence[Sentence],
    encoded: EncodedSentences,
) -> Outcome:
    """What a variant makes of the test data: its speed is the median of three passes after a first one."""
    names = prepared.vocabulary.tags
    tags: list[list[str]] = []
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        (tags,) = predict_tags(model, encoded, names, constrained=[variant.way])
        seconds.append(time.perf_counter() - start)
    confidences, likelihood = _probabilities(model, prepared, variant, sentences, encoded, tags)
    index = {tag: i for i, tag in enumerate(names)}
    return Outcome(
        dev_score=kept.score,
        best_epoch=kept.epoch,
        epochs=kept.epochs,
        train_seconds=kept.train_seconds,
        tag_tokens_per_second=encoded.num_tokens / median(seconds[1:]),
        tags=[[index[tag] for tag in path] for path in tags],
        confidences=confidences,
        log_likelihood=likelihood,
    )


def _probabilities(
    model: BiLSTMTagger,
    prepared: Prepared,
    variant: Variant,
    sentences: Sequence[Sentence],
    encoded: EncodedSentences,
    predicted: Sequence[list[str]],
) -> tuple[list[list[float]], float | None]:
    """How sure the model is of each span (or tag) that it predicts, and of the gold tags."""
    names = prepared.vocabulary.tags
    index = {tag: i for i, tag in enumerate(names)}
    device = model.projection.weight.device
    confidences: list[list[float]] = [[] for _ in predicted]
    likelihoods: list[float] = []
    with torch.inference_mode():
        for batch in encoded.batches(64):
            moved = batch.to(device)
            emissions = model.emissions(**moved.inputs)
            chain = model.head.chain(emissions, moved.mask, constrained=variant.way is True)
            rows = batch.index.tolist()
            for row, values in zip(
                rows, _confidences(chain, [predicted[row] for row in rows], prepared, index), strict=True
            ):
                confidences[row] = [round(value, 5) for value in values]
            gold = torch.full(moved.mask.shape, -100)
            known = []
            for place, row in enumerate(rows):
                path = sentences[row].tags or ()
                known.append(all(tag in index for tag in path))
                if known[-1]:
                    gold[place, : len(path)] = torch.tensor([index[tag] for tag in path])
            scores = chain.log_likelihood(gold.to(device)).tolist()
            likelihoods += [score for score, is_known in zip(scores, known, strict=True) if is_known]
    mean = sum(likelihoods) / len(likelihoods) if likelihoods else None
    return confidences, mean if mean is not None and mean > float("-inf") else None


def _confidences(
    chain: LinearChain, paths: Sequence[list[str]], prepared: Prepared, index: dict[str, int]
) -> list[list[float]]:
    if prepared.scheme is None:
        marginals = chain.marginals().cpu()
        return [
            marginals[row, torch.arange(len(path)), torch.tensor([index[tag] for tag in path])].tolist()
            for row, path in enumerate(paths)
        ]
    spans: list[list[Span]] = [tags_to_spans(path, prepared.scheme) for path in paths]
    values = span_log_probability(chain, spans, prepared.vocabulary.tags, prepared.scheme).exp().tolist()
    stream = iter(values)
    return [[next(stream) for _ in found] for found in spans]


def _transitions(model: BiLSTMTagger, prepared: Prepared) -> list[list[float | None]] | None:
    if not isinstance(model.head, CRF) or len(prepared.vocabulary.tags) > _SHOWN_TAGS:
        return None
    allowed = model.head.allowed_transitions
    keeps = model.head.keeps(None)
    return [
        [round(value, 4) if fine or not keeps else None for value, fine in zip(*row, strict=True)]
        for row in zip(model.head.transitions.tolist(), allowed.tolist(), strict=True)
    ]


def _files(tagger: Tagger) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        tagger.save(path)
        return {file.name: file.read_bytes() for file in sorted(path.iterdir())}
