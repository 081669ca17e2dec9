"""``chaincrf tune``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from ..training.recipe import Recipe
from .config import FormatConfig, TuneConfig
from .options import configured

if TYPE_CHECKING:
    from ..tuning import Search, Trial

__all__ = ["tune"]


@configured(TuneConfig, Model_and_training=Recipe, Reading=FormatConfig)
def tune(
    config: TuneConfig,
    json: Annotated[bool, typer.Option("--json", help="print the result as JSON on standard output")] = False,
) -> None:
    """Search for a recipe with a high development score.

    Recipes are drawn around the one that the options describe, which is the first that is tried, each is
    trained, and those that fall behind are ended early. The folder of the search holds every trial, the best
    recipe (best.toml) and a table (trials.csv). Stopped at any moment, the same command goes on, and with
    more --trials it adds to them. Test data are not read. Needs the extra tune.

    For example:

    `chaincrf tune --train train.tsv --dev dev.tsv --trials 30 --time 60 --out search`

    `chaincrf train --train train.tsv --dev dev.tsv --recipe search/best.toml --out model`

    `chaincrf tune --corpus ncbi-disease --seeds 2 --space space.toml`
    """
    from .. import tuning
    from .._lazy import require
    from .console import note, print_json, ticker, use_threads
    from .files import read_shards, read_splits

    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError("a search is one process: start it without torchrun")
    require("optuna", "tune")
    use_threads(config.threads)
    space = None if config.space is None else tuning.read_space(config.space)
    train, dev, _ = read_shards(config) or read_splits(config)
    metric = "accuracy" if config.task == "pos" else "F1"
    with ticker(metric) as shown:

        def begun(number: int, values: Mapping[str, Any]) -> None:
            shown.title(f"trial {number} of {config.trials}: {_settings(values)}")

        def ended(trial: Trial, best: Trial | None) -> None:
            shown.say(f"  {_outcome(trial, best, metric)}")

        try:
            search = tuning.tune(
                train,
                dev,
                config.recipe,
                folder=config.out,
                trials=config.trials,
                minutes=config.time,
                seeds=config.seeds,
                space=space,
                on_trial=begun,
                on_step=shown.step,
                on_epoch=shown.epoch,
                on_result=ended,
            )
        except KeyboardInterrupt:
            note(f"interrupted: the same command goes on; what was found so far is in {config.out}/")
            raise
    if not search.complete:
        note(
            f"the time is over after {len(search.trials)} of {config.trials} trials; the same command goes on"
        )
    if json:
        print_json(_result(search))
    else:
        _print(search, metric)


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


def _outcome(trial: Trial, best: Trial | None, metric: str) -> str:
    if trial.problem:
        found = f"no result: {trial.problem}"
    elif trial.pruned:
        found = f"ended early after {trial.epochs} epochs"
    else:
        found = f"dev {metric} {_percent(trial)}"
    return found if best is None else f"{found}; the best is {_percent(best)}, of trial {best.number}"


def _percent(trial: Trial) -> str:
    return "" if trial.score is None else f"{100 * trial.score:.2f}"


def _result(search: Search) -> dict[str, Any]:
    return {
        "recipe": str(search.file),
        "best_trial": search.best.number,
        "dev_score": search.best.score,
        "values": dict(search.best.values),
        "complete": search.complete,
        "trials": [
            {
                "trial": one.number,
                "dev_score": one.score,
                "pruned": one.pruned,
                "epochs": one.epochs,
                "seconds": one.seconds,
                "values": dict(one.values),
                "problem": one.problem or None,
            }
            for one in search.trials
        ],
    }


def _print(search: Search, metric: str) -> None:
    """The trials as a table on standard output, the best ones first."""
    from rich.table import Table

    from .console import stdout

    names = list(search.best.values)
    heads = [name.replace("_", " ") for name in names]
    table = Table("trial", f"dev {metric}", "epochs", "s", *heads, "", box=None, pad_edge=False)
    for column in table.columns[:-1]:
        column.justify = "right"
    for one in sorted(search.trials, key=lambda one: (one.pruned, -(one.score or 0), one.number)):
        remark = one.problem or ("ended early" if one.pruned else "best" if one is search.best else "")
        values = (str(one.values[name]) for name in names)
        table.add_row(str(one.number), _percent(one), str(one.epochs), f"{one.seconds:.1f}", *values, remark)
    console = stdout()
    console.print(table)
    console.print(f"the best recipe: {search.file}")
    console.print(f"next: chaincrf train --recipe {search.file} --train FILE --dev FILE --out model")
