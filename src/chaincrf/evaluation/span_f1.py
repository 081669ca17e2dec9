"""Entity F1, token accuracy and the rate of invalid sequences, from counts that add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Sized
from typing import NamedTuple

from ..errors import ArgumentError, LabelError
from ..labels import Scheme, Span, check_tags, get_scheme, ill_formed_moves, tags_to_spans

__all__ = [
    "Accuracy",
    "InvalidRate",
    "Score",
    "SpanScores",
    "evaluate_tags",
    "invalid_sequences",
    "span_scores",
    "token_accuracy",
]


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


class Score(NamedTuple):
    """Counts, and the fractions from 0 to 1 made of them; a fraction of nothing is 0.

    Attributes:
        correct: items predicted that are gold.
        predicted: items predicted.
        gold: items that are gold.
    """

    correct: int
    predicted: int
    gold: int

    @property
    def precision(self) -> float:
        """Fraction ``correct / predicted``."""
        return _ratio(self.correct, self.predicted)

    @property
    def recall(self) -> float:
        """Fraction ``correct / gold``."""
        return _ratio(self.correct, self.gold)

    @property
    def f1(self) -> float:
        """``2 correct / (predicted + gold)``: the harmonic mean of precision and recall."""
        return _ratio(2 * self.correct, self.predicted + self.gold)


class SpanScores(NamedTuple):
    """Scores of spans.

    Attributes:
        overall: over all labels together (micro-average).
        per_label: for each label of a gold or predicted span, in alphabetical order.
    """

    overall: Score
    per_label: dict[str, Score]


class Accuracy(NamedTuple):
    """Scores of single tags.

    Attributes:
        correct: tokens with the gold tag.
        total: tokens.
        per_tag: for each gold or predicted tag, in alphabetical order.
    """

    correct: int
    total: int
    per_tag: dict[str, Score]

    @property
    def accuracy(self) -> float:
        """Fraction ``correct / total``, 0 where there is no token."""
        return _ratio(self.correct, self.total)


class InvalidRate(NamedTuple):
    """How often tags break their scheme.

    Attributes:
        sentences: sentences.
        invalid_sentences: sentences with an ill-formed move.
        moves: moves, those into the first and out of the last token included; an empty sentence has none.
        invalid_moves: moves that the scheme does not allow.
    """

    sentences: int
    invalid_sentences: int
    moves: int
    invalid_moves: int

    @property
    def sentence_rate(self) -> float:
        """Fraction ``invalid_sentences / sentences``, 0 where there is none."""
        return _ratio(self.invalid_sentences, self.sentences)

    @property
    def move_rate(self) -> float:
        """Fraction ``invalid_moves / moves``, 0 where there is none."""
        return _ratio(self.invalid_moves, self.moves)


def span_scores(gold: Sequence[Iterable[Span]], predicted: Sequence[Iterable[Span]]) -> SpanScores:
    """Compare spans sentence by sentence; a span is correct if start, end and label are.

    A span given twice counts once.

    Raises:
        ArgumentError: the numbers of sentences differ.

    Cost: linear in the number of spans.
    """
    _same_length("predicted", predicted, gold, "sentences")
    correct: Counter[str] = Counter()
    guessed: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    for gold_spans, predicted_spans in zip(gold, predicted, strict=True):
        gold_set, predicted_set = set(gold_spans), set(predicted_spans)
        wanted.update(span.label for span in gold_set)
        guessed.update(span.label for span in predicted_set)
        correct.update(span.label for span in gold_set & predicted_set)
    return SpanScores(
        Score(correct.total(), guessed.total(), wanted.total()), _scores(correct, guessed, wanted)
    )


def evaluate_tags(
    gold_tags: Sequence[Sequence[str]],
    predicted_tags: Sequence[Sequence[str]],
    scheme: str | Scheme,
    repair: str = "conlleval",
) -> SpanScores:
    """Score predicted tags by their spans.

    With ``repair="conlleval"`` the scores are those of the CoNLL script and of seqeval, with ``"strict"``
    those of seqeval's ``mode="strict"`` (IOB1 excepted, see ``chaincrf.labels.spans``).

    Args:
        gold_tags: the tags of each sentence, well-formed.
        predicted_tags: as many, of the same lengths; need not be well-formed.
        scheme: the scheme of both, or its name.
        repair: how ill-formed predictions are read, one of ``chaincrf.labels.REPAIRS``.

    Raises:
        ArgumentError: the numbers of sentences or of tokens differ, or no such repair policy.
        LabelError: a tag is not of the scheme, or gold tags are ill-formed (names sentence, token and tags).

    Cost: linear in the number of tokens.
    """
    scheme = get_scheme(scheme)
    _same_shape(gold_tags, predicted_tags)
    for number, tags in enumerate(gold_tags):
        try:
            check_tags(tags, scheme)
        except LabelError as error:
            raise LabelError(f"gold_tags[{number}]: {error}") from None
    return span_scores(
        [tags_to_spans(tags, scheme) for tags in gold_tags],
        [tags_to_spans(tags, scheme, repair) for tags in predicted_tags],
    )


def token_accuracy(gold_tags: Sequence[Sequence[str]], predicted_tags: Sequence[Sequence[str]]) -> Accuracy:
    """Compare tags token by token; they need no scheme (parts of speech).

    Raises:
        ArgumentError: the numbers of sentences or of tokens differ.

    Cost: linear in the number of tokens.
    """
    _same_shape(gold_tags, predicted_tags)
    correct: Counter[str] = Counter()
    guessed: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    for gold, predicted in zip(gold_tags, predicted_tags, strict=True):
        wanted.update(gold)
        guessed.update(predicted)
        correct.update(tag for tag, guess in zip(gold, predicted, strict=True) if tag == guess)
    return Accuracy(correct.total(), wanted.total(), _scores(correct, guessed, wanted))


def invalid_sequences(predicted_tags: Iterable[Sequence[str]], scheme: str | Scheme) -> InvalidRate:
    """Count the sentences and the moves that break the scheme.

    Raises:
        LabelError: a tag is not of the scheme.

    Cost: linear in the number of tokens.
    """
    scheme = get_scheme(scheme)
    counts = [(len(tags) + 1 if tags else 0, len(ill_formed_moves(tags, scheme))) for tags in predicted_tags]
    return InvalidRate(
        sentences=len(counts),
        invalid_sentences=sum(invalid > 0 for _, invalid in counts),
        moves=sum(moves for moves, _ in counts),
        invalid_moves=sum(invalid for _, invalid in counts),
    )


def _scores(correct: Counter[str], predicted: Counter[str], gold: Counter[str]) -> dict[str, Score]:
    return {name: Score(correct[name], predicted[name], gold[name]) for name in sorted(predicted | gold)}


def _same_length(name: str, given: Sized, expected: Sized, what: str) -> None:
    if len(given) != len(expected):
        raise ArgumentError(f"{name}: expected {len(expected)} {what}, as in gold, got {len(given)}")


def _same_shape(gold_tags: Sequence[Sequence[str]], predicted_tags: Sequence[Sequence[str]]) -> None:
    _same_length("predicted_tags", predicted_tags, gold_tags, "sentences")
    for number, (gold, predicted) in enumerate(zip(gold_tags, predicted_tags, strict=True)):
        _same_length(f"predicted_tags[{number}]", predicted, gold, "tags")
