"""How good a tagging is: entity F1, token accuracy, invalid sequences, calibration."""

from .calibration import Bin, Operating, expected_calibration_error, operating_points, reliability
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
    "Bin",
    "InvalidRate",
    "Measurement",
    "Operating",
    "Score",
    "SpanScores",
    "evaluate_tags",
    "expected_calibration_error",
    "invalid_sequences",
    "measure",
    "operating_points",
    "reliability",
    "span_scores",
    "token_accuracy",
]
