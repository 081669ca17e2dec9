"""What ``config.json`` of a model folder holds, and how that of an older version is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .. import __version__
from ..evaluation import Operating

__all__ = ["FORMAT_VERSION", "MAX_TAGS", "MAX_WORDS", "Architecture", "Calibration", "ModelConfig", "migrate"]

FORMAT_VERSION = 2

MAX_WORDS, MAX_TAGS = 50_000_000, 5_000
"""A model may not have more."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Architecture(_Record):
    """The arguments of :class:`chaincrf.nn.BiLSTMTagger`, bounded: a file may not ask for any size."""

    num_words: int = Field(ge=2, le=MAX_WORDS)
    num_tags: int = Field(ge=1, le=MAX_TAGS)
    num_chars: int = Field(ge=0, le=1_200_000)
    num_trained: int = Field(ge=2, le=MAX_WORDS)
    word_dim: int = Field(ge=1, le=4096)
    char_dim: int = Field(ge=1, le=1024)
    char_filters: int = Field(ge=0, le=4096)
    char_encoder: Literal["cnn", "lstm"] = "cnn"
    num_shapes: int = Field(default=0, ge=0, le=1000)
    shape_dim: int = Field(default=0, ge=0, le=1024)
    hidden: int = Field(ge=1, le=8192)
    layers: int = Field(ge=1, le=8)
    dropout: float = Field(ge=0, lt=1)
    dropout_mask: Literal["token", "sentence"] = "token"
    recurrent_dropout: float = Field(default=0.0, ge=0, lt=1)
    word_dropout: float = Field(ge=0, lt=1)
    head: Literal["crf", "softmax"]
    constrain: Literal["always", "decode"]
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)


class Calibration(_Record):
    """What was learned on development data; see :mod:`chaincrf.tagging.calibration`."""

    temperature: float = Field(
        default=1.0, gt=0, le=1000, description="what all scores are divided by to become probabilities"
    )
    isotonic: tuple[tuple[float, float], ...] = Field(
        default=(),
        max_length=1_000_000,
        description="knots of a non-decreasing map of the probabilities of answers, linear in between",
    )
    points: tuple[Operating, ...] = Field(
        default=(),
        max_length=1_000_000,
        description="thresholds worth choosing, with the precision and the answers kept on that data",
    )

    @model_validator(mode="after")
    def _ascending(self) -> Calibration:
        for name, values in (("isotonic", self.isotonic), ("points", [point[:2] for point in self.points])):
            array = np.array(values, dtype=np.float64).reshape(-1, 2)
            if not (((array >= 0) & (array <= 1)).all() and (np.diff(array, axis=0) >= 0).all()):
                raise ValueError(f"{name}: expected ascending probabilities")
        return self

    def mapped(self, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities of answers after the isotonic map."""
        if not self.isotonic:
            return probabilities
        places, values = zip(*self.isotonic, strict=True)
        return np.interp(probabilities, places, values)


class ModelConfig(_Record):
    """The content of ``config.json``; ``ModelConfig.model_json_schema()`` is its JSON schema."""

    format: Literal["chaincrf-tagger"] = "chaincrf-tagger"
    format_version: Literal[2] = FORMAT_VERSION
    chaincrf_version: str = __version__
    task: Literal["ner", "pos"]
    scheme: str | None
    constrained: bool = Field(description="whether the scheme's forbidden moves are excluded")
    architecture: Architecture
    calibration: Calibration | None = Field(default=None, description="what its probabilities mean")
    sha256: dict[str, str] = Field(
        default_factory=dict, description="of the other files, in hexadecimal; empty in memory"
    )
    training: dict[str, Any] = Field(
        default_factory=dict, description="recipe, data hashes, versions and scores: for people"
    )

    @model_validator(mode="after")
    def _task_and_scheme(self) -> ModelConfig:
        if (self.task == "ner") != (self.scheme is not None):
            raise ValueError(f"task {self.task!r} does not go with scheme {self.scheme!r}")
        return self


def _from_1(content: dict[str, Any]) -> dict[str, Any]:
    """Version 2 has a calibration and hashes, version 1 knew neither."""
    return content | {"format_version": 2}


_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}


def migrate(content: dict[str, Any]) -> dict[str, Any]:
    """The content of ``config.json`` as the newest version writes it, one version after the other."""
    while (version := content.get("format_version")) in _MIGRATIONS:
        content = _MIGRATIONS[version](content)
    return content
