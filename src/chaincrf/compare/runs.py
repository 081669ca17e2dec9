"""Where runs are computed: here, in processes, or on a Ray cluster; and where their records are kept."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from .._lazy import require
from ..errors import ChainCRFError, NotFiniteError
from ..tagging import Tagger
from ..training import Epoch
from .jobs import Bench, Job, JobRecord, JobResult

__all__ = ["RunStore", "on_ray", "run_here", "run_in_processes"]

OnProgress = Callable[[Job, int | Epoch, int], None]


class RunStore:
    """A folder with a record for each run that is done, and the model of the best one.

    Args:
        folder: made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, job: Job, bench: Bench) -> JobRecord | None:
        """The record of a run if it is done; a damaged one, or one of another configuration, is not."""
        try:
            text = (self.folder / f"{job.name}.json").read_text(encoding="utf-8")
            record = JobRecord.model_validate_json(text)
        except (OSError, UnicodeDecodeError, ValidationError):
            return None
        return record if record.key == job.key(bench) else None

    def save(self, record: JobRecord) -> None:
        """Write a record, whole or not at all."""
        temporary = self.folder / f".{record.name}.{os.getpid()}.tmp"
        try:
            content = record.model_dump(mode="json")
            temporary.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
            temporary.replace(self.folder / f"{record.name}.json")
        finally:
            temporary.unlink(missing_ok=True)

    def has_model(self, record: JobRecord) -> bool:
        """Whether the model of this run is kept."""
        return (self._model(record) / "model.safetensors").is_file()

    def keep_model(self, result: JobResult, instead_of: JobRecord | None) -> None:
        """Keep the model of the best run, and only that."""
        folder = self._model(result.record)
        temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        for name, content in result.model.items():
            (temporary / name).write_bytes(content)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
        if instead_of is not None and instead_of.name != result.record.name:
            shutil.rmtree(self._model(instead_of), ignore_errors=True)

    def tagger(self, record: JobRecord) -> Tagger:
        """The model that was kept."""
        return Tagger.load(self._model(record))

    def _model(self, record: JobRecord) -> Path:
        return self.folder / f"{record.name}.model"


def run_here(jobs: Sequence[Job], bench: Bench, on_progress: OnProgress) -> Iterator[tuple[Job, JobResult]]:
    """One after the other, in this process."""
    for job in jobs:
        on_progress(job, 0, 1)
        yield job, bench.run(job, progress=lambda done, total, job=job: on_progress(job, done, total))


def run_in_processes(
    jobs: Sequence[Job], bench: Bench, on_progress: OnProgress, *, most: int
) -> Iterator[tuple[Job, JobResult]]:
    """Each in a process of its own, several at a time.

    Raises:
        ChainCRFError: what a run raised, or that its process died.
    """
    # not forked from here: a child of a process with threads may hang
    context: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        context.set_forkserver_preload(["chaincrf.compare.jobs"])
    threads = torch.get_num_threads()
    waiting = list(reversed(jobs))
    running: dict[Any, tuple[Job, Any]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < most:
                job = waiting.pop()
                ours, theirs = context.Pipe(duplex=False)
                arguments = (theirs, job, bench, most == 1, threads)
                process = context.Process(target=_child, args=arguments, daemon=True)
                process.start()
                theirs.close()
                running[ours] = job, process
                on_progress(job, 0, 1)
            for ready in wait(list(running)):
                connection: Any = ready
                job, process = running[connection]
                try:
                    kind, *content = connection.recv()
                except EOFError:
                    process.join()
                    raise ChainCRFError(
                        f"the run {job.name} ended without a result: its process died with status "
                        f"{process.exitcode}, out of memory perhaps"
                    ) from None
                if kind == "progress":
                    on_progress(job, *content)
                    continue
                del running[connection]
                process.join()
                if kind == "error":
                    raise content[0]
                yield job, content[0]
    finally:
        for _, process in running.values():
            process.terminate()
            process.join()


def _child(connection: Connection, job: Job, bench: Bench, alone: bool, threads: int) -> None:
    """The life of a process: one run."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    torch.set_num_threads(threads)
    try:
        result = bench.run(
            job,
            alone=alone,
            own_process=True,
            progress=lambda done, total: connection.send(("progress", done, total)),
        )
        connection.send(("result", result))
    except BrokenPipeError:
        pass  # the parent is gone
    except (ChainCRFError, OSError, RuntimeError, MemoryError) as error:
        connection.send(("error", _portable(error, job)))


def _portable(error: BaseException, job: Job) -> ChainCRFError:
    """The error as one that crosses processes: classes with arguments of their own may not."""
    kind = NotFiniteError if isinstance(error, NotFiniteError) else ChainCRFError
    return kind(f"{job.name}: {str(error) or type(error).__name__}")


def on_ray(
    jobs: Sequence[Job], bench: Bench, on_progress: OnProgress, *, address: str
) -> Iterator[tuple[Job, JobResult]]:
    """Each as a task of a Ray cluster, which may be of several machines that share nothing.

    Args:
        jobs: what to run.
        bench: the data; sent to every machine once.
        on_progress: told when a run begins and when it is done.
        address: of the cluster, or "local" for one that is made here and ended with this process.

    Raises:
        ChainCRFError: what a run raised.
    """
    ray = require("ray", "ray")
    ours = not ray.is_initialized()
    if ours:
        ray.init(address=None if address == "local" else address, log_to_driver=False, logging_level="ERROR")
    try:
        threads = torch.get_num_threads()
        data = ray.put(bench)
        task = ray.remote(num_cpus=threads, max_retries=2)(_ray_run)
        running = {task.remote(job, data, threads): job for job in jobs}
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            job = running.pop(done)
            try:
                result = ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise _portable(error.cause, job) from None
            except ray.exceptions.RayError as error:
                raise ChainCRFError(f"{job.name}: {error}") from None
            on_progress(job, 1, 1)
            yield job, result
    finally:
        if ours:
            ray.shutdown()


def _ray_run(job: Job, bench: Bench, threads: int) -> JobResult:
    torch.set_num_threads(threads)
    return bench.run(job, alone=False)
