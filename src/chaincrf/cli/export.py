"""``chaincrf export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["export"]


def export(
    model: Annotated[Path, typer.Argument(help="a model folder")],
    out: Annotated[Path, typer.Option(help="the folder to write")],
    format: Annotated[
        Literal["onnx"], typer.Option(help="a folder with an ONNX graph and what runs it")
    ] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="add a graph with weights of 8 bits")] = False,
) -> None:
    """Write a model for production elsewhere: one graph with the decoder and its probabilities inside.

    For example: `chaincrf export model --out model-onnx`
    """
    from ..tagging import load_bundle
    from ..tagging.export import export_onnx
    from .console import note

    del format  # there is one
    export_onnx(load_bundle(model), out.absolute(), int8=int8)
    note(f"written: {out}; try: echo 'A sentence .' | python {out / 'run.py'}")
