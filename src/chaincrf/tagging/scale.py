"""Tag a corpus of any size on Ray Data: a model an actor, a shard a task, an output a shard.

A shard's output gets its name when it is whole, and then a record of it. So whatever is killed loses and
doubles nothing: Ray runs the shard again, and what was half written is written anew. It lies among the
records, apart from what else is in the folder, and goes with the run, or the next one if that was killed.
A run that is started again leaves out the shards whose record is there and says the same of their input.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .._lazy import require
from ..errors import ArgumentError, ChainCRFError, DataError
from .bundle import file_sha256
from .files import FileTagger, Job
from .output import SUFFIXES
from .tagger import Tagger

__all__ = ["MANIFEST", "shard_outputs", "tag_shards"]

MANIFEST = "manifest.json"
_RECORDS = ".shards"
_PART = "part-"


def shard_outputs(inputs: Sequence[Path], output: Path, form: str) -> dict[Path, Path]:
    """The output of each input, by its name.

    Raises:
        ArgumentError: two inputs would have the same output.
    """
    places: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for path in inputs:
        place = output / (path.name.removesuffix(".gz").rpartition(".")[0] or path.name)
        place = place.with_name(place.name + SUFFIXES[form])
        if place in taken:
            raise ArgumentError(f"{taken[place]} and {path}: both would be written to {place}")
        places[path], taken[place] = place, path
    return places


def tag_shards(
    model: Path,
    inputs: Sequence[Path],
    output: Path,
    job: Job,
    *,
    address: str | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Tag files on a Ray cluster, and write ``manifest.json`` beside their outputs.

    Model, inputs and output lie where every node can reach them.

    Args:
        model: a model folder.
        inputs: the shards.
        output: the folder of the outputs.
        job: how they are tagged.
        address: the cluster's; None: this machine (or a cluster that this process is connected to).
        workers: actors, each with a CPU and a model; None: as many as there are CPUs, or shards.

    Returns:
        The manifest: ``shards``, a record each with input, output, counts and the output's SHA-256; and the
        ``total``.

    Raises:
        DataError: no inputs, or one that cannot be read.
        ArgumentError: two inputs would have the same output, or ``workers`` is below 1.
        ModelError: the model cannot be loaded.
        MissingExtra: Ray is not installed.

    Cost: one pass over the data; memory of one model and one read-ahead a worker.
    """
    if not inputs:
        raise DataError("expected files to tag, found none")
    if workers is not None and workers < 1:
        raise ArgumentError(f"workers: expected at least 1, got {workers}")
    Tagger.load(model)  # a broken model is found here, not on every node
    places = shard_outputs([path.absolute() for path in inputs], output.absolute(), job.output_format)
    records = output / _RECORDS
    records.mkdir(parents=True, exist_ok=True)
    _remove_parts(records)
    done = {source: record for source, place in places.items() if (record := _record(source, place))}
    left = [source for source in places if source not in done]
    if left:
        try:
            _run(model.absolute(), {source: places[source] for source in left}, job, address, workers)
        finally:
            _remove_parts(records)
    shards = []
    for source, place in places.items():
        record = _record(source, place)
        if record is None:
            raise DataError("was not tagged, or changed while it was", path=source)
        shards.append(record)
    names = ("texts", "sentences", "tokens", "spans", "skipped")
    manifest = {"shards": shards, "total": {name: sum(shard[name] for shard in shards) for name in names}}
    _write(output / MANIFEST, manifest, records)
    return manifest


def _run(model: Path, places: dict[Path, Path], job: Job, address: str | None, workers: int | None) -> None:
    ray = require("ray", "ray")
    data = require("ray.data", "ray")
    if not ray.is_initialized():
        ray.init(address=address, log_to_driver=False, configure_logging=False, include_dashboard=False)
    most = max(1, int(ray.cluster_resources().get("CPU", 1)))
    number = min(workers or most, len(places))
    rows = [{"source": str(source), "place": str(place)} for source, place in places.items()]
    results = data.from_items(rows, override_num_blocks=len(rows)).map(
        ShardTagger,
        fn_constructor_kwargs={"model": str(model), "job": asdict(job)},
        compute=data.ActorPoolStrategy(size=number),
        num_cpus=1,
    )
    errors = [row["error"] for row in results.iter_rows() if row["error"]]
    if errors:
        raise DataError(f"{errors[0]}" + (f" (and {len(errors) - 1} more files)" if errors[1:] else ""))


class ShardTagger:
    """The actor: a model, and the shards that come to it."""

    def __init__(self, model: str, job: dict[str, Any]) -> None:
        import torch

        torch.set_num_threads(1)
        self._files = FileTagger(Tagger.load(model), Job(**job))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Tag one shard. What is wrong with the data is an answer, as no retry would mend it."""
        source, place = Path(row["source"]), Path(row["place"])
        records = place.parent / _RECORDS
        try:
            before = source.stat()
            with _whole(place, records) as part:
                counts = self._files.tag(source, part)
        except (ChainCRFError, FileNotFoundError) as error:
            return {"source": row["source"], "error": str(error)}
        record = {
            "input": str(source),
            "bytes": before.st_size,
            "modified": before.st_mtime_ns,
            "output": place.name,
            "sha256": file_sha256(place),
            **asdict(counts),
        }
        _write(_record_path(place), record, records)
        return {"source": row["source"], "error": ""}


def _record_path(place: Path) -> Path:
    return place.parent / _RECORDS / f"{place.name}.json"


def _record(source: Path, place: Path) -> dict[str, Any] | None:
    """What was recorded of a shard, if it is done and neither side has changed."""
    try:
        record = json.loads(_record_path(place).read_text(encoding="utf-8"))
        now = source.stat()
    except (OSError, ValueError):
        return None
    same = (record.get("input"), record.get("bytes"), record.get("modified"))
    if same != (str(source), now.st_size, now.st_mtime_ns) or not place.is_file():
        return None
    return record if record.get("sha256") == file_sha256(place) else None


@contextmanager
def _whole(place: Path, records: Path) -> Iterator[Path]:
    """A file of one's own among the records, which takes its place if the block ends well."""
    with TemporaryDirectory(prefix=_PART, dir=records) as folder:
        part = Path(folder) / place.name
        yield part
        part.replace(place)


def _remove_parts(records: Path) -> None:
    """Remove what was left half written; a worker that is thought dead and goes on finds no file to place."""
    for folder in records.glob(f"{_PART}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _write(place: Path, content: Any, records: Path) -> None:
    with _whole(place, records) as part:
        part.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
