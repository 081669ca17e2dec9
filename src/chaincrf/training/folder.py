"""The run folder: beside a model folder, what is kept of its training.

``model/`` holds a model and nothing else; ``model.run/`` holds ``checkpoint.safetensors`` until the model is
written.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelError

__all__ = ["RunFolder"]

_CHECKPOINT = "checkpoint.safetensors"
_FILES = {_CHECKPOINT, f"{_CHECKPOINT}.part"}


class RunFolder:
    """The folder of a run, named after the model folder that it makes.

    Args:
        model: the model folder.
    """

    def __init__(self, model: Path) -> None:
        self.path = model.with_name(f"{model.name}.run")
        self.checkpoint = self.path / _CHECKPOINT

    def open(self, *, resume: bool = False) -> None:
        """Make the folder; best asked before anything is read.

        Args:
            resume: whether the run goes on from its checkpoint.

        Raises:
            ModelError: if the place holds something else than a run, or a run to be resumed and ``resume``
                is False.
            OSError: if it cannot be written.
        """
        if self.path.exists():
            if not self.path.is_dir():
                raise ModelError(f"{self.path}: expected a folder, found a file")
            if others := sorted({path.name for path in self.path.iterdir()} - _FILES):
                raise ModelError(f"{self.path}: expected the folder of a run, found {', '.join(others[:3])}")
            if self.checkpoint.exists() and not resume:
                raise ModelError(
                    f"{self.path}: holds a run that did not end; go on with --resume, or remove the folder"
                )
        self.path.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """The model is written: its checkpoint is not needed any more."""
        for name in _FILES:
            (self.path / name).unlink(missing_ok=True)
