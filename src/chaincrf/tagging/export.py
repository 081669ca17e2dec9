"""A tagger for elsewhere: one ONNX graph with what it needs."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from .._lazy import require
from ..errors import ModelError
from . import onnx_runner
from .bundle import Bundle
from .onnx_graph import build_graph

__all__ = ["export_onnx"]


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
    _check_free(folder, {"model.onnx", "model.int8.onnx", "vocabulary.json", "config.json", "run.py"})
    calibration = bundle.config.calibration
    graph = build_graph(bundle.model, calibration.temperature if calibration else 1.0)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        new = Path(temporary)
        onnx.save(graph, new / "model.onnx")
        if int8:
            _quantise(new / "model.onnx", new / "model.int8.onnx")
        content = {
            "vocabulary.json": bundle.vocabulary.to_json(),
            "config.json": bundle.config.model_dump(mode="json"),
        }
        for name, value in content.items():
            (new / name).write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
        shutil.copyfile(onnx_runner.__file__, new / "run.py")
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
