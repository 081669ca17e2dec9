"""The models that are served, by name; a new version on disk takes the place of the old one."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from ..crf import LinearChain
from ..errors import ArgumentError, ModelError
from ..tagging import Constraint, Tagger
from ..tagging.bundle import file_sha256
from ..tagging.trellis import explain
from .logs import log
from .metrics import Metrics

__all__ = ["Models", "Served", "named_folders"]

_FILES = ("config.json", "vocabulary.json", "model.safetensors")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def named_folders(models: Sequence[str]) -> dict[str, Path]:
    """The folders of ``MODEL`` arguments, each ``folder`` or ``name=folder``, by name.

    Raises:
        ArgumentError: a name that is none, or is there twice.
    """
    folders: dict[str, Path] = {}
    for model in models:
        name, equals, rest = model.partition("=")
        if not equals or Path(model).exists():
            folder = Path(model)
            name = folder.resolve().name
        else:
            folder = Path(rest)
        if not _NAME.fullmatch(name):
            raise ArgumentError(
                f"MODEL: expected NAME=FOLDER with a name of letters, digits, '.', '_' and '-', got {model!r}"
            )
        if name in folders:
            raise ArgumentError(f"MODEL: two models are called {name!r}; say NAME=FOLDER")
        folders[name] = folder
    return folders


@dataclass(frozen=True)
class Served:
    """One version of a model; what was begun with it is finished with it.

    Attributes:
        name: what requests call it.
        version: the first 12 digits of the SHA-256 of its files.
    """

    name: str
    tagger: Tagger
    version: str


class Models:
    """All models, the first of them for requests that name none.

    A version is swapped in by one assignment: a batch takes the model once, so every answer is of one
    version, and no request waits or is lost. While a folder is damaged or away the old version stays.
    """

    def __init__(self, folders: Mapping[str, Path], metrics: Metrics) -> None:
        self._folders = dict(folders)
        self._metrics = metrics
        self._seen = {name: _signature(folder) for name, folder in self._folders.items()}
        self._served = {name: _load(name, folder) for name, folder in self._folders.items()}

    @property
    def names(self) -> list[str]:
        """In the order they were given."""
        return list(self._served)

    def get(self, name: str | None) -> Served:
        """The version that serves now.

        Raises:
            KeyError: no model has this name.
        """
        return self._served[self.names[0] if name is None else name]

    async def watch(self, seconds: float) -> None:
        """Swap in every new version, looking for one so often; never returns."""
        while True:
            await asyncio.sleep(seconds)
            await self.refresh()

    async def refresh(self) -> None:
        """Look for new versions once."""
        for name, folder in self._folders.items():
            signature = await asyncio.to_thread(_signature, folder)
            if signature is None or signature == self._seen[name]:
                continue
            self._seen[name] = signature
            try:
                new = await asyncio.to_thread(_load, name, folder)
            except Exception as error:
                self._metrics.swaps.labels(name, "failed").inc()
                log("model not swapped", level=logging.ERROR, error=error, model=name, reason=str(error))
                continue
            if new.version != self._served[name].version:
                self._served[name] = new
                self._metrics.swaps.labels(name, "done").inc()
                log("model swapped", model=name, version=new.version)


def _load(name: str, folder: Path) -> Served:
    for _ in range(3):
        version = _version(folder)
        tagger = Tagger.load(folder)
        if version == _version(folder):
            _warm_up(tagger)
            return Served(name, tagger, version)
    raise ModelError(f"{folder}: changes while it is read")


def _warm_up(tagger: Tagger) -> None:
    """Whatever is compiled or loaded at its first use is so before anybody waits for it."""
    tagger.tag("Warm up.")
    tagger.k_best("Warm up.", 2)
    explain(tagger, "Warm up.")
    for label in tagger.labels:
        with suppress(ArgumentError):  # the tags know no such span of one token
            tagger.tag("Warm up.", constraints=[Constraint(0, 4, label)])  # with the probability of a span
            break
    # scores so far apart that they are summed by a kernel of their own: of the best tags one may not follow
    emissions, transitions = torch.tensor([[[1e4, 0.0], [1e4, 0.0]]]), torch.tensor([[-torch.inf, 0], [0, 0]])
    LinearChain(emissions, transitions).log_partition()


def _version(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in _FILES:
        try:
            digest.update(bytes.fromhex(file_sha256(folder / file)))
        except OSError:
            continue  # loading says what is wrong
    return digest.hexdigest()[:12]


def _signature(folder: Path) -> tuple[tuple[int, int, int], ...] | None:
    """What tells a folder from its next version without reading it; None while a file is away."""
    try:
        stats = [(folder / file).stat() for file in _FILES]
    except OSError:
        return None
    return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)
