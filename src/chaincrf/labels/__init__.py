"""What a tag means: schemes, spans, conversion, detection and constraints. Plain Python, no tensors."""

from .constraints import Constraints, constraints_from_tags
from .detection import Detection, detect_scheme
from .partial import UNKNOWN_TAG, completed, rewritten
from .scheme import SCHEMES, Scheme, get_scheme, scheme_tags, split_tag
from .spans import (
    REPAIRS,
    Span,
    check_tags,
    convert_tags,
    ill_formed_moves,
    repair_tags,
    spans_to_tags,
    tags_to_spans,
)

__all__ = [
    "REPAIRS",
    "SCHEMES",
    "UNKNOWN_TAG",
    "Constraints",
    "Detection",
    "Scheme",
    "Span",
    "check_tags",
    "completed",
    "constraints_from_tags",
    "convert_tags",
    "detect_scheme",
    "get_scheme",
    "ill_formed_moves",
    "repair_tags",
    "rewritten",
    "scheme_tags",
    "spans_to_tags",
    "split_tag",
    "tags_to_spans",
]
