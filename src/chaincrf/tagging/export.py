"""A tagger for elsewhere: one ONNX graph, or one program of ``torch.export``, with what it needs."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from .._lazy import require
from ..errors import ModelError
from . import onnx_runner
from .bundle import Bundle

__all__ = ["export_onnx", "export_program"]


def export_onnx(bundle: Bundle, folder: Path, *, int8: bool = False) -> None:
    """Write a folder with ``model.onnx``, ``vocabulary.json``, ``config.json`` and ``run.py``.

    The graph goes from ids to tags, path score, log-partition and marginals; see
    :func:`chaincrf.tagging.onnx_graph.build_graph`. ``run.py`` runs it with numpy and onnxruntime alone.

    Args:
        bundle: the model; its temperature is in the graph.
        folder: a new or an empty folder, or one that was written so before.
        int8: add ``model.int8.onnx``, whose matrix products are quantised (dynamically, weights to int8).

    Raises:
        ModelError: the folder holds something else.
        MissingExtra: onnx (and for int8 onnxruntime) is not installed.
    """
    onnx = require("onnx", "onnx")
    from .onnx_graph import build_graph

    def write(new: Path) -> None:
        onnx.save(build_graph(bundle.model, _temperature(bundle)), new / "model.onnx")
        if int8:
            _quantise(new / "model.onnx", new / "model.int8.onnx")
        shutil.copyfile(onnx_runner.__file__, new / "run.py")

    _write(bundle, folder, {"model.onnx", "model.int8.onnx", "run.py"}, write)


def export_program(bundle: Bundle, folder: Path) -> None:
    """Write a folder with ``model.pt2`` (a ``torch.export`` program) and its vocabulary and configuration.

    Inputs and outputs are those of the ONNX graph; :class:`chaincrf.tagging.program.ProgramTagger` runs it.
    Its weights are plain numbers, its code a graph of operators, some of which this package brings.

    Args:
        bundle: the model; its temperature is in the program.
        folder: a new or an empty folder, or one that was written so before.

    Raises:
        ModelError: the folder holds something else.
    """
    import torch

    from .program import build_program

    def write(new: Path) -> None:
        torch.export.save(build_program(bundle.model, _temperature(bundle)), new / "model.pt2")

    _write(bundle, folder, {"model.pt2"}, write)


def _temperature(bundle: Bundle) -> float:
    return bundle.config.calibration.temperature if bundle.config.calibration else 1.0


def _write(bundle: Bundle, folder: Path, own: set[str], write: Callable[[Path], None]) -> None:
    """Write a folder, whole or not at all: what ``write`` puts into it, vocabulary, configuration."""
    content = {
        "vocabulary.json": bundle.vocabulary.to_json(),
        "config.json": bundle.config.model_dump(mode="json"),
    }
    _check_free(folder, own | content.keys())
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        new = Path(temporary)
        write(new)
        for name, value in content.items():
            (new / name).write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
        folder.mkdir(exist_ok=True)
        for path in new.iterdir():
            path.replace(folder / path.name)


def _quantise(source: Path, destination: Path) -> None:
    quantization = require("onnxruntime.quantization", "onnx")
    quantization.quantize_dynamic(
        source,
        destination,
        op_types_to_quantize=["LSTM", "MatMul"],
        weight_type=quantization.QuantType.QInt8,
    )


def _check_free(folder: Path, own: set[str]) -> None:
    if folder.exists() and not folder.is_dir():
        raise ModelError(f"{folder}: expected a folder, found a file")
    others = {path.name for path in folder.iterdir()} - own if folder.is_dir() else set()
    if others or (folder / "model.safetensors").exists():
        raise ModelError(f"{folder}: expected an empty or new folder, found {', '.join(sorted(others)[:3])}")
    folder.parent.mkdir(parents=True, exist_ok=True)
