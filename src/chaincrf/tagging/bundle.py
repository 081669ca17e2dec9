"""A trained tagger on disk: a folder with ``model.safetensors``, ``config.json`` and ``vocabulary.json``.

Nothing in the folder is code and nothing is unpickled: reading a model of unknown origin runs none of it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from .. import __version__
from ..data.shapes import SHAPES
from ..data.vocabulary import Vocabulary
from ..errors import ArgumentError, LabelError, ModelError
from ..labels import constraints_from_tags
from ..nn import BiLSTMTagger
from .record import FORMAT_VERSION, Architecture, ModelConfig, migrate

__all__ = ["Bundle", "check_destination", "file_sha256", "load_bundle", "save_bundle"]

_FILES = ("config.json", "model.safetensors", "vocabulary.json")
_MAX_CONFIG = 2**24
_MAX_VOCABULARY = 2**31


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


def check_destination(folder: Path) -> Path:
    """Make sure that a model folder can be written here; best asked before hours of training.

    Returns:
        The place, absolute and with symbolic links followed.

    Raises:
        ModelError: if the place holds something else than a model, or cannot be written.
    """
    folder = Path(folder).resolve()
    if folder.is_dir():
        names = {path.name for path in folder.iterdir()}
        if names and names != set(_FILES):
            found = ", ".join(sorted(names - set(_FILES))[:3]) or "half a model"
            raise ModelError(
                f"{folder}: expected an empty or new folder or a model to replace, found {found}"
            )
    elif folder.exists():
        raise ModelError(f"{folder}: expected a folder, found a file")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent):
            pass
    except OSError as error:
        raise ModelError(f"{folder}: cannot be written: {error}") from None
    return folder


def save_bundle(bundle: Bundle, folder: Path) -> None:
    """Write a model folder, whole or not at all.

    It is written beside its place and renamed; a model that was there before is replaced.

    Raises:
        ModelError: if the place holds something else than a model, or cannot be written.
        OSError: if the disk is full.
    """
    folder = check_destination(folder)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        new, old = Path(temporary) / "new", Path(temporary) / "old"
        new.mkdir()
        _write_json(new / "vocabulary.json", bundle.vocabulary.to_json())
        state = {name: tensor.contiguous() for name, tensor in bundle.model.state_dict().items()}
        save_file(state, new / "model.safetensors", metadata={"format": "pt"})
        shutil.copymode(
            new / "vocabulary.json", new / "model.safetensors"
        )  # safetensors keeps it from others
        hashes = {path.name: file_sha256(path) for path in sorted(new.iterdir())}
        _write_json(
            new / "config.json", bundle.config.model_copy(update={"sha256": hashes}).model_dump(mode="json")
        )
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except BaseException:
            if old.exists():
                old.rename(folder)
            raise


def load_bundle(folder: Path, device: torch.device | str = "cpu") -> Bundle:
    """Read a model folder, checking everything.

    Raises:
        ModelError: if the folder or one of its files is missing, damaged or of another format version.
    """
    folder = Path(folder)
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"{folder}: not a model folder, {' and '.join(missing)} missing")
    config = _read_config(folder / "config.json")
    _check_hashes(config, folder)
    config = config.model_copy(update={"sha256": {}})
    try:
        vocabulary = Vocabulary.from_json(_read_json(folder / "vocabulary.json", _MAX_VOCABULARY))
    except ModelError as error:
        raise ModelError(f"{folder / 'vocabulary.json'}: {error}") from None
    _check_sizes(config.architecture, vocabulary, folder)
    weights = folder / "model.safetensors"
    try:
        _check_shapes(config.architecture, weights)
        bundle = Bundle.build(config, vocabulary)
        bundle.model.load_state_dict(load_file(weights))
    except LabelError as error:
        raise ModelError(f"{folder / 'vocabulary.json'}: {error}") from None
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"{weights}: {error}") from None
    try:
        bundle.model.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        raise ArgumentError(f"device: expected one that this machine has, got {device!r}: {error}") from None
    return bundle


def _read_config(path: Path) -> ModelConfig:
    content = _read_json(path, _MAX_CONFIG)
    version = content.get("format_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise ModelError(
            f"{path}: format version {version} is newer than this chaincrf ({__version__}) knows"
        )
    wanted = set() if version == 1 else set(_FILES) - {"config.json"}
    try:
        config = ModelConfig.model_validate(migrate(content) if isinstance(content, dict) else content)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"])) or "config"
        raise ModelError(f"{path}: {place}: {problem['msg'].removeprefix('Value error, ')}") from None
    if set(config.sha256) != wanted:
        found = ", ".join(sorted(config.sha256)) or "no file"
        raise ModelError(f"{path}: sha256: expected {', '.join(sorted(wanted)) or 'no file'}, found {found}")
    return config


def _check_hashes(config: ModelConfig, folder: Path) -> None:
    """Compare the files with what was written; folders of version 1 say nothing of them."""
    for name, expected in config.sha256.items():
        if (found := file_sha256(folder / name)) != expected:
            raise ModelError(
                f"{folder / name}: expected the SHA-256 {expected[:12]}… that config.json says, found "
                f"{found[:12]}…: the file was damaged or changed"
            )


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _check_shapes(architecture: Architecture, weights: Path) -> None:
    """Compare the shapes of a file with those of an architecture before a byte is allocated for either."""
    with torch.device("meta"):
        model = BiLSTMTagger(**architecture.model_dump())
    wanted = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    with safe_open(weights, framework="pt") as file:
        found = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    for name in sorted(wanted.keys() | found.keys()):
        said, there = wanted.get(name, "no such tensor"), found.get(name, "no such tensor")
        if said != there:
            raise ModelError(f"{weights}: {name}: config.json says {said}, the file has {there}")


def _check_sizes(architecture: Architecture, vocabulary: Vocabulary, folder: Path) -> None:
    sizes = {
        "num_words": (architecture.num_words, len(vocabulary.words)),
        "num_tags": (architecture.num_tags, len(vocabulary.tags)),
        "num_trained": (architecture.num_trained, vocabulary.num_trained),
        "num_chars": (architecture.num_chars, len(vocabulary.chars) if architecture.num_chars else 0),
    }
    shapes = len(SHAPES) if architecture.shape_dim else 0
    if architecture.num_shapes != shapes:
        found = architecture.num_shapes
        raise ModelError(f"{folder}: config.json says num_shapes = {found}, expected {shapes}")
    if architecture.char_encoder == "lstm" and architecture.char_filters % 2:
        raise ModelError(f"{folder}: config.json says char_filters = {architecture.char_filters}, not even")
    for name, (said, found) in sizes.items():
        if said != found:
            raise ModelError(f"{folder}: config.json says {name} = {said}, vocabulary.json has {found}")


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _read_json(path: Path, limit: int) -> Any:
    if path.stat().st_size > limit:
        raise ModelError(f"{path}: expected at most {limit:,} bytes, found {path.stat().st_size:,}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ModelError(f"{path}: {error}") from None
