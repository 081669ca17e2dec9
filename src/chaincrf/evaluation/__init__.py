"""How good a tagging is: entity F1, token accuracy, invalid sequences."""

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
    "Score",
    "SpanScores",
    "evaluate_tags",
    "invalid_sequences",
    "span_scores",
    "token_accuracy",
]
