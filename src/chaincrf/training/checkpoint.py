"""Checkpoints: a training run on disk, in one file that is written whole or not at all.

What is saved is a tree of dictionaries, lists, numbers, texts and tensors. The tensors are those of a
safetensors file, all else is JSON in its header: nothing is code and nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ..data.streaming import StreamedSentences
from ..errors import ModelError
from .processes import Processes
from .recipe import Recipe
from .setup import Prepared
from .state import TrainingState

__all__ = ["Checkpoints", "data_digest", "read_tree", "write_tree"]

_FORMAT, _VERSION = "chaincrf-checkpoint", "2"
_ASKED = 16  # steps
_TENSOR = "$tensor"  # a dictionary with this key alone stands for the tensor of that name


class Checkpoints:
    """Where a run is saved, how often, and whether it goes on from there.

    Args:
        path: the file; None: the run is not saved.
        minutes: time between two checkpoints within an epoch; there is one at every epoch's end, besides.
        resume: go on from the file if it is there. Without it, a file that is there is replaced.
        say: told what differs where a run goes on elsewhere: on another device, or in another number of
            processes, its result is not the uninterrupted one to the last bit.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        minutes: float = 10.0,
        resume: bool = False,
        say: Callable[[str], object] = warnings.warn,
    ) -> None:
        self.path = path
        self.minutes = minutes
        self.resume = resume
        self._say = say
        self._run: dict[str, Any] = {}
        self._last = time.monotonic()

    def begin(self, recipe: Recipe, prepared: Prepared, model: nn.Module, processes: Processes) -> None:
        """Note what must be the same when the run goes on: the recipe, the data and the untrained model.

        Raises:
            DataError: if they are not the same in all processes.
        """
        if self.path is None and processes.count == 1:
            return
        self._run = {"recipe": recipe.model_dump(mode="json"), "data": data_digest(prepared, model)}
        processes.check(json.dumps(self._run))

    def restore(self, state: TrainingState) -> None:
        """Bring back the state to go on from, if there is one and it is wanted.

        Raises:
            ModelError: if the file is damaged, or of a run with another recipe or other data.
        """
        if self.path is None:
            return
        self._run |= _place(state)
        if self.resume and self.path.exists():
            tree = read_tree(self.path)
            try:
                if differences := _differences(tree["run"], self._run):
                    raise ModelError(f"{self.path}: cannot go on from here, for {'; '.join(differences)}")
                state.restore(tree["state"])
                moved = [f"{tree['run'][name]}, now {now}" for name, now in _place(state).items()
                         if tree["run"][name] != now]  # fmt: skip
            except ModelError:
                raise
            except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
                raise ModelError(f"{self.path}: damaged: {error!r}") from None
            if moved:
                self._say(
                    f"{self.path}: saved on {'; '.join(moved)}: the run goes on, but not bit for bit as it "
                    "would have there"
                )
        if not state.processes.agree([state.epoch, state.step]):
            raise ModelError(
                f"{self.path}: expected the same file in every process; share it between machines"
            )

    def due(self, state: TrainingState) -> bool:
        """Whether the last one is old enough; several processes ask each other, every few steps."""
        if self.path is None or (state.processes.count > 1 and state.step % _ASKED):
            return False
        return state.processes.any(time.monotonic() - self._last >= 60 * self.minutes)

    def save(self, state: TrainingState) -> None:
        """Replace the checkpoint; called in all processes, the first one writes."""
        if self.path is not None:
            tree = {"run": self._run, "state": state.capture()}
            if state.processes.number == 0:
                write_tree(tree, self.path)
            self._last = time.monotonic()


def write_tree(tree: Mapping[str, Any], path: Path) -> None:
    """Write a tree under another name, make sure that it is on the disk, and rename it."""
    tensors: dict[str, Tensor] = {}
    skeleton = _take_tensors(tree, "", tensors)
    temporary = path.with_name(f"{path.name}.part")
    metadata = {"format": _FORMAT, "version": _VERSION, "tree": json.dumps(skeleton)}
    with temporary.open("wb") as file:  # save_file has a temporary name of its own, left there after a kill
        file.write(save(tensors, metadata=metadata))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_tree(path: Path) -> dict[str, Any]:
    """Read a tree, its tensors as copies in the processor's memory.

    Raises:
        ModelError: if the file is not a checkpoint, damaged, or of a newer format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise ModelError(f"{path}: not a checkpoint")
            if metadata.get("version") != _VERSION:
                raise ModelError(f"{path}: expected format version {_VERSION}, got {metadata['version']!r}")
            # A copy lies where PyTorch puts its tensors: kernels may round otherwise at another alignment.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        return _put_tensors(json.loads(metadata["tree"]), tensors)
    except (OSError, SafetensorError, KeyError, ValueError, RecursionError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path}: {error}") from None


def data_digest(prepared: Prepared, model: nn.Module) -> str:
    """SHA-256 of all that training reads: the encoded data, and an untrained model with its word vectors."""
    digest = hashlib.sha256()
    digest.update(json.dumps([prepared.vocabulary.to_json(), [*map(list, prepared.dev_tags)]]).encode())
    for data in (prepared.train, prepared.dev):
        if isinstance(data, StreamedSentences):
            digest.update(data.corpus.report.sha256.encode())
            continue
        for name, part in vars(data).items():
            for array in [part] if isinstance(part, np.ndarray) else part or []:
                digest.update(f"{name}{array.dtype}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
    for name, value in model.state_dict().items():
        digest.update(f"{name}{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _place(state: TrainingState) -> dict[str, str]:
    count = state.processes.count
    return {"device": state.fabric.device.type, "processes": f"{count} process" + "es" * (count > 1)}


def _differences(saved: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    names = [name for name in saved["recipe"] | run["recipe"] if name != "device"]  # see _place
    was, now = ({name: part["recipe"].get(name) for name in names} for part in (saved, run))
    found = [f"{name} was {was[name]!r} and is {now[name]!r}" for name in names if was[name] != now[name]]
    if not found and saved["data"] != run["data"]:
        found.append("the data, or the word vectors, are others")
    return found


def _take_tensors(node: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(node, Tensor):
        tensors[name] = node.detach().cpu().contiguous()
        return {_TENSOR: name}
    if isinstance(node, Mapping):
        return {key: _take_tensors(value, f"{name}/{key}", tensors) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_take_tensors(value, f"{name}/{number}", tensors) for number, value in enumerate(node)]
    return node


def _put_tensors(node: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(node, dict):
        if node.keys() == {_TENSOR}:
            return tensors[node[_TENSOR]]
        return {key: _put_tensors(value, tensors) for key, value in node.items()}
    if isinstance(node, list):
        return [_put_tensors(value, tensors) for value in node]
    return node
