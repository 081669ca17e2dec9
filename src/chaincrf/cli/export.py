"""``chaincrf export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import ConfigError

__all__ = ["export"]


def export(
    model: Annotated[Path, typer.Argument(help="a model folder")],
    out: Annotated[Path, typer.Option(help="the folder to write")],
    format: Annotated[
        Literal["onnx", "torch"],
        typer.Option(help="an ONNX graph and what runs it, or a program of torch.export"),
    ] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="add an ONNX graph with weights of 8 bits")] = False,
) -> None:
    """Write a model for production elsewhere: one graph with the decoder and its probabilities inside.

    For example: `chaincrf export model --out model-onnx`
    """
    from ..tagging import load_bundle
    from ..tagging.export import export_onnx, export_program
    from .console import note

    if format == "torch":
        if int8:
            raise ConfigError("--int8: expected together with --format onnx")
        export_program(load_bundle(model), out.absolute())
        note(f"written: {out}; run it by chaincrf.tagging.program.ProgramTagger({str(out)!r})")
        return
    export_onnx(load_bundle(model), out.absolute(), int8=int8)
    note(f"written: {out}; try: echo 'A sentence .' | python {out / 'run.py'}")
