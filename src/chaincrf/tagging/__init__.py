"""Trained taggers: on disk, and at work."""

from .bundle import Bundle, check_destination, load_bundle, save_bundle
from .calibration import CalibrationReport, calibrate
from .constraint import Constraint
from .predict import predict_tags
from .record import Architecture, Calibration, ModelConfig
from .result import Path, Tagged, TaggedSentence, TaggedSpan
from .tagger import Tagger

__all__ = [
    "Architecture",
    "Bundle",
    "Calibration",
    "CalibrationReport",
    "Constraint",
    "ModelConfig",
    "Path",
    "Tagged",
    "TaggedSentence",
    "TaggedSpan",
    "Tagger",
    "calibrate",
    "check_destination",
    "load_bundle",
    "predict_tags",
    "save_bundle",
]
