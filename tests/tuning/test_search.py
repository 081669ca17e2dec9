"""The search with a stub in place of training; with a real training run see tests/cli/test_tune.py."""

import csv

import pytest
import torch

pytest.importorskip("optuna")

from chaincrf.errors import ArgumentError, ConfigError, ModelError, NotFiniteError
from chaincrf.training import Epoch, Fit, Kept, Recipe
from chaincrf.training.named import read_toml
from chaincrf.tuning import Range, search, tune
from corpora import SMALL as TWELVE_EPOCHS
from corpora import toy

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
SMALL = TWELVE_EPOCHS.model_copy(update={"epochs": 6})
SPACE = {"hidden": (8, 16, 32), "dropout": Range(0.0, 0.6), "batch_size": Range(2, 9)}


class Stub:
    """Learns the better, the nearer dropout comes to 0.3; every epoch helps; counts what it is asked for."""

    def __init__(self):
        self.recipes: list[Recipe] = []
        self.epochs = 0
        self.before_epoch = lambda: None

    def __call__(self, train, dev, recipe, *, on_step, on_epoch):
        self.recipes.append(recipe)
        fit = Fit({"": Kept(recipe.patience)})
        for number in range(1, recipe.epochs + 1):
            self.before_epoch()
            self.epochs += 1
            on_step(number, recipe.epochs, torch.tensor(1.0))
            score = (1 - abs(recipe.dropout - 0.3)) * number / recipe.epochs - 0.001 * recipe.seed
            epoch = Epoch(number, 1.0, {"": score}, 0.0)
            fit.epochs.append(epoch)
            on_epoch(epoch)
        return None, fit


@pytest.fixture
def stub(monkeypatch):
    stub = Stub()
    monkeypatch.setattr(search, "train", stub)
    return stub


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return toy(tmp_path_factory.mktemp("toy"))


def run(corpus, folder, **options):
    return tune(corpus, corpus, SMALL, **({"trials": 10, "space": SPACE, "folder": folder} | options))


def told(found):
    """All but the times."""
    return [(t.number, t.values, t.score, t.pruned, t.epochs, t.problem) for t in found.trials]


def test_finds_prunes_and_writes(stub, corpus, tmp_path):
    seen = []
    found = run(corpus, tmp_path / "s", on_result=lambda trial, best: seen.append((trial, best)))
    assert found.complete
    assert len(found.trials) == len(seen) == 10
    assert found.trials[0].values == {name: getattr(SMALL, name) for name in SPACE}, "the recipe comes first"
    ended = [trial for trial in found.trials if not trial.pruned]
    assert found.best == max(ended, key=lambda trial: trial.score) == seen[-1][1]
    assert found.best.score > found.trials[0].score
    assert 0 < len(ended) < 10
    assert all(trial.epochs < 6 for trial in found.trials if trial.pruned)
    assert stub.epochs == sum(trial.epochs for trial in found.trials)
    assert found.recipe == Recipe(**read_toml(found.file)) == SMALL.model_copy(update=found.best.values)
    assert f"trial {found.best.number} of 10" in found.file.read_text().splitlines()[0]
    with (tmp_path / "s" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["dropout"]) for row in rows] == [trial.values["dropout"] for trial in found.trials]
    names = {path.name for path in (tmp_path / "s").iterdir()}
    assert names == {"study.db", "best.toml", "trials.csv", "lock"}


def test_goes_on_where_it_was_stopped(stub, corpus, tmp_path):
    whole = run(corpus, tmp_path / "whole")
    stops = iter([3, 14, 22, 30])
    stub.epochs, stop = 0, [next(stops)]

    def interrupt():
        if stub.epochs == stop[0]:
            stop[0] = next(stops, None)
            raise KeyboardInterrupt

    stub.before_epoch = interrupt
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            run(corpus, tmp_path / "s")
    again = run(corpus, tmp_path / "s")
    assert told(again) == told(whole)
    asked = len(stub.recipes)
    again.file.unlink()  # as if it had been killed before it wrote
    assert told(run(corpus, tmp_path / "s")) == told(whole)
    assert len(stub.recipes) == asked, "nothing is done again"
    assert again.file.exists()
    more = run(corpus, tmp_path / "s", trials=11)
    assert told(more)[:10] == told(whole)
    assert len(more.trials) == 11


def test_a_killed_process_leaves_a_study_that_goes_on(stub, corpus, tmp_path, monkeypatch):
    whole = run(corpus, tmp_path / "whole", trials=3)
    monkeypatch.setattr(search._Run, "perform", lambda *_: False)  # the study keeps a trial that is running
    with pytest.raises(ArgumentError, match="none of 0 trials came to its end; the same search"):
        run(corpus, tmp_path / "s", trials=3)
    monkeypatch.undo()
    monkeypatch.setattr(search, "train", stub)
    assert told(run(corpus, tmp_path / "s", trials=3)) == told(whole)


def test_time_is_bounded(stub, corpus, tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(search.time, "monotonic", lambda: now[0])
    stub.before_epoch = lambda: now.__setitem__(0, now[0] + 10)  # seconds an epoch, 6 of them
    found = run(corpus, tmp_path / "s", minutes=2.5)
    assert not found.complete
    assert len(found.trials) == 2  # 120 s; the third was stopped and does not count
    assert stub.epochs == 15
    assert len(run(corpus, tmp_path / "s", minutes=2.0).trials) == 3
    with pytest.raises(ArgumentError, match="none of 0 trials"):
        run(corpus, tmp_path / "t", minutes=0.5)


def test_seeds(stub, corpus, tmp_path):
    found = run(corpus, tmp_path / "s", trials=3, seeds=2)
    assert [recipe.seed for recipe in stub.recipes] == [1, 2] * 3
    assert found.trials[0].score == pytest.approx(1 - abs(SMALL.dropout - 0.3) - 0.0015)
    assert found.trials[0].epochs == 12
    assert found.recipe.seed == SMALL.seed


def test_recipes_that_cannot_be_trained_are_trials_without_a_result(stub, corpus, tmp_path):
    space = {"warmup": (0.0, 20.0)}  # not less than the epochs
    found = run(corpus, tmp_path / "s", space=space, trials=6)
    problems = {trial.values["warmup"]: trial.problem for trial in found.trials}
    assert problems == {0.0: "", 20.0: "warmup: expected less than the 6 epochs, got 20.0"}
    assert found.best.values == {"warmup": 0.0}

    def fail():
        raise NotFiniteError("the loss is not a number")

    stub.before_epoch = fail
    with pytest.raises(ArgumentError, match="none of 2 trials came to its end: the loss is not a number"):
        run(corpus, tmp_path / "t", trials=2)


def test_refuses(stub, corpus, tmp_path):
    run(corpus, tmp_path / "s", trials=1)
    with pytest.raises(ModelError, match="holds a search with another recipe; take another folder"):
        tune(corpus, corpus, SMALL.model_copy(update={"hidden": 8}), folder=tmp_path / "s", space=SPACE)
    with pytest.raises(ModelError, match="holds a search with another space"):
        run(corpus, tmp_path / "s", space={"hidden": (8, 16)})
    with pytest.raises(ModelError, match="holds a search with other seeds"):
        run(corpus, tmp_path / "s", seeds=2)
    with pytest.raises(ModelError, match="holds a search with other data"):
        tune(corpus, toy(tmp_path, copies=3), SMALL, folder=tmp_path / "s", space=SPACE)
    with pytest.raises(ModelError, match="expected the folder of a search, found s, toy"):
        run(corpus, tmp_path)
    with pytest.raises(ModelError, match="expected a folder, found a file"):
        run(corpus, tmp_path / "toy.tsv")
    with pytest.raises(ConfigError, match="hiden: no such setting"):
        run(corpus, tmp_path / "t", space={"hiden": (1, 2)})
    for wrong in ({"trials": 0}, {"seeds": 0}, {"minutes": 0.0}):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            run(corpus, tmp_path / "t", **wrong)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "study.db").write_text("no database" * 100)
    with pytest.raises(ModelError, match="damaged, or of another version of Optuna"):
        run(corpus, tmp_path / "d")
