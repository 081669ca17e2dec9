"""Trained taggers: on disk, and at work."""

from .bundle import Architecture, Bundle, ModelConfig, check_destination, load_bundle, save_bundle
from .constraint import Constraint
from .predict import predict_tags
from .result import Path, Tagged, TaggedSentence, TaggedSpan
from .tagger import Tagger

__all__ = [
    "Architecture",
    "Bundle",
    "Constraint",
    "ModelConfig",
    "Path",
    "Tagged",
    "TaggedSentence",
    "TaggedSpan",
    "Tagger",
    "check_destination",
    "load_bundle",
    "predict_tags",
    "save_bundle",
]
