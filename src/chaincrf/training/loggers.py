"""Loggers: the curve of a run in TensorBoard, MLflow or Weights & Biases, as Fabric's loggers.

Fabric brings one for TensorBoard; the other two are here, a few lines each. All write into the run folder
unless the library's own settings (``MLFLOW_TRACKING_URI``, ``WANDB_...``) say otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import Logger
from lightning_fabric.loggers.tensorboard import TensorBoardLogger

from .._lazy import require

__all__ = ["LOGGERS", "make_logger"]

LOGGERS = ("tensorboard", "mlflow", "wandb")


def make_logger(kind: str, folder: Path, name: str) -> Logger:
    """A logger by its name.

    Args:
        kind: one of :data:`LOGGERS`.
        folder: for what it writes.
        name: of the run.

    Raises:
        MissingExtra: if its library is not installed; says the line that installs it.
    """
    if kind == "mlflow":
        return _MLflow(require("mlflow", "mlflow"), folder / "mlflow", name)
    if kind == "wandb":
        return _Wandb(require("wandb", "wandb"), folder, name)
    require("tensorboard", "tensorboard")
    return TensorBoardLogger(folder, name="tensorboard", version="")


class _MLflow(Logger):
    """A run of MLflow: in the store of ``MLFLOW_TRACKING_URI``, else in files."""

    def __init__(self, mlflow: Any, folder: Path, name: str) -> None:
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if uri is None:
            folder.mkdir(parents=True, exist_ok=True)
            uri = f"sqlite:///{folder.absolute() / 'mlflow.db'}"
        self._client = mlflow.MlflowClient(tracking_uri=uri)
        experiment = self._client.get_experiment_by_name(self.name)
        number = experiment.experiment_id if experiment else self._client.create_experiment(
            self.name, None if "MLFLOW_TRACKING_URI" in os.environ else folder.absolute().as_uri()
        )  # fmt: skip
        self._run = self._client.create_run(number, run_name=name).info.run_id

    @property
    def name(self) -> str:
        return os.environ.get("MLFLOW_EXPERIMENT_NAME", "chaincrf")

    @property
    def version(self) -> str:
        return self._run

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:  # type: ignore[override]
        for key, value in metrics.items():
            self._client.log_metric(self._run, key, value, step=step)

    def log_hyperparams(self, params: Mapping[str, Any], *_: Any, **__: Any) -> None:  # type: ignore[override]
        for key, value in params.items():
            self._client.log_param(self._run, key, value)

    def finalize(self, status: str) -> None:
        self._client.set_terminated(self._run, "FINISHED" if status == "success" else "FAILED")


class _Wandb(Logger):
    """A run of Weights & Biases."""

    def __init__(self, wandb: Any, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        project = os.environ.get("WANDB_PROJECT", "chaincrf")
        self._run = wandb.init(dir=str(folder), name=name, project=project)

    @property
    def name(self) -> str:
        return self._run.project

    @property
    def version(self) -> str:
        return self._run.id

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:  # type: ignore[override]
        self._run.log(dict(metrics), step=step)

    def log_hyperparams(self, params: Mapping[str, Any], *_: Any, **__: Any) -> None:  # type: ignore[override]
        self._run.config.update(dict(params))

    def finalize(self, status: str) -> None:
        self._run.finish(0 if status == "success" else 1)
