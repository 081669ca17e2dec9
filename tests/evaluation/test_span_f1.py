import subprocess
import sys
import warnings
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval import scheme as seqeval_scheme
from seqeval.metrics import accuracy_score as seqeval_accuracy
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
from sklearn.exceptions import UndefinedMetricWarning

from chaincrf.errors import ArgumentError, LabelError
from chaincrf.evaluation import (
    Accuracy,
    InvalidRate,
    Score,
    SpanScores,
    evaluate_tags,
    invalid_sequences,
    span_scores,
    token_accuracy,
)
from chaincrf.labels import REPAIRS, SCHEMES, Span, get_scheme, ill_formed_moves, repair_tags, tags_to_spans
from strategies import TAGS, scheme_names

SEQEVAL_SCHEMES = {"BIO": seqeval_scheme.IOB2, "BIOES": seqeval_scheme.IOBES, "BILOU": seqeval_scheme.BILOU}


def noisy_corpora(name, min_size=0):
    """Sentences of tags, each with the tag predicted in its place, or None where the prediction is right."""
    tags = st.sampled_from(TAGS[name])
    sentences = st.lists(
        st.lists(st.tuples(tags, st.none() | tags), max_size=8), min_size=min_size, max_size=4
    )
    return st.tuples(sentences, st.just(name))


def gold_and_predicted(drawn):
    """Well-formed gold, and predictions that need not be, of a noisy corpus."""
    sentences, name = drawn
    gold = [repair_tags([tag for tag, _ in sentence], name) for sentence in sentences]
    predicted = [
        [guess or tag for tag, (_, guess) in zip(tags, sentence, strict=True)]
        for tags, sentence in zip(gold, sentences, strict=True)
    ]
    return gold, predicted


any_corpora = scheme_names.flatmap(noisy_corpora)


def assert_equals_seqeval(scores, gold, predicted, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean over no label
        overall = [score(gold, predicted, **options) for score in (precision_score, recall_score, f1_score)]
        labels: dict[str, Any] = {}
        if scores.per_label:  # its report fails on no label at all
            report = classification_report(gold, predicted, output_dict=True, **options)
            labels = cast("dict[str, Any]", report)
    assert [scores.overall.precision, scores.overall.recall, scores.overall.f1] == pytest.approx(overall)
    for average in ("micro avg", "macro avg", "weighted avg"):
        labels.pop(average, None)
    assert scores.per_label.keys() == labels.keys()
    for label, score in scores.per_label.items():
        expected = labels[label]
        assert score.gold == expected["support"]
        assert [score.precision, score.recall, score.f1] == pytest.approx(
            [expected["precision"], expected["recall"], expected["f1-score"]]
        )


@pytest.mark.parametrize("name", ["BIO", "IOB1", "BIOES"])
@given(data=st.data())
def test_conlleval_scores_are_those_of_seqeval(name, data):
    gold, predicted = gold_and_predicted(data.draw(noisy_corpora(name, min_size=1)))
    assert_equals_seqeval(evaluate_tags(gold, predicted, name), gold, predicted)


@pytest.mark.parametrize("name", SEQEVAL_SCHEMES)
@given(data=st.data())
def test_strict_scores_are_those_of_seqeval_strict(name, data):
    gold, predicted = gold_and_predicted(data.draw(noisy_corpora(name, min_size=1)))
    scores = evaluate_tags(gold, predicted, name, repair="strict")
    assert_equals_seqeval(scores, gold, predicted, mode="strict", scheme=SEQEVAL_SCHEMES[name])


@given(any_corpora, st.sampled_from(REPAIRS))
def test_scores_of_tags_are_scores_of_their_spans(drawn, repair):
    gold, predicted = gold_and_predicted(drawn)
    scheme = get_scheme(drawn[1])
    scores = evaluate_tags(gold, predicted, scheme, repair)
    read = [tags_to_spans(tags, scheme, repair) for tags in predicted]
    assert scores == span_scores([tags_to_spans(tags, scheme) for tags in gold], read)
    for i in range(3):
        assert scores.overall[i] == sum(score[i] for score in scores.per_label.values())
    assert list(scores.per_label) == sorted(scores.per_label)


@given(any_corpora, st.sampled_from(REPAIRS))
def test_gold_scores_one_against_itself(drawn, repair):
    gold, _ = gold_and_predicted(drawn)
    overall = evaluate_tags(gold, gold, drawn[1], repair).overall
    assert overall.correct == overall.predicted == overall.gold
    assert overall.f1 == (1 if overall.gold else 0)


def test_spans_by_example():
    gold = [[Span(0, 2, "X"), Span(3, 4, "Y")], [Span(0, 1, "X")]]
    predicted = [[Span(0, 2, "X"), Span(3, 5, "Y"), Span(5, 6, "Z")], [Span(0, 1, "Y")]]
    scores = span_scores(gold, predicted)
    assert scores.overall == Score(correct=1, predicted=4, gold=3)
    assert scores.per_label == {"X": Score(1, 1, 2), "Y": Score(0, 2, 1), "Z": Score(0, 1, 0)}
    assert scores.overall.precision == 1 / 4
    assert scores.overall.recall == 1 / 3
    assert scores.overall.f1 == 2 / 7


def test_a_span_given_twice_counts_once():
    assert span_scores([[Span(0, 1, "X")]], [[Span(0, 1, "X")] * 2]).overall == Score(1, 1, 1)


def test_an_end_followed_by_a_begin_is_not_right_as_one_span():
    gold, predicted = [["B-X", "I-X", "I-X", "E-X"]], [["B-X", "E-X", "B-X", "E-X"]]
    assert evaluate_tags(gold, predicted, "BIOES").overall == Score(correct=0, predicted=2, gold=1)


def test_the_repair_policy_decides_the_score():
    gold, predicted = [["B-PER", "O", "B-LOC", "I-LOC"]], [["B-PER", "I-LOC", "I-LOC", "I-LOC"]]
    found = {repair: evaluate_tags(gold, predicted, "BIO", repair).overall for repair in REPAIRS}
    assert found == {"conlleval": Score(1, 2, 2), "strict": Score(1, 1, 2), "drop": Score(0, 0, 2)}


def test_nothing_scores_zero():
    assert span_scores([], []) == SpanScores(Score(0, 0, 0), {})
    score = Score(0, 0, 0)
    assert (score.precision, score.recall, score.f1) == (0.0, 0.0, 0.0)
    assert token_accuracy([], []).accuracy == 0.0
    assert invalid_sequences([], "BIO") == InvalidRate(0, 0, 0, 0)


def test_ill_formed_gold_is_refused_with_its_place():
    with pytest.raises(
        LabelError, match=r"^gold_tags\[1\]: token 0: BIO does not allow 'I-X' after the start"
    ):
        evaluate_tags([["O"], ["I-X"]], [["O"], ["O"]], "BIO")


def test_shapes_must_agree():
    with pytest.raises(ArgumentError, match=r"^predicted_tags: expected 2 sentences, as in gold, got 1$"):
        evaluate_tags([["O"], ["O"]], [["O"]], "BIO")
    with pytest.raises(ArgumentError, match=r"^predicted_tags\[1\]: expected 1 tags, as in gold, got 2$"):
        evaluate_tags([["O"], ["O"]], [["O"], ["O", "O"]], "BIO")
    with pytest.raises(ArgumentError, match=r"^predicted: expected 1 sentences"):
        span_scores([[]], [])
    with pytest.raises(ArgumentError, match=r"^predicted_tags\[0\]: expected 2 tags"):
        token_accuracy([["NOUN", "VERB"]], [["NOUN"]])


# Token accuracy.


@given(noisy_corpora("BIO", min_size=1))
def test_token_accuracy_is_that_of_seqeval(drawn):
    gold, predicted = gold_and_predicted(drawn)
    accuracy = token_accuracy(gold, predicted)
    if accuracy.total:
        assert accuracy.accuracy == pytest.approx(seqeval_accuracy(gold, predicted))
    for i in range(3):
        total = sum(score[i] for score in accuracy.per_tag.values())
        assert total == (accuracy.correct if i == 0 else accuracy.total)
    for tag, score in accuracy.per_tag.items():
        assert score.gold == sum(tags.count(tag) for tags in gold)
        assert score.predicted == sum(tags.count(tag) for tags in predicted)


def test_token_accuracy_needs_no_scheme():
    accuracy = token_accuracy([["NOUN", "VERB", "NOUN"]], [["NOUN", "NOUN", "NOUN"]])
    assert accuracy == Accuracy(2, 3, {"NOUN": Score(2, 3, 2), "VERB": Score(0, 0, 1)})
    assert accuracy.accuracy == 2 / 3


# Invalid sequences.


@given(any_corpora)
def test_invalid_sequences_counts_ill_formed_moves(drawn):
    _, predicted = gold_and_predicted(drawn)
    ill_formed = [ill_formed_moves(tags, drawn[1]) for tags in predicted]
    rate = invalid_sequences(predicted, drawn[1])
    assert rate.sentences == len(predicted)
    assert rate.invalid_sentences == len([moves for moves in ill_formed if moves])
    assert rate.invalid_moves == sum(map(len, ill_formed))
    assert rate.moves == sum(len(tags) + 1 for tags in predicted if tags)
    assert 0 <= rate.move_rate <= 1


def test_invalid_sequences_by_example():
    rate = invalid_sequences([["O", "I-X"], ["B-X", "I-X"], [], ["I-X", "I-Y"]], "BIO")
    assert rate == InvalidRate(sentences=4, invalid_sentences=2, moves=9, invalid_moves=3)
    assert rate.sentence_rate == 0.5
    assert rate.move_rate == 1 / 3


@pytest.mark.parametrize("name", SCHEMES)
def test_gold_has_no_invalid_sequence(name):
    gold = [repair_tags(tags, name) for tags in (["I-X", "O"], ["I-Y", "I-X"])]
    assert invalid_sequences(gold, name).invalid_sentences == 0


EPOCH = """
import random, time
from chaincrf.evaluation import evaluate_tags, invalid_sequences, token_accuracy
from chaincrf.labels import repair_tags, scheme_tags

tags = scheme_tags([f"L{i}" for i in range(8)], "BIOES")
predicted = [random.choices(tags, [200] + [1] * 32, k=25) for _ in range(10_000)]
gold = [repair_tags(each, "BIOES") for each in predicted]
start = time.process_time()
evaluate_tags(gold, predicted, "BIOES")
token_accuracy(gold, predicted)
invalid_sequences(predicted, "BIOES")
print(time.process_time() - start)
"""


def test_an_epoch_of_evaluation_is_fast():
    # In a process of its own, because here every call is type-checked.
    done = subprocess.run([sys.executable, "-c", EPOCH], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 3  # half a second, and room for a busy machine
