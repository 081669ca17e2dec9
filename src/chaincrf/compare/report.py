"""The report of a comparison: for the terminal, as JSON, as Markdown, and as one self-contained HTML page."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ..errors import DataError
from .results import Comparison
from .summary import (
    DIFFERENCES,
    difference_cell,
    difference_rows,
    difference_titles,
    note,
    summary_cells,
    summary_columns,
)
from .verdict import verdict

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["markdown_report", "read_report", "table", "text_report", "verdict", "write_report"]

QUESTION = "Does a CRF layer pay on this data?"
WIDTH = 100  # columns of text_report


def table(comparison: Comparison) -> Table:
    """The figures for the terminal: a row a variant, mean±standard deviation over the seeds.

    Plain ASCII rules and no markup, so that it reads the same in a pipe and in a log.
    """
    from rich.text import Text

    columns = summary_columns(comparison)
    # a word a line keeps the numbers close together
    result = _plain_table("variant", [column.title.replace(" ", "\n") for column in columns])
    for variant in comparison.variants:
        result.add_row(Text(variant.title), *summary_cells(comparison, variant, columns, between="±"))
    result.caption = Text(note(comparison))
    return result


def text_report(comparison: Comparison) -> str:
    """The report as plain text of 100 columns: verdict, figures, paired differences, data."""
    from rich.console import Console
    from rich.text import Text

    stream = io.StringIO()
    console = Console(
        file=stream, width=WIDTH, force_terminal=False, color_system=None, legacy_windows=False, _environ={}
    )
    data = [
        f"{part.split}: {part.path}, {part.sentences:,} sentences, {part.tokens:,} tokens"
        for part in comparison.corpus
    ]
    console.print(Text(f"{QUESTION}\n\n{verdict(comparison)}\n"))
    console.print(table(comparison))
    console.print()
    rows = difference_rows(comparison)
    if rows:
        differences = _plain_table("difference", difference_titles(rows))
        for items in rows:
            name = f"{items[0].first} - {items[0].second}"
            differences.add_row(name, *map(difference_cell, items))
        differences.caption = DIFFERENCES.format(unit=comparison.unit)
        console.print(differences)
        console.print()
    for other in comparison.other_schemes:
        columns = summary_columns(comparison)
        more = _plain_table(f"in {other.scheme}", [column.title.replace(" ", "\n") for column in columns])
        for variant in other.variants:
            more.add_row(Text(variant.title), *summary_cells(comparison, variant, columns, between="±"))
        console.print(more)
        console.print()
    console.print(Text("\n".join(data)), soft_wrap=True)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def markdown_report(comparison: Comparison) -> str:
    """Verdict, figures and paired differences in Markdown, to paste where people talk."""
    columns = summary_columns(comparison)
    lines = [f"# {QUESTION}", "", verdict(comparison), ""]
    lines += _markdown_row(["variant", *(column.title for column in columns)], rule=True)
    for variant in comparison.variants:
        lines += _markdown_row([variant.title, *summary_cells(comparison, variant, columns)])
    lines += ["", note(comparison)]
    rows = difference_rows(comparison)
    if rows:
        lines.append("")
        lines += _markdown_row(["difference", *difference_titles(rows)], rule=True)
        for items in rows:
            lines += _markdown_row([f"{items[0].first} - {items[0].second}", *map(difference_cell, items)])
        lines += ["", DIFFERENCES.format(unit=comparison.unit)]
    return "\n".join(lines) + "\n"


def write_report(comparison: Comparison, folder: str | os.PathLike[str]) -> Path:
    """Write ``report.json``, ``report.md`` and ``report.html`` into a folder, which is made if need be.

    Each file is complete or absent: it is written under a temporary name beside its place and renamed. What
    was measured is saved before anything is drawn.

    Returns:
        The path of ``report.html``: one file without any outside reference.

    Raises:
        OSError: when the folder cannot be written.
    """
    from .page import html_report

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    record = json.dumps(comparison.model_dump(mode="json"), sort_keys=True, indent=1, ensure_ascii=False)
    _write(folder / "report.json", record + "\n")
    _write(folder / "report.md", markdown_report(comparison))
    page = folder / "report.html"
    _write(page, html_report(comparison))
    return page


def read_report(path: str | os.PathLike[str]) -> Comparison:
    """Read a ``report.json``, or the one in a folder.

    Raises:
        DataError: when the file is missing, damaged, or not the report of a comparison; it names the file.
    """
    path = Path(path)
    if path.is_dir():
        path /= "report.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Comparison.model_validate(content)
    except OSError as error:
        raise DataError(f"expected a report.json, {error.strerror or error}", path=path) from error
    except UnicodeDecodeError as error:
        raise DataError(f"expected UTF-8, {error.reason} at byte {error.start}", path=path) from error
    except json.JSONDecodeError as error:
        place = {"line": error.lineno, "column": error.colno}
        raise DataError(f"expected JSON, {error.msg}", path=path, **place) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        problem = f"expected the report of a comparison, but {where}: {first['msg']}"
        raise DataError(problem, path=path) from error


def _markdown_row(cells: Sequence[str], *, rule: bool = False) -> list[str]:
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"]
    return [*rows, "| --- |" + " ---: |" * (len(cells) - 1)] if rule else rows


def _plain_table(first: str, others: Sequence[str]) -> Table:
    from rich.box import Box
    from rich.table import Table

    blank = "    \n"
    rule_under_head = Box(blank * 2 + " -- \n" + blank * 5, ascii=True)
    result = Table(box=rule_under_head, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    result.caption_justify, result.caption_style = "left", ""
    result.add_column(first, vertical="bottom")
    for title in others:
        result.add_column(title, justify="right", vertical="bottom", overflow="fold")
    return result


def _write(path: Path, text: str) -> None:
    """Write a file so that it is there complete or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # a lone surrogate, which JSON data can hold, is written as its escape: no report is lost for it
        temporary.write_bytes(text.encode("utf-8", errors="backslashreplace"))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
