"""How good a tagging is: entity F1, token accuracy, invalid sequences, and whether a difference is chance."""

from .measure import Measurement, measure
from .significance import CrossedEffect, crossed_effect, holm, ratio_contributions
from .span_f1 import (
    Accuracy,
    InvalidRate,
    Score,
    SpanScores,
    evaluate_tags,
    invalid_sequences,
    span_scores,
    token_accuracy,
)

__all__ = [
    "Accuracy",
    "CrossedEffect",
    "InvalidRate",
    "Measurement",
    "Score",
    "SpanScores",
    "crossed_effect",
    "evaluate_tags",
    "holm",
    "invalid_sequences",
    "measure",
    "ratio_contributions",
    "span_scores",
    "token_accuracy",
]
