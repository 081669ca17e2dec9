"""``chaincrf calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .config import MAX_THREADS, FormatConfig
from .options import configured

if TYPE_CHECKING:
    from ..tagging import Calibration, CalibrationReport

__all__ = ["calibrate"]

_SHOWN = (0.8, 0.9, 0.95, 0.99)


@configured(FormatConfig, Reading=FormatConfig)
def calibrate(
    config: FormatConfig,
    model: Annotated[Path, typer.Argument(help="a model folder")],
    dev: Annotated[Path, typer.Option(help="tagged data that the model was not trained on")],
    isotonic: Annotated[bool, typer.Option("--isotonic", help="learn an isotonic map on top")] = False,
    out: Annotated[
        Path | None, typer.Option(help="write the model here; without it, the folder is replaced")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print the report as JSON on standard output")] = False,
    threads: Annotated[int, typer.Option(min=1, max=MAX_THREADS, help="CPU threads")] = 1,
) -> None:
    """Learn what a model's probabilities mean: a temperature, and the threshold of each precision.

    Afterwards `chaincrf tag model --threshold "precision>=0.95"` leaves out the spans that are less sure.

    For example: `chaincrf calibrate model --dev dev.tsv`
    """
    from dataclasses import asdict

    from ..tagging import Tagger, check_destination
    from ..tagging import calibrate as learn
    from ..training import in_scheme
    from .console import note, print_json, use_threads
    from .files import read_file

    use_threads(threads)
    destination = check_destination(out or model)
    bundle = Tagger.load(model).bundle
    corpus = read_file(dev, config, bundle.config.task)
    calibration, report = learn(bundle, in_scheme(corpus, bundle.config.scheme), isotonic=isotonic)
    configured = bundle.config.model_copy(update={"calibration": calibration})
    Tagger(type(bundle)(bundle.model, bundle.vocabulary, configured)).save(destination)
    note(f"written: {destination}")
    if json:
        print_json(asdict(report) | {"calibration": calibration.model_dump(mode="json")})
    else:
        _print(calibration, report, "tokens" if bundle.config.scheme is None else "spans")


def _print(calibration: Calibration, report: CalibrationReport, answers: str) -> None:
    from rich.table import Table

    from .console import stdout

    console = stdout()
    before, after = report.ece
    console.print(
        f"{report.answers} {answers} found in the development data, {report.correct} of them right; "
        f"temperature {calibration.temperature:.3f}"
    )
    console.print(f"expected calibration error: {100 * before:.2f} % before, {100 * after:.2f} % after")
    columns = ("confidence", "before", "right", "said", "after", "right", "said")
    table = Table(*columns, box=None, pad_edge=False)
    for column in table.columns:
        column.justify = "right"
    for old, new in zip(*report.reliability, strict=True):
        cells = [f"{old.lower:.1f} to {old.upper:.1f}"]
        for part in (old, new):
            shares = (f"{100 * part.accuracy:.1f} %", f"{100 * part.confidence:.1f} %")
            cells += [str(part.answers), *(shares if part.answers else ("", ""))]
        table.add_row(*cells)
    console.print(table)
    if answers != "spans":
        return
    for precision in _SHOWN:
        point = next((point for point in calibration.points if point.precision >= precision), None)
        reached = "not reached"
        if point is not None:
            share = 100 * point.kept / report.answers
            reached = f"probability {point.threshold:.4f}, keeps {share:.1f} % of the spans"
        console.print(f"precision>={precision}: {reached}")
