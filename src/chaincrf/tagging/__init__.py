"""Trained taggers: on disk, and at work."""

from .bundle import Architecture, Bundle, ModelConfig, check_destination, load_bundle, save_bundle
from .predict import predict_tags
from .tagger import TaggedSentence, TaggedSpan, Tagger

__all__ = [
    "Architecture",
    "Bundle",
    "ModelConfig",
    "TaggedSentence",
    "TaggedSpan",
    "Tagger",
    "check_destination",
    "load_bundle",
    "predict_tags",
    "save_bundle",
]
