"""What is measured of the test tags of one run: scores, invalid moves, slices, calibration."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import numpy as np

from ..data.sentence import Sentence
from ..evaluation import measure
from ..evaluation.calibration import expected_calibration_error, reliability
from ..labels import REPAIRS, Span, ill_formed_moves, tags_to_spans
from .jobs import JobRecord, Outcome
from .results import Calibration, LabelScore, Move, ReliabilityBin, Run

__all__ = ["REPAIR", "TestSet", "measure_run"]

REPAIR = REPAIRS[0]
"""The declared repair policy: contrasts are tested under it."""

_LENGTHS = ((10, "1-10"), (20, "11-20"), (40, "21-40"))
_MOVES = 10  # worst forbidden moves kept


class TestSet:
    """The gold test data in one scheme, and in which slices its spans lie.

    Args:
        train: the training sentences in the same scheme: what is seen, ambiguous, frequent.
        test: the test sentences.
        scheme: of both; None for POS, where each token is a span of its own.
    """

    __test__ = False  # no test case, whatever pytest thinks of the name

    def __init__(self, train: Sequence[Sentence], test: Sequence[Sentence], scheme: str | None) -> None:
        self.sentences, self.scheme = test, scheme
        self.gold = [sentence.tags or () for sentence in test]
        self.gold_spans = [set(self.spans(tags)) for tags in self.gold]
        self._tags_of: defaultdict[str, set[str]] = defaultdict(set)
        self._seen: set[tuple[tuple[str, ...], str]] = set()
        labels: Counter[str] = Counter()
        for sentence in train:
            for token, tag in zip(sentence.tokens, sentence.tags or (), strict=True):
                self._tags_of[token].add(tag)
            for span in self.spans(sentence.tags or ()):
                labels[span.label] += 1
                if scheme is not None:
                    self._seen.add((sentence.tokens[span.start : span.end], span.label))
        ranked = [label for label, _ in labels.most_common()]
        self._rank = {label: 3 * place // len(ranked) for place, label in enumerate(ranked)}
        self._many_labels = len(ranked) >= 3

    def spans(self, tags: Sequence[str], repair: str = REPAIR) -> list[Span]:
        """The spans of a tagged sentence; for POS each token with its tag."""
        if self.scheme is None:
            return [Span(i, i + 1, tag) for i, tag in enumerate(tags)]
        return tags_to_spans(tags, self.scheme, repair)

    def counts(self, tags: Sequence[Sequence[str]], repair: str) -> np.ndarray:
        """The score's numerator and denominator of each sentence, ``(2, N)``: twice the correct spans, and
        the predicted and gold ones together.
        """
        spans = [set(self.spans(path, repair)) for path in tags]
        pairs = list(zip(spans, self.gold_spans, strict=True))
        return np.array([[2 * len(a & b) for a, b in pairs], [len(a) + len(b) for a, b in pairs]])

    @cached_property
    def dimensions(self) -> dict[str, Callable[[Sentence, Span], str]]:
        """The slices: by name the bucket of a span of a sentence, gold or predicted."""
        found: dict[str, Callable[[Sentence, Span], str]] = {}
        if self.scheme is not None:
            found["span in training"] = self._span_seen
        found["words in training"] = self._words_seen
        if self.scheme is not None:
            found["span length"] = lambda sentence, span: (
                f"{length}" if (length := span.end - span.start) < 4 else "4 or more"
            )
        found["sentence length"] = lambda sentence, span: next(
            (name for most, name in _LENGTHS if len(sentence) <= most), "41 or more"
        )
        found["ambiguity of its words"] = self._ambiguity
        if self._many_labels:
            found["frequency of its label"] = lambda sentence, span: ("frequent", "middling", "rare")[
                self._rank.get(span.label, 2)
            ]
        return found

    def _span_seen(self, sentence: Sentence, span: Span) -> str:
        return "seen" if (sentence.tokens[span.start : span.end], span.label) in self._seen else "unseen"

    def _words_seen(self, sentence: Sentence, span: Span) -> str:
        tokens = sentence.tokens[span.start : span.end]
        return "all seen" if all(token in self._tags_of for token in tokens) else "some unseen"

    def _ambiguity(self, sentence: Sentence, span: Span) -> str:
        most = max(len(self._tags_of.get(t, ())) for t in sentence.tokens[span.start : span.end])
        return "never seen" if most == 0 else "one tag each" if most == 1 else "ambiguous"


def measure_run(test: TestSet, record: JobRecord, outcome: Outcome, tokens: int) -> Run:
    """All figures of one variant's run.

    Args:
        test: the gold data.
        record: the training run.
        outcome: the variant's part of it.
        tokens: tokens of the training data.
    """
    tags = [[record.tags[i] for i in path] for path in outcome.tags]
    found = measure(test.gold, tags, test.scheme)
    spans = [set(test.spans(path)) for path in tags]
    return Run(
        seed=record.seed,
        dev_score=outcome.dev_score,
        test_scores=found.scores,
        precision={repair: scores.overall.precision for repair, scores in found.spans.items()},
        recall={repair: scores.overall.recall for repair, scores in found.spans.items()},
        token_accuracy=found.accuracy.accuracy,
        exact_sentences=sum(tuple(a) == tuple(b) for a, b in zip(tags, test.gold, strict=True)) / len(tags),
        log_likelihood=outcome.log_likelihood,
        calibration=_calibration(test, tags, outcome),
        labels=[
            LabelScore(label=label, correct=score.correct, predicted=score.predicted, gold=score.gold)
            for label, score in found.per_label.items()
        ],
        slices=_slices(test, spans),
        sentences=len(tags),
        invalid_sentences=found.invalid.invalid_sentences if found.invalid else 0,
        moves=found.invalid.moves if found.invalid else 0,
        invalid_moves=found.invalid.invalid_moves if found.invalid else 0,
        worst_moves=_worst_moves(tags, test.scheme),
        epochs=outcome.epochs,
        best_epoch=outcome.best_epoch,
        train_seconds=outcome.train_seconds,
        train_tokens_per_second=tokens * outcome.epochs / max(outcome.train_seconds, 1e-9),
        tag_tokens_per_second=outcome.tag_tokens_per_second,
        alone=record.alone,
        peak_memory=record.peak_memory,
        joules=record.joules,
    )


def _calibration(test: TestSet, tags: Sequence[Sequence[str]], outcome: Outcome) -> Calibration | None:
    if outcome.confidences is None:
        return None
    confidences = [value for row in outcome.confidences for value in row]
    correct = [
        span in gold for path, gold in zip(tags, test.gold_spans, strict=True) for span in test.spans(path)
    ]
    return Calibration(
        error=expected_calibration_error(confidences, correct),
        bins=[
            ReliabilityBin(count=bin.answers, confidence=bin.confidence, accuracy=bin.accuracy)
            for bin in reliability(confidences, correct)
            if bin.answers
        ],
    )


def _slices(test: TestSet, predicted: Iterable[set[Span]]) -> dict[str, dict[str, tuple[int, int, int]]]:
    """By dimension and bucket: correct, predicted and gold spans."""
    counts: dict[str, dict[str, list[int]]] = {
        name: defaultdict(lambda: [0, 0, 0]) for name in test.dimensions
    }
    for sentence, guessed, gold in zip(test.sentences, predicted, test.gold_spans, strict=True):
        for span in guessed | gold:
            for name, bucket in test.dimensions.items():
                cell = counts[name][bucket(sentence, span)]
                cell[0] += span in guessed and span in gold
                cell[1] += span in guessed
                cell[2] += span in gold
    return {
        name: {bucket: (cell[0], cell[1], cell[2]) for bucket, cell in sorted(buckets.items())}
        for name, buckets in counts.items()
        if len(buckets) > 1
    }


def _worst_moves(tags: Iterable[Sequence[str]], scheme: str | None) -> list[Move]:
    if scheme is None:
        return []
    found: Counter[tuple[str, str]] = Counter()
    for path in tags:
        for i in ill_formed_moves(path, scheme):
            before = path[i - 1] if i else "start"
            found[before, path[i] if i < len(path) else "end"] += 1
    return [Move(before=a, after=b, count=count) for (a, b), count in found.most_common(_MOVES)]
