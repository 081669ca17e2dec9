"""What a comparison measured: the content of ``report.json``, and all that the report is drawn from."""

from __future__ import annotations

from statistics import fmean, stdev
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Calibration",
    "Comparison",
    "CorpusSummary",
    "Effect",
    "LabelScore",
    "Move",
    "ReliabilityBin",
    "Run",
    "SchemeResult",
    "Transitions",
    "VariantResult",
]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelScore(_Record):
    """Counts of one span label (or of one tag, for POS) on the test set."""

    label: str
    correct: int
    predicted: int
    gold: int


class Move(_Record):
    """A move that the scheme forbids, and how often it was made."""

    before: str = Field(description="a tag, or 'start'")
    after: str = Field(description="a tag, or 'end'")
    count: int


class ReliabilityBin(_Record):
    """Predictions of like confidence."""

    count: int
    confidence: float
    accuracy: float


class Calibration(_Record):
    """How far the confidences of predicted spans (of tags, for POS) are from the truth."""

    error: float = Field(description="expected calibration error, ten bins")
    bins: list[ReliabilityBin]


class Run(_Record):
    """One variant, trained with one seed."""

    seed: int
    dev_score: float = Field(description="development score of the kept epoch, 0..1 (F1; accuracy for POS)")
    test_scores: dict[str, float] = Field(
        description="test score, 0..1: span F1 by repair policy; for POS 'accuracy' alone"
    )
    precision: dict[str, float] = Field(description="of spans, by repair policy; empty for POS")
    recall: dict[str, float] = Field(description="of spans, by repair policy; empty for POS")
    token_accuracy: float
    exact_sentences: float = Field(description="share of test sentences whose tags are all right")
    log_likelihood: float | None = Field(
        description="of a sentence's gold tags, mean; None where a gold sequence is impossible"
    )
    calibration: Calibration | None
    labels: list[LabelScore] = Field(description="test counts a label, under the first repair policy")
    slices: dict[str, dict[str, tuple[int, int, int]]] = Field(
        description="by dimension and bucket: correct, predicted and gold spans"
    )
    sentences: int
    invalid_sentences: int = Field(description="test sentences with at least one move the scheme forbids")
    moves: int
    invalid_moves: int
    worst_moves: list[Move] = Field(description="the forbidden moves made most often")
    epochs: int = Field(description="epochs trained")
    best_epoch: int = Field(description="the epoch whose weights were kept, counted from 1")
    train_seconds: float = Field(description="seconds in training steps, evaluation excluded")
    train_tokens_per_second: float
    tag_tokens_per_second: float = Field(description="encoded test tokens tagged a second, batch by batch")
    alone: bool = Field(description="whether no other run ran beside it: only then do its times count")
    peak_memory: int | None = Field(description="of its process, bytes; None without one of its own")
    joules: float | None = Field(description="by a hardware counter; None: not measured")


class VariantResult(_Record):
    """One variant over all seeds."""

    name: str = Field(description="short name, such as 'softmax'")
    title: str = Field(description="name for people, such as 'softmax, greedy'")
    description: str
    runs: list[Run]

    def values(self, repair: str) -> list[float]:
        """Test scores under one repair policy, a seed each."""
        return [run.test_scores[repair] for run in self.runs]

    def mean(self, repair: str) -> float:
        """Mean over the seeds."""
        return fmean(self.values(repair))

    def deviation(self, repair: str) -> float | None:
        """Standard deviation over the seeds (n - 1), None for a single one."""
        values = self.values(repair)
        return stdev(values) if len(values) > 1 else None

    @property
    def timed(self) -> list[Run]:
        """The runs whose times count."""
        return [run for run in self.runs if run.alone]


class SchemeResult(_Record):
    """The same variants in another scheme."""

    scheme: str
    tags: list[str]
    variants: list[VariantResult]
    effects: list[Effect]


class Effect(_Record):
    """One variant minus another on the test set, in points of 0..100."""

    first: str
    second: str
    repair: str = Field(description="the repair policy, or 'accuracy'")
    declared: bool = Field(description="one of the contrasts declared beforehand; any other is exploratory")
    differences: dict[int, float] = Field(description="points by seed")
    mean: float
    units: int = Field(description="sentences or documents of the test data")
    standard_error: float | None = Field(description="for new seeds and new units; None for one seed")
    df: float | None
    low: float | None = Field(description="95 % confidence interval")
    high: float | None
    p: float | None = Field(description="two-sided; None below five seeds")
    p_adjusted: float | None = Field(description="by Holm, over the declared contrasts; None for others")
    detectable: float | None = Field(
        description="the smallest true difference that this design finds in four cases of five"
    )

    @property
    def significant(self) -> bool:
        """Whether a claim may be made: a declared contrast, five seeds, adjusted p below .05."""
        return self.p_adjusted is not None and self.p_adjusted < 0.05


class Transitions(_Record):
    """The learned scores of moves, mean over the seeds."""

    variant: str
    scores: list[list[float | None]]
    allowed: list[list[bool]]


class CorpusSummary(_Record):
    """The data of one split, as read."""

    split: Literal["train", "dev", "test"]
    path: str
    sha256: str
    sentences: int
    tokens: int
    spans: int | None = Field(description="None for POS")
    repaired_sentences: int


class Comparison(_Record):
    """A whole comparison."""

    format_version: Literal[2] = 2
    chaincrf_version: str
    created: str = Field(description="ISO 8601, UTC")
    command: str | None = Field(default=None, description="the command that made it")
    attribution: str | None = Field(default=None, description="whose the data are, and under what licence")
    task: Literal["ner", "pos"]
    corpus: list[CorpusSummary]
    scheme: str | None = Field(description="the scheme the models predict in; None for POS")
    tags: list[str]
    seeds: list[int]
    unit: Literal["sentence", "document"] = Field(description="what the test data are a sample of")
    recipe: dict[str, Any] = Field(description="the training configuration all variants share")
    environment: dict[str, str] = Field(description="versions and machine")
    variants: list[VariantResult]
    effects: list[Effect]
    other_schemes: list[SchemeResult] = Field(default_factory=list)
    transitions: Transitions | None = None
    predictors: dict[str, float] = Field(
        default_factory=dict, description="what the training data alone say, see compare.predictor"
    )
    example: list[dict[str, Any]] = Field(
        default_factory=list,
        description="test sentences on which variants differ: tokens, gold, and tags by variant name",
    )

    @property
    def repairs(self) -> list[str]:
        """The names under which every run has a test score, the first is the main one."""
        return list(self.variants[0].runs[0].test_scores)

    def variant(self, name: str) -> VariantResult:
        """The variant with this short name."""
        return next(variant for variant in self.variants if variant.name == name)

    def effect(self, first: str, second: str, repair: str | None = None) -> Effect | None:
        """The difference of two variants under a repair policy, by default the declared one."""
        wanted = first, second, repair or self.repairs[0]
        return next((e for e in self.effects if (e.first, e.second, e.repair) == wanted), None)
