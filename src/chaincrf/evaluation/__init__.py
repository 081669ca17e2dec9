"""How good a tagging is: entity F1, token accuracy, invalid sequences."""

from .measure import Measurement, measure
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
    "InvalidRate",
    "Measurement",
    "Score",
    "SpanScores",
    "evaluate_tags",
    "invalid_sequences",
    "measure",
    "span_scores",
    "token_accuracy",
]
