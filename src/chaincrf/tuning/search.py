"""The search: recipes are drawn, trained and compared by their development score, and none is lost.

Optuna draws them, by tree-structured Parzen estimators (Bergstra et al., 2011), and ends early those whose
score after an epoch is below the median of earlier ones. The study is an SQLite file in the folder of the
search. What a trial draws depends on the trials before it and on the seed alone, and a trial that did not end
is no trial: so a search that was stopped goes on to what it would have found.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from .._lazy import require
from ..data import Corpus, ShardedCorpus
from ..errors import ArgumentError, ModelError, NotFiniteError
from ..training.lock import locked
from ..training.named import named_recipe, recipe_toml
from ..training.recipe import Recipe
from ..training.record import Epoch
from ..training.run import run_record, train
from .space import Range, Space, check_space, contains, default_space, is_whole, plain, rounded

__all__ = ["Search", "Trial", "tune"]

STUDY, BEST, TRIALS, LOCK = "study.db", "best.toml", "trials.csv", "lock"
STARTUP = 5  # trials that are trained to their end before any is ended early


@dataclass(frozen=True)
class Trial:
    """A recipe that was tried.

    Attributes:
        number: counted from 1.
        values: of the settings that are searched.
        score: the best development score, 0..1, the mean over the seeds; of a pruned trial the best until
            then; None if it has none.
        pruned: whether it was ended early.
        epochs: that were trained, of all seeds together.
        seconds: that it took.
        problem: why it has no result, if so.
    """

    number: int
    values: Mapping[str, Any]
    score: float | None
    pruned: bool
    epochs: int
    seconds: float
    problem: str = ""


@dataclass(frozen=True)
class Search:
    """What a search has found.

    Attributes:
        trials: in order.
        best: the trial with the highest score, of those that were not pruned.
        recipe: its recipe.
        file: the recipe as a TOML file.
        complete: whether all trials that were wanted are done.
    """

    trials: tuple[Trial, ...]
    best: Trial
    recipe: Recipe
    file: Path
    complete: bool


class _Stopped(Exception):  # noqa: N818 (no error)
    """The time is over."""


class _Pruned(Exception):  # noqa: N818
    """Not worth going on."""


def tune(
    train: Corpus | ShardedCorpus,
    dev: Corpus,
    recipe: Recipe | None = None,
    *,
    folder: Path,
    trials: int = 20,
    minutes: float | None = None,
    seeds: int = 1,
    space: Space | None = None,
    on_trial: Callable[[int, Mapping[str, Any]], None] = lambda number, values: None,
    on_step: Callable[[int, int, Tensor], None] = lambda done, total, loss: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_result: Callable[[Trial, Trial | None], None] = lambda trial, best: None,
) -> Search:
    """Search for a recipe with a high development score.

    The first trial is the recipe as it is, if the space has it. The best score of many trials flatters: to
    know what a recipe is worth, train it and test it on data that the search did not see.

    Args:
        train: the training data.
        dev: the development data.
        recipe: what the space leaves as it is; by default the named recipe of the data's task.
        folder: where the search is kept: the study (``study.db``), the best recipe so far (``best.toml``)
            and a table of the trials (``trials.csv``). A search that is there already goes on.
        trials: that there shall be in the end, those of earlier calls included.
        minutes: stop after so many; the trial that is going on then is done again by the next call.
        seeds: training runs of each trial, from the recipe's seed upwards.
        space: what is searched; by default :func:`default_space`.
        on_trial: called before a trial with its number and the values of the settings searched.
        on_step: called after every step of a training run, with the steps done, those of the whole run,
            and the step's loss.
        on_epoch: called after every epoch.
        on_result: called after a trial, with it and with the best so far.

    Raises:
        MissingExtra: if Optuna is not installed.
        ConfigError: if the space does not fit the recipe.
        ModelError: if the folder holds something else, or a search with another recipe, space or other data.
        ArgumentError: if ``trials``, ``minutes`` or ``seeds`` is too small, or no trial came to its end.
        DataError: if the data cannot be trained on.
    """
    for name, value in (("trials", trials), ("seeds", seeds)):
        if value < 1:
            raise ArgumentError(f"{name}: expected at least 1, got {value}")
    if minutes is not None and minutes <= 0:
        raise ArgumentError(f"minutes: expected more than 0, got {minutes}")
    recipe = recipe or named_recipe(train.report.task)
    space = default_space(recipe) if space is None else space
    check_space(space, recipe)
    end = None if minutes is None else time.monotonic() + 60 * minutes
    about = {"space": plain(space), "seeds": seeds, **run_record(recipe, train, dev)}
    with _opened(Path(folder), about) as study:
        done = _trials(study)
        _write(Path(folder), done, recipe, about)  # a process that was killed may not have come to it
        while len(done) < trials and (end is None or time.monotonic() < end):
            drawn, values = _draw(study, space, recipe, len(done))
            on_trial(len(done) + 1, values)
            run = _Run(drawn, recipe, values, seeds, end, on_step, on_epoch)
            if not run.perform(study, train, dev):
                break
            done = _trials(study)
            _write(Path(folder), done, recipe, about)
            on_result(done[-1], _best(done))
    best = _best(done)
    if best is None:
        why = f": {done[-1].problem}" if done and done[-1].problem else ""
        wanting = f"none of {len(done)} trials came to its end{why}"
        raise ArgumentError(f"{wanting}; the same search with more trials, or more time, goes on")
    return Search(tuple(done), best, _with(recipe, best.values), Path(folder) / BEST, len(done) >= trials)


class _Run:
    """A trial: its training runs, a seed each."""

    def __init__(
        self,
        trial: Any,
        recipe: Recipe,
        values: Mapping[str, Any],
        seeds: int,
        end: float | None,
        on_step: Callable[[int, int, Tensor], None],
        on_epoch: Callable[[Epoch], None],
    ) -> None:
        self.trial, self.recipe, self.values, self.seeds, self.end = trial, recipe, values, seeds, end
        self.on_step, self.on_epoch = on_step, on_epoch
        self.scores: list[float] = []  # the best of each seed so far
        self.epochs = 0

    def perform(self, study: Any, train: Corpus | ShardedCorpus, dev: Corpus) -> bool:
        """Train, and tell the study; False if the trial did not end, and is to be done again."""
        state = require("optuna.trial", "tune").TrialState
        start, problem, result = time.monotonic(), "", state.PRUNED
        try:
            self._train(train, dev)
            result = state.COMPLETE
        except _Pruned:
            pass
        except _Stopped:
            study.tell(self.trial, state=state.FAIL)
            return False
        except ValidationError as error:
            problem = "; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())
        except (NotFiniteError, torch.OutOfMemoryError) as error:
            problem = str(error).splitlines()[0]
        except BaseException:
            study.tell(self.trial, state=state.FAIL)
            raise
        kept = {"values": self.values, "epochs": self.epochs, "seconds": round(time.monotonic() - start, 1)}
        for name, value in {**kept, "problem": problem}.items():
            self.trial.set_user_attr(name, value)
        if result == state.COMPLETE:
            study.tell(self.trial, fmean(self.scores))
        else:
            study.tell(self.trial, state=result)
        return True

    def _train(self, data: Corpus | ShardedCorpus, dev: Corpus) -> None:
        for number in range(self.seeds):
            recipe = _with(self.recipe, self.values, seed=self.recipe.seed + number)
            self.scores.append(-1.0)
            _, fit = train(data, dev, recipe, on_step=self._step, on_epoch=self._epoch)
            if fit.interrupted:
                raise KeyboardInterrupt
            if fit.failure is not None:
                raise fit.failure

    def _step(self, done: int, total: int, loss: Tensor) -> None:
        self.on_step(done, total, loss)
        if self.end is not None and time.monotonic() >= self.end:
            raise _Stopped

    def _epoch(self, epoch: Epoch) -> None:
        self.epochs += 1
        self.on_epoch(epoch)
        self.scores[-1] = max(self.scores[-1], *epoch.scores.values())
        self.trial.report(fmean(self.scores), self.epochs)
        if self.trial.should_prune():
            raise _Pruned


def _with(recipe: Recipe, values: Mapping[str, Any], **more: Any) -> Recipe:
    return Recipe(**(recipe.model_dump() | dict(values) | more))


def _draw(study: Any, space: Space, recipe: Recipe, done: int) -> tuple[Any, dict[str, Any]]:
    """A new trial with the values of its settings, as the trials before it and the seed decide."""
    optuna = require("optuna", "tune")
    waiting = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
    given = bool(waiting)
    if not done and not waiting and contains(space, recipe):
        given = True
        study.enqueue_trial({name: getattr(recipe, name) for name in space})
    study.sampler = optuna.samplers.TPESampler(seed=(recipe.seed * 1_000_003 + done) % 2**32)
    trial = study.ask()
    values = {}
    for name, dimension in space.items():
        if not isinstance(dimension, Range):
            value = trial.suggest_categorical(name, dimension)
        elif is_whole(name):
            value = trial.suggest_int(name, int(dimension.low), int(dimension.high), log=dimension.log)
        else:
            value = trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)
            if not given:
                value = min(max(rounded(value), dimension.low), dimension.high)
        values[name] = value
    return trial, values


@contextmanager
def _opened(folder: Path, about: Mapping[str, Any]) -> Iterator[Any]:
    """The study in a folder, made if there is none."""
    optuna = require("optuna", "tune")
    problems = require("sqlalchemy.exc", "tune").SQLAlchemyError
    if folder.exists() and not folder.is_dir():
        raise ModelError(f"{folder}: expected a folder, found a file")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if STUDY not in names and (others := sorted(names - {LOCK})):
        raise ModelError(f"{folder}: expected the folder of a search, found {', '.join(others[:3])}")
    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with locked(folder / LOCK):
        storage = None
        try:
            try:
                storage = optuna.storages.RDBStorage(f"sqlite:///{(folder / STUDY).resolve().as_posix()}")
                study = optuna.create_study(
                    storage=storage,
                    study_name="chaincrf",
                    direction="maximize",
                    load_if_exists=True,
                    pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=1),
                )
            except (problems, RuntimeError, optuna.exceptions.OptunaError) as error:
                what = f"{folder / STUDY}: damaged, or of another version of Optuna"
                raise ModelError(f"{what}: {str(error).splitlines()[0]}") from None
            _check_same(folder, study, about)
            for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # of a process that was killed
            yield study
        finally:
            if storage is not None:
                storage.remove_session()
                storage.engine.dispose()


def _check_same(folder: Path, study: Any, about: Mapping[str, Any]) -> None:
    """Whether the study is of this search; a new one is made so."""
    before = study.user_attrs.get("search")
    if before is None:
        study.set_user_attr("search", dict(about))
        return
    found = {"another recipe": "recipe", "another space": "space", "other seeds": "seeds"}
    other = next((what for what, name in found.items() if before[name] != about[name]), None)
    if other is None and _hashes(before) != _hashes(about):
        other = "other data"
    if other is not None:
        raise ModelError(f"{folder}: holds a search with {other}; take another folder")


def _hashes(about: Mapping[str, Any]) -> dict[str, str]:
    return {split: data["sha256"] for split, data in about["data"].items()}


def _trials(study: Any) -> list[Trial]:
    """The trials that ended, in order."""
    state = require("optuna.trial", "tune").TrialState
    found = []
    for number, one in enumerate(study.get_trials(states=(state.COMPLETE, state.PRUNED)), start=1):
        kept = one.user_attrs
        found.append(
            Trial(
                number=number,
                values=kept["values"],
                score=None if kept["problem"] else one.value,
                pruned=one.state == state.PRUNED,
                epochs=kept["epochs"],
                seconds=kept["seconds"],
                problem=kept["problem"],
            )
        )
    return found


def _best(trials: list[Trial]) -> Trial | None:
    """The first of the highest score."""
    ended = [trial for trial in trials if not trial.pruned]
    return max(ended, key=lambda trial: trial.score or 0.0, default=None)


def _write(folder: Path, trials: list[Trial], recipe: Recipe, about: Mapping[str, Any]) -> None:
    """The table of the trials, and the best recipe; each whole or not at all."""
    names = list(about["space"])
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["trial", "dev_score", "pruned", "epochs", "seconds", *names, "problem"])
    for one in trials:
        values = [one.values[name] for name in names]
        score = "" if one.score is None else one.score
        rows.writerow([one.number, score, one.pruned, one.epochs, one.seconds, *values, one.problem])
    contents = {TRIALS: table.getvalue()}
    if (best := _best(trials)) is not None:
        score = f"{100 * (best.score or 0.0):.2f}"
        found = f"found by a search: trial {best.number} of {len(trials)}, development score {score}"
        contents[BEST] = recipe_toml(_with(recipe, best.values), found)
    for name, content in contents.items():
        part = folder / f"{name}.part"
        part.write_text(content, encoding="utf-8")
        part.replace(folder / name)
