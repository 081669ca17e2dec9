"""How good a tagging is: entity F1, token accuracy, invalid sequences, calibration, significance."""

from .calibration import Bin, Operating, expected_calibration_error, operating_points, reliability
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
    "Bin",
    "CrossedEffect",
    "InvalidRate",
    "Measurement",
    "Operating",
    "Score",
    "SpanScores",
    "crossed_effect",
    "evaluate_tags",
    "expected_calibration_error",
    "holm",
    "invalid_sequences",
    "measure",
    "operating_points",
    "ratio_contributions",
    "reliability",
    "span_scores",
    "token_accuracy",
]
