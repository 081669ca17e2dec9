"""A trained tagger on disk: a folder with ``model.safetensors``, ``config.json`` and ``vocabulary.json``.

Nothing in the folder is code and nothing is unpickled: reading a model of unknown origin runs none of it.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from .. import __version__
from ..data.vocabulary import Vocabulary
from ..errors import LabelError, ModelError
from ..labels import constraints_from_tags
from ..nn import BiLSTMTagger

__all__ = ["Architecture", "Bundle", "ModelConfig", "load_bundle", "save_bundle"]

_FILES = ("config.json", "model.safetensors", "vocabulary.json")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Architecture(_Record):
    """The arguments of :class:`chaincrf.nn.BiLSTMTagger`, bounded: a file may not ask for any size."""

    num_words: int = Field(ge=2, le=50_000_000)
    num_tags: int = Field(ge=1, le=100_000)
    num_chars: int = Field(ge=0, le=1_200_000)
    num_trained: int = Field(ge=2, le=50_000_000)
    word_dim: int = Field(ge=1, le=4096)
    char_dim: int = Field(ge=1, le=1024)
    char_filters: int = Field(ge=0, le=4096)
    hidden: int = Field(ge=1, le=8192)
    layers: int = Field(ge=1, le=8)
    dropout: float = Field(ge=0, lt=1)
    word_dropout: float = Field(ge=0, lt=1)
    head: Literal["crf", "softmax"]
    constrain: Literal["always", "decode"]


class ModelConfig(_Record):
    """The content of ``config.json``."""

    format: Literal["chaincrf-tagger"] = "chaincrf-tagger"
    format_version: Literal[1] = 1
    chaincrf_version: str = __version__
    task: Literal["ner", "pos"]
    scheme: str | None
    constrained: bool = Field(description="whether the scheme's forbidden moves are excluded")
    architecture: Architecture
    training: dict[str, Any] = Field(
        default_factory=dict, description="recipe, data hashes, versions and scores: for people"
    )


@dataclass(frozen=True)
class Bundle:
    """A model with what its numbers mean."""

    model: BiLSTMTagger
    vocabulary: Vocabulary
    config: ModelConfig

    @classmethod
    def build(cls, config: ModelConfig, vocabulary: Vocabulary) -> Bundle:
        """The network that a configuration describes, with random weights."""
        constraints = None
        if config.constrained and config.scheme is not None:
            constraints = constraints_from_tags(vocabulary.tags, config.scheme)
        model = BiLSTMTagger(**config.architecture.model_dump(), constraints=constraints)
        return cls(model, vocabulary, config)


def save_bundle(bundle: Bundle, folder: Path) -> None:
    """Write a model folder, whole or not at all.

    It is written beside its place and renamed; a model that was there before is replaced.

    Raises:
        ModelError: if the place is taken by something that is not a model folder.
    """
    folder = Path(folder)
    if folder.exists() and not _replaceable(folder):
        raise ModelError(f"{folder}: exists and is not a model folder; choose another place")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        new, old = Path(temporary) / "new", Path(temporary) / "old"
        new.mkdir()
        state = {name: tensor.contiguous() for name, tensor in bundle.model.state_dict().items()}
        save_file(state, new / "model.safetensors", metadata={"format": "pt"})
        _write_json(new / "config.json", bundle.config.model_dump(mode="json"))
        _write_json(new / "vocabulary.json", bundle.vocabulary.to_json())
        if folder.exists():
            folder.rename(old)
        new.rename(folder)


def load_bundle(folder: Path, device: torch.device | str = "cpu") -> Bundle:
    """Read a model folder, checking everything.

    Raises:
        ModelError: if the folder or one of its files is missing, damaged or of another format version.
    """
    folder = Path(folder)
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"{folder}: not a model folder, {' and '.join(missing)} missing")
    content = _read_json(folder / "config.json")
    version = content.get("format_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > 1:
        raise ModelError(
            f"{folder / 'config.json'}: format version {version} is newer than this chaincrf "
            f"({__version__}) knows"
        )
    try:
        config = ModelConfig.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"])) or "config"
        raise ModelError(f"{folder / 'config.json'}: {place}: {problem['msg']}") from None
    vocabulary = Vocabulary.from_json(_read_json(folder / "vocabulary.json"))
    _check_sizes(config.architecture, vocabulary, folder)
    try:
        state = load_file(folder / "model.safetensors", device=str(device))
        bundle = Bundle.build(config, vocabulary)
        bundle.model.load_state_dict(state)
    except LabelError as error:
        raise ModelError(f"{folder / 'config.json'}: {error}") from None
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"{folder / 'model.safetensors'}: {error}") from None
    bundle.model.to(device).eval()
    return bundle


def _check_sizes(architecture: Architecture, vocabulary: Vocabulary, folder: Path) -> None:
    sizes = {
        "num_words": (architecture.num_words, len(vocabulary.words)),
        "num_tags": (architecture.num_tags, len(vocabulary.tags)),
        "num_trained": (architecture.num_trained, vocabulary.num_trained),
        "num_chars": (architecture.num_chars, len(vocabulary.chars) if architecture.num_chars else 0),
    }
    for name, (said, found) in sizes.items():
        if said != found:
            raise ModelError(f"{folder}: config.json says {name} = {said}, vocabulary.json has {found}")


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and (
        not any(folder.iterdir()) or all((folder / name).is_file() for name in _FILES)
    )


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ModelError(f"{path}: {error}") from None
