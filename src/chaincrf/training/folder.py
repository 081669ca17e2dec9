"""The run folder: beside a model folder, what is kept of its training.

``model/`` holds a model and nothing else. ``model.run/`` holds

- ``run.json``: recipe, seed, hashes of the data, versions, and at the end the result;
- ``metrics.jsonl``: an object an epoch;
- ``learning-curve.svg`` and ``README.md``, a model card, at the end;
- ``logs/``, where a logger was asked for;
- ``checkpoint.safetensors`` and ``lock``, until the run has ended.

A file that is not ours is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import ModelError
from .card import model_card
from .curve import save_curve
from .lock import locked
from .record import Epoch

__all__ = ["RunFolder"]

_CHECKPOINT = "checkpoint.safetensors"
_LOCK = "lock"
_FILES = {"run.json", "metrics.jsonl", "learning-curve.svg", "README.md", "logs", _LOCK}
_FILES |= {_CHECKPOINT, f"{_CHECKPOINT}.part"}


class RunFolder:
    """The folder of a run, named after the model folder that it makes.

    Args:
        model: the model folder.
    """

    def __init__(self, model: Path) -> None:
        self.model = model
        self.path = model.with_name(f"{model.name}.run")
        self.checkpoint = self.path / _CHECKPOINT

    def check(self, *, resume: bool = False) -> None:
        """Make sure that the folder may be written; best asked before anything is read.

        Args:
            resume: whether the run goes on from its checkpoint.

        Raises:
            ModelError: if the place holds something else than a run, or a run to be resumed and ``resume``
                is False.
        """
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise ModelError(f"{self.path}: expected a folder, found a file")
        names = {path.name for path in self.path.iterdir()}
        if (others := sorted(names - _FILES)) and not names & {"run.json", _CHECKPOINT}:
            raise ModelError(f"{self.path}: expected the folder of a run, found {', '.join(others[:3])}")
        if self.checkpoint.exists() and not resume:
            with locked(self.path / _LOCK):  # it may be going on
                pass
            raise self._unfinished

    @property
    def _unfinished(self) -> ModelError:
        return ModelError(
            f"{self.path}: holds a run that did not end; go on with --resume, or remove the folder"
        )

    def result(self, run: Mapping[str, Any]) -> dict[str, Any] | None:
        """The result of a run that has ended; None if there is none.

        Args:
            run: what is to be trained with what, to be compared with what was.

        Raises:
            ModelError: if that run had another recipe or other data, or the file is damaged.
        """
        file = self.path / "run.json"
        if self.checkpoint.exists() or not file.exists() or not self.model.exists():
            return None
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            was, result = (record["recipe"], _data(record)), record.get("result")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{file}: damaged: {error!r}") from None
        if result is not None and was != (run["recipe"], _data(run)):
            other = "another recipe" if was[0] != run["recipe"] else "other data"
            raise ModelError(f"{self.path}: holds a run with {other} that has ended; leave out --resume")
        return result

    @contextmanager
    def begin(self, *, resume: bool = False) -> Iterator[None]:
        """Make the folder, and keep other processes out of it while the block runs.

        What is in it stays until a first epoch is done.

        Raises:
            ModelError: as of :meth:`check`, or if another process is training here.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path / _LOCK):
            if self.checkpoint.exists() and not resume:  # of a run that was killed in the meantime
                raise self._unfinished
            yield

    def record(self, record: Mapping[str, Any]) -> None:
        """Write down what is trained with what."""
        self._write("run.json", json.dumps(record, ensure_ascii=False, indent=1) + "\n")

    def add(self, epoch: Epoch) -> None:
        """Append an epoch to the metrics, in place of what a killed run left of it and of later ones."""
        file = self.path / "metrics.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []
        if len(lines) >= epoch.number:
            self._write(file.name, "".join(lines[: epoch.number - 1]))
        score = next(iter(epoch.scores.values()))
        line = {
            "epoch": epoch.number,
            "loss": epoch.loss,
            "dev_score": score,
            "train_seconds": epoch.train_seconds,
        }
        with file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def show(self, epochs: Sequence[Epoch], metric: str) -> None:
        """Draw the learning curve."""
        save_curve(epochs, self.path / "learning-curve.svg", metric)

    def close(self, record: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """The model is written: record the result; the checkpoint is not needed any more."""
        self._write("README.md", model_card(self.model.name, record, result))
        self.record({**record, "result": result})
        for name in (_CHECKPOINT, f"{_CHECKPOINT}.part", _LOCK):
            (self.path / name).unlink(missing_ok=True)

    def _write(self, name: str, content: str) -> None:
        # Whole or not at all; the temporary name is the one that a checkpoint's cleaning up removes.
        temporary = self.path / f"{_CHECKPOINT}.part"
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(self.path / name)


def _data(run: Mapping[str, Any]) -> dict[str, Any]:
    """What tells data from other data: their hashes, and the tags that partial labels leave open."""
    return {split: (data["sha256"], data.get("unknown", 0)) for split, data in run["data"].items()}
