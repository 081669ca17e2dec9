"""What a comparison measured: the content of ``report.json``, and all that the report is drawn from."""

from __future__ import annotations

from statistics import fmean, stdev
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Comparison", "CorpusSummary", "LabelScore", "Run", "VariantResult"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelScore(_Record):
    """Counts of one span label (or of one tag, for POS) on the test set."""

    label: str
    correct: int
    predicted: int
    gold: int


class Run(_Record):
    """One variant, trained with one seed."""

    seed: int
    dev_score: float = Field(description="development score of the kept epoch, 0..1 (F1; accuracy for POS)")
    test_scores: dict[str, float] = Field(
        description="test score, 0..1: span F1 by repair policy; for POS 'accuracy' alone"
    )
    labels: list[LabelScore] = Field(description="test counts a label, under the first repair policy")
    sentences: int
    invalid_sentences: int = Field(description="test sentences with at least one move the scheme forbids")
    moves: int
    invalid_moves: int
    epochs: int = Field(description="epochs trained")
    best_epoch: int = Field(description="the epoch whose weights were kept, counted from 1")
    train_seconds: float = Field(description="seconds in training steps, evaluation excluded")
    train_tokens_per_second: float
    tag_tokens_per_second: float = Field(description="encoded test tokens tagged a second, batch by batch")


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

    format_version: Literal[1] = 1
    chaincrf_version: str
    created: str = Field(description="ISO 8601, UTC")
    task: Literal["ner", "pos"]
    corpus: list[CorpusSummary]
    scheme: str | None = Field(description="the scheme the models predict in; None for POS")
    tags: list[str]
    seeds: list[int]
    recipe: dict[str, Any] = Field(description="the training configuration all variants share")
    environment: dict[str, str] = Field(description="versions and machine")
    variants: list[VariantResult]
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
