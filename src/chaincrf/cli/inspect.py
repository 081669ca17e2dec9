"""``chaincrf inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["inspect"]


def inspect(
    model: Annotated[Path, typer.Argument(help="a model folder")],
    json: Annotated[bool, typer.Option("--json", help="print config.json and the sizes as JSON")] = False,
) -> None:
    """Say what is in a model folder: labels, sizes, how it was trained; and check that it is whole.

    For example: `chaincrf inspect model`
    """
    from ..tagging import Tagger
    from .console import print_json, stdout

    tagger = Tagger.load(model)
    config, vocabulary = tagger.bundle.config, tagger.bundle.vocabulary
    sizes = {path.name: path.stat().st_size for path in sorted(model.iterdir())}
    parameters = sum(parameter.numel() for parameter in tagger.bundle.model.parameters())
    if json:
        content = config.model_dump(mode="json", exclude={"sha256"})
        print_json(content | {"labels": tagger.labels, "parameters": parameters, "bytes": sizes})
        return
    network = config.architecture
    known = (len(vocabulary.words) - 2, len(vocabulary.chars) - 2, vocabulary.num_trained - 2)
    shapes = f", shapes {network.shape_dim}" if network.num_shapes else ""
    characters = f", characters by {network.char_encoder} {network.char_filters}" if network.num_chars else ""
    calibration = "none"
    if config.calibration is not None:
        calibration = f"temperature {config.calibration.temperature:.3f}"
        calibration += ", isotonic" if config.calibration.isotonic else ""
    constraints = "the scheme's" if config.constrained else "none"
    rows = {
        "task": config.task + (f", {config.scheme}" if config.scheme else ""),
        "labels": ", ".join(tagger.labels),
        "network": f"words {network.word_dim}{characters}{shapes}; "
        f"BiLSTM {network.layers} x {network.hidden}",
        "decoder": f"{network.head}; constraints: {constraints} ({network.constrain})",
        "parameters": f"{parameters:,}",
        "vocabulary": f"{known[0]:,} words, {known[2]:,} of them trained; {known[1]:,} characters",
        "calibration": calibration,
        "format": f"version {config.format_version}, written by chaincrf {config.chaincrf_version}",
        "files": ", ".join(f"{name} {size:,} bytes" for name, size in sizes.items()),
        "trained": ", ".join(sorted(config.training)) or "not known",
    }
    console = stdout()
    for name, value in rows.items():
        console.print(f"{name + ':':<13}{value}")
