"""A model folder as a model of MLflow; needs the extra ``mlflow``.

What MLflow keeps is the folder itself, loaded by this module: nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._lazy import require
from ..errors import ArgumentError
from ..tagging import Tagger

__all__ = ["PyfuncTagger", "log_model", "save_model"]

_REQUIREMENTS = ["chaincrf", "pandas"]


class PyfuncTagger:
    """What ``mlflow.pyfunc.load_model`` gives: texts in, for each a dictionary of tokens, tags and spans.

    Args:
        tagger: the model.
    """

    def __init__(self, tagger: Tagger) -> None:
        self.tagger = tagger

    def predict(self, model_input: Any) -> list[dict[str, Any]]:
        """Tag texts.

        Args:
            model_input: a list of texts, or a table with a column ``text``.

        Raises:
            ArgumentError: a table without that column.
        """
        if hasattr(model_input, "columns"):
            if "text" not in model_input.columns:
                there = ", ".join(map(str, model_input.columns))
                raise ArgumentError(f"model_input: expected a column 'text', got {there}")
            model_input = model_input["text"].tolist()
        texts: Sequence[str] = list(model_input)
        return [tagged.to_json() for tagged in self.tagger.tag_all(texts)]


def save_model(tagger: Tagger, path: str | Path, **options: Any) -> None:
    """Write an MLflow model with the ``python_function`` flavour.

    Args:
        tagger: the model.
        path: a new folder.
        **options: of ``mlflow.pyfunc.save_model``.
    """
    _with_folder(tagger, require("mlflow.pyfunc", "mlflow").save_model, path=str(path), **options)


def log_model(tagger: Tagger, name: str = "tagger", **options: Any) -> Any:
    """Log the model to the active run; the answer is MLflow's.

    Args:
        tagger: the model.
        name: of the logged model.
        **options: of ``mlflow.pyfunc.log_model``.
    """
    return _with_folder(tagger, require("mlflow.pyfunc", "mlflow").log_model, name=name, **options)


def _with_folder(tagger: Tagger, keep: Any, **options: Any) -> Any:
    import tempfile

    options = {"pip_requirements": _REQUIREMENTS} | options
    with tempfile.TemporaryDirectory() as folder:
        tagger.save(Path(folder) / "model")
        return keep(loader_module=__name__, data_path=str(Path(folder) / "model"), **options)


def _load_pyfunc(path: str) -> PyfuncTagger:
    """MLflow calls it."""
    return PyfuncTagger(Tagger.load(path))
