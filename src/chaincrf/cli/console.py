"""What the commands say: results to standard output, progress and findings to standard error."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from torch import Tensor

    from ..compare.jobs import Job
    from ..training import Epoch

__all__ = [
    "RunsTicker",
    "Ticker",
    "fail",
    "note",
    "print_json",
    "process_number",
    "runs_ticker",
    "stderr",
    "stdout",
    "ticker",
    "use_threads",
]

_LOOK = 0.5  # seconds between two looks at the loss, which wait for the device


def stdout() -> Console:
    """The console for results."""
    return _console(stderr=False)


def stderr() -> Console:
    """The console for progress and findings."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    # What we print is data: no markup, and no emoji for a ":100:" in the place of an error.
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    # Without a terminal no line is folded and no cell cut.
    width = None if terminal else 1000
    return Console(
        stderr=stderr,
        width=width,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not terminal,
        quiet=process_number() > 0,  # of processes that train together the first one speaks
    )


def note(message: str) -> None:
    """Say something that is not a result."""
    stderr().print(message)


def fail(error: Exception) -> None:
    """Say why the command ends, in whatever process."""
    number = process_number()
    console = stderr()
    console.quiet = False
    console.print(f"error{f' in process {number}' if number else ''}: {error}")


def process_number() -> int:
    """The number of this process, from 0, among those that torchrun started together."""
    rank = os.environ.get("RANK", "0")
    return int(rank) if rank.isdecimal() else 0


def print_json(content: Any) -> None:
    """A result for machines, on standard output."""
    print(json.dumps(content, ensure_ascii=False, indent=1))  # noqa: T201


class Ticker:
    """Progress of training: a bar on a terminal, and a line an epoch everywhere."""

    def __init__(self, progress: Progress, metric: str) -> None:
        self._progress = progress
        self._metric = metric
        self._score = ""
        self._seen = -math.inf  # when the bar last looked at the loss
        self._task = progress.add_task("training", total=None, state="")

    def title(self, text: str) -> None:
        """A new run begins."""
        self._progress.console.print(text)
        self._score = ""
        self._progress.reset(self._task, total=None, description=text, state="")

    def step(self, done: int, total: int, loss: Tensor) -> None:
        """A step was done."""
        self._progress.update(self._task, completed=done, total=total)
        if not self._progress.disable and time.monotonic() > self._seen + _LOOK:
            self._seen = time.monotonic()
            self._progress.update(self._task, state=f"loss {loss.item():.4f}{self._score}")

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._progress.console.print(text)

    def epoch(self, epoch: Epoch) -> None:
        """An epoch was done."""
        self._progress.console.print(f"  {_epoch_line(epoch, self._metric)}")
        self._score = f"  dev {self._metric} {_scores(epoch)}"


class _Rate(ProgressColumn):
    """Steps a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} steps/s" if task.speed else "")


class RunsTicker:
    """Progress of many runs: one bar over all of them with the time left, and a line an epoch."""

    def __init__(self, progress: Progress, metric: str) -> None:
        self._progress = progress
        self._metric = metric
        self._task = progress.add_task("runs", total=None)
        self._done: dict[str, float] = {}
        self._kept: int | None = None

    def run(self, job: Job, done: int, total: int) -> None:
        """A run begins; some may be done from another time, and do not count for the time left."""
        if self._kept is None:
            self._kept = done
            if done:
                self._progress.console.print(f"{done} of {total} runs are done already")
        self._done.setdefault(job.name, 0.0)
        number = self._kept + len(self._done)
        self._progress.console.print(f"run {number} of {total}: {job.title}, seed {job.recipe.seed}")
        self._progress.update(self._task, total=total - self._kept, description=f"run {number} of {total}")

    def progress(self, job: Job, done: int | Epoch, total: int) -> None:
        """A run has done some of its steps, or an epoch."""
        if not isinstance(done, int):
            where = f"  {job.name}" if sum(0 < share < 1 for share in self._done.values()) > 1 else " "
            self._progress.console.print(f"{where} {_epoch_line(done, self._metric)}")
            return
        # a run that ends early is done when the next one of its place begins; the estimate errs for a moment
        self._done[job.name] = max(self._done.get(job.name, 0.0), done / max(total, 1))
        self._progress.update(self._task, completed=sum(self._done.values()))


def _epoch_line(epoch: Epoch, metric: str) -> str:
    loss = f"loss {epoch.loss:8.4f}  dev {metric} {_scores(epoch)}"
    return f"epoch {epoch.number:>3}  {loss}  ({epoch.train_seconds:.1f} s)"


def _scores(epoch: Epoch) -> str:
    return ", ".join(f"{name + ' ' if name else ''}{100 * score:.2f}" for name, score in epoch.scores.items())


@contextmanager
def ticker(metric: str) -> Iterator[Ticker]:
    """Show the progress of training while the block runs."""
    console = stderr()
    title, state = TextColumn("{task.description}"), TextColumn("{task.fields[state]}")
    columns = (title, BarColumn(), MofNCompleteColumn(), _Rate(), state, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Ticker(progress, metric)


@contextmanager
def runs_ticker(metric: str) -> Iterator[RunsTicker]:
    """Show the progress of many runs while the block runs."""
    console = stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield RunsTicker(progress, metric)


def use_threads(number: int) -> None:
    """Compute on so many CPU threads."""
    import torch

    torch.set_num_threads(number)
