"""``chaincrf tag``."""

from __future__ import annotations

import sys
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import ConfigError
from .config import MAX_THREADS

if TYPE_CHECKING:
    from ..tagging.files import Counts, FileTagger, Job

__all__ = ["tag"]

Format = Literal["text", "conll", "conllu", "jsonl", "parquet"]


def tag(
    model: Annotated[Path, typer.Argument(help="a model folder")],
    files: Annotated[list[Path] | None, typer.Argument(help="the texts; - is standard input")] = None,
    input: Annotated[str | None, typer.Option(help="the files that match, such as 'shards/*.jsonl'")] = None,
    input_format: Annotated[
        Literal["auto", "text", "conll", "conllu", "jsonl", "parquet"],
        typer.Option(help="a text a line, or files of tokens; auto: by the file's name, else text"),
    ] = "auto",
    output_format: Annotated[
        Format | None,
        typer.Option(
            help="text with the spans marked, JSON lines, columns; else by the name of --output, else text"
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="the same as --output-format jsonl")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            help="a file, written whole or not at all; or a folder (a name without a suffix): a file for "
            "each input, and those that are there are left out, so that a stopped run goes on"
        ),
    ] = None,
    threshold: Annotated[
        str | None, typer.Option(help='leave out less probable spans: 0.8, or "precision>=0.95"')
    ] = None,
    token_column: Annotated[int | None, typer.Option(help="the column of the tokens, from 1")] = None,
    on_error: Annotated[
        Literal["raise", "skip"],
        typer.Option(help="a malformed text ends the run, or is skipped and counted"),
    ] = "raise",
    batch_tokens: Annotated[int, typer.Option(min=1, help="tokens in a batch: speed, not results")] = 2048,
    threads: Annotated[int, typer.Option(min=1, max=MAX_THREADS, help="CPU threads")] = 1,
    ray: Annotated[
        str | None, typer.Option(help="tag on a Ray cluster, by its address; or 'local': on all cores here")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="with --ray: actors, each with a model")] = None,
) -> None:
    """Tag texts, from files or standard input.

    Files of any size stream through; at a terminal every line is answered at once. A text may have many
    sentences.

    For example:

    `echo "She was treated for breast cancer." | chaincrf tag model`

    `chaincrf tag model texts.txt --output tagged.jsonl`

    `chaincrf tag model --ray local --input 'shards/*.parquet' --output tagged/ --output-format parquet`
    """
    from ..tagging.files import Job
    from ..tagging.tagger import AHEAD
    from .console import use_threads

    sources = _sources(files, input)
    form = _form(output_format, output, json)
    interactive = sources == [Path("-")] and sys.stdin.isatty()
    job = Job(
        input_format=input_format,
        output_format=form,
        token_column=token_column,
        skip=on_error == "skip",
        threshold=_threshold(threshold),
        probabilities=threshold is not None or form in ("jsonl", "parquet"),
        batch_tokens=batch_tokens,
        ahead=1 if interactive else AHEAD,
    )
    if ray is not None:
        if threads > 1:
            raise ConfigError("--threads: expected 1 together with --ray, whose --workers have a CPU each")
        _on_ray(model, sources, output, job, None if ray == "local" else ray, workers)
    else:
        use_threads(threads)
        _here(model, sources, output, job, interactive)


def _sources(files: list[Path] | None, pattern: str | None) -> list[Path]:
    found = [Path(name) for name in sorted(glob(pattern, recursive=True))] if pattern else []  # noqa: PTH207
    if pattern and not found:
        raise ConfigError(f"--input: expected files, found none that match {pattern!r}")
    return [*(files or []), *found] or [Path("-")]


def _form(given: str | None, output: Path | None, json: bool) -> str:
    from ..tagging.output import SUFFIXES

    if json:
        return "jsonl"
    named = {suffix: form for form, suffix in SUFFIXES.items()}.get(output.suffix if output else "", "text")
    return given or named


def _threshold(text: str | None) -> float | str | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _here(model: Path, sources: list[Path], output: Path | None, job: Job, interactive: bool) -> None:
    from ..tagging import Tagger
    from ..tagging.files import FileTagger
    from ..tagging.scale import shard_outputs
    from .console import note

    tagger = FileTagger(Tagger.load(model), job)
    folder = output if output is not None and _is_folder(output) else None
    places: dict[Path, Path | None] = dict.fromkeys(sources, output)
    if folder is not None:
        places = dict(shard_outputs(sources, folder, job.output_format))
        there = [source for source, place in places.items() if place is not None and place.exists()]
        places = {source: place for source, place in places.items() if source not in there}
        if there:
            note(f"{len(there)} of {len(sources)} files were tagged before and are left out")
    elif output is not None and len(sources) > 1:
        raise ConfigError(f"--output: expected a folder for {len(sources)} files, such as {output}/")
    for counts in _tag_each(tagger, places, interactive):
        if counts.skipped:
            note(f"skipped: {counts.skipped} malformed; the first: {counts.first_error}")


def _tag_each(tagger: FileTagger, places: dict[Path, Path | None], interactive: bool) -> list[Counts]:
    """Tag file after file, and show how far it is."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from .console import stderr

    console = stderr()
    sizes = [path.stat().st_size if path.is_file() and path.suffix != ".gz" else None for path in places]
    total = sum(size or 0 for size in sizes) if all(size is not None for size in sizes) else None
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    shown = (
        console.is_terminal
        and not interactive
        and (sys.stdout.isatty() is False or None not in places.values())
    )
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        bar = progress.add_task("tagging", total=total)
        return [
            tagger.tag(
                source,
                place,
                on_bytes=lambda size: progress.advance(bar, size),
                on_text=sys.stdout.flush if interactive else None,
            )
            for source, place in places.items()
        ]


def _is_folder(path: Path) -> bool:
    return path.is_dir() or not path.suffix


def _on_ray(
    model: Path, sources: list[Path], output: Path | None, job: Job, address: str | None, workers: int | None
) -> None:
    from ..tagging.scale import MANIFEST, tag_shards
    from .console import note

    if output is None or Path("-") in sources:
        raise ConfigError("--ray: expected files and --output FOLDER")
    total = tag_shards(model, sources, output, job, address=address, workers=workers)["total"]
    note(
        f"{len(sources)} files, {total['texts']} texts, {total['tokens']} tokens, "
        f"{total['skipped']} skipped; written: {output / MANIFEST}"
    )
