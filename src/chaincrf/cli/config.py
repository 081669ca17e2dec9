"""The configuration of the commands: every field is an option and a key of the ``--config`` TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..data.corpora import get_corpus, list_corpora
from ..errors import ArgumentError, ConfigError, LabelError
from ..labels import get_scheme
from ..training.named import read_settings, recipe_values
from ..training.recipe import Recipe

__all__ = [
    "MAX_THREADS",
    "CompareConfig",
    "FormatConfig",
    "TrainConfig",
    "TuneConfig",
    "load_config",
    "starts_from_its_task",
]

MAX_THREADS = 1024
MAX_JOBS = 256

_Config = TypeVar("_Config", bound=BaseModel)


class FormatConfig(BaseModel):
    """How to read files. What is not said is found out, and the finding is printed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["auto", "conll", "conllu", "jsonl"] = Field(
        default="auto", description="the files' format"
    )
    input_scheme: str = Field(
        default="auto", description="the tagging scheme of the files: BIO, IOB1, BIOES, BILOU, IO"
    )
    token_column: int | None = Field(
        default=None, ge=1, description="the column of the tokens, counted from 1"
    )
    tag_column: int | None = Field(default=None, ge=1, description="the column of the tags, counted from 1")
    tagset: Literal["upos", "xpos"] = Field(
        default="upos", description="the column of a CoNLL-U file to learn"
    )
    on_error: Literal["raise", "skip"] = Field(
        default="raise", description="a malformed sentence ends the run, or is skipped and counted"
    )

    @field_validator("input_scheme")
    @classmethod
    def _known_input_scheme(cls, name: str) -> str:
        try:
            return name if name == "auto" else get_scheme(name).name
        except LabelError as error:
            raise ValueError(str(error)) from None


class _TrainingData(FormatConfig):
    corpus: str | None = Field(
        default=None, description="a built-in corpus in place of files; 'chaincrf corpus list' names them"
    )
    train: Path | None = Field(default=None, description="the training data")
    dev: Path | None = Field(
        default=None,
        description="the development data; without it the last tenth of the training data serves",
    )
    threads: int = Field(
        default=1,
        ge=1,
        le=MAX_THREADS,
        description="CPU threads; with the default sizes a second one gains little, and loses much where "
        "its core is busy",
    )

    @model_validator(mode="before")
    @classmethod
    def _task_of_the_corpus(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A built-in corpus knows its task."""
        if not isinstance(values.get("corpus"), str):
            return values
        try:
            task = get_corpus(values["corpus"]).task
        except ArgumentError as error:
            raise ValueError(f"--corpus: {str(error).removeprefix('name: ')}") from None
        return {"task": task} | values

    @model_validator(mode="after")
    def _files_or_corpus(self) -> _TrainingData:
        self._check_files()
        return self

    def _check_files(self) -> None:
        if (self.corpus is None) == (self.train is None):
            raise ValueError("say --train FILE or --corpus NAME, one of the two")
        if self.corpus is not None and self.dev:
            raise ValueError("--corpus brings its own development data; leave out --dev")


class _DataConfig(_TrainingData):
    test: Path | None = Field(default=None, description="the test data")

    def _check_files(self) -> None:
        if self.corpus is not None and (self.dev or self.test):
            raise ValueError("--corpus brings its own development and test data; leave out --dev and --test")
        super()._check_files()


class TrainConfig(Recipe, _DataConfig):
    """Options of ``chaincrf train``."""

    partial: bool = Field(
        default=False, description="the training data hold partial labels: ? is a tag that is not known"
    )
    out: Path = Field(Path("model"), description="the model folder to write")
    checkpoint_minutes: float = Field(
        default=10.0,
        ge=0,
        description="save the run so often, besides at every epoch's end; 0: at every step",
    )
    log: Literal["none", "tensorboard", "mlflow", "wandb"] = Field(
        default="none", description="where to log the epochs besides the run folder"
    )

    @property
    def recipe(self) -> Recipe:
        """The part that says how to train."""
        return _recipe(self)


class TuneConfig(Recipe, _TrainingData):
    """Options of ``chaincrf tune``."""

    out: Path = Field(
        Path("search"), description="the folder of the search; a search that is there already goes on"
    )
    trials: int = Field(default=20, ge=1, le=100_000, description="recipes to try, earlier calls included")
    time: float | None = Field(
        default=None, gt=0, description="stop after so many minutes; the same command goes on"
    )
    seeds: int = Field(
        default=1, ge=1, le=1000, description="training runs of each recipe, from --seed upwards"
    )
    space: Path | None = Field(
        default=None,
        description="a TOML file with the settings to search and their values or ranges; by default the "
        "learning rate, batch size, dropouts and LSTM size around the recipe's",
    )

    @property
    def recipe(self) -> Recipe:
        """What the search changes."""
        return _recipe(self)

    @model_validator(mode="after")
    def _seeds_in_range(self) -> TuneConfig:
        return _check_seeds(self)


class CompareConfig(Recipe, _DataConfig):
    """Options of ``chaincrf compare``."""

    scheme: str = Field(
        default="BIOES",
        description="the tagging scheme, or several: BIOES,BIO compares in both, with claims in the first",
    )
    seeds: int = Field(
        default=5, ge=1, le=1000, description="training runs of each variant, from --seed upwards"
    )
    also: list[str] = Field(
        default_factory=list,
        description="a further variant: crf-greedy, crf-posterior, softmax-smoothed, feature-crf (extra "
        "crfsuite), or all; may be said again",
    )
    out: Path = Field(
        default=Path("report"),
        description="the folder of the report; runs that are done are kept there and not done again",
    )
    jobs: int = Field(
        default=1,
        ge=1,
        le=MAX_JOBS,
        description="runs at a time, a process each; of more than one only the first seed's are timed",
    )
    ray: str | None = Field(
        default=None, description="run on the Ray cluster at this address, or 'local' (extra ray); not timed"
    )
    against: list[Path] = Field(
        default_factory=list,
        description="train nothing: test the models of --model against these, in their order; exit status 1 "
        "if they are significantly worse",
    )
    model: list[Path] = Field(default_factory=list, description="with --against: a new model")
    attribution: str | None = Field(
        default=None, description="whose the data are and under what licence, for the report"
    )

    @field_validator("scheme")
    @classmethod
    def _known_scheme(cls, name: str) -> str:
        try:
            found = [get_scheme(part.strip()).name for part in name.split(",")]
        except LabelError as error:
            raise ValueError(str(error)) from None
        if len(set(found)) < len(found):
            raise ValueError("expected distinct schemes")
        return ",".join(found)

    @field_validator("also")
    @classmethod
    def _known_variants(cls, names: list[str]) -> list[str]:
        known = ("crf-greedy", "crf-posterior", "softmax-smoothed", "feature-crf", "all")
        if any(name not in known for name in names):
            raise ValueError(f"expected one of {', '.join(known)}")
        return names

    @property
    def schemes(self) -> list[str]:
        """The schemes, the main one first."""
        return self.scheme.split(",")

    @property
    def recipe(self) -> Recipe:
        """The part that says how to train."""
        return _recipe(self.model_copy(update={"scheme": self.schemes[0]}))

    def _check_files(self) -> None:
        if not (self.against or self.model):
            super()._check_files()
            return
        if len(self.against) != len(self.model):
            raise ValueError("--against and --model: expected as many of one as of the other")
        if (self.corpus is None) == (self.test is None):
            raise ValueError("--against needs --test FILE or --corpus NAME, one of the two")

    @model_validator(mode="after")
    def _seeds_in_range(self) -> CompareConfig:
        return _check_seeds(self)


_Seeded = TypeVar("_Seeded", TuneConfig, CompareConfig)


def _check_seeds(config: _Seeded) -> _Seeded:
    if config.seed + config.seeds > 2**31:
        raise ValueError(f"--seed: expected at most {2**31 - config.seeds} with {config.seeds} seeds")
    return config


def _recipe(config: Recipe) -> Recipe:
    return Recipe(**{name: getattr(config, name) for name in Recipe.model_fields})


def starts_from_its_task(model: type[BaseModel]) -> bool:
    """Whether the named recipe of the task fills what is not said; a comparison names its recipe."""
    return issubclass(model, Recipe) and not issubclass(model, CompareConfig)


def _recipe_of(values: Mapping[str, Any]) -> str | None:
    """The recipe of the task, that of a built-in corpus included; what names neither is refused elsewhere."""
    task = values.get("task")
    if task is None:
        task = next((c.task for c in list_corpora() if c.name == values.get("corpus")), "ner")
    return task if task in ("ner", "pos") else None


def load_config(model: type[_Config], path: Path | None, options: Mapping[str, Any]) -> _Config:
    """A configuration from a TOML file and from options, which win.

    What both leave open is filled by the recipe that they name (``recipe``), for training otherwise by that
    of the task.

    Raises:
        ConfigError: if the file cannot be read or a value does not fit; it names every field at fault.
    """
    values = ({} if path is None else read_settings(path, model)) | dict(options)
    recipe = values.pop("recipe", None) or (_recipe_of(values) if starts_from_its_task(model) else None)
    filled = {} if recipe is None else recipe_values(recipe)
    try:
        return model(**(filled | values))
    except ValidationError as error:
        places = {name: f"{recipe}: {name}" for name in filled} if str(recipe).endswith(".toml") else {}
        places |= {} if path is None else {name: f"{path}: {name}" for name in values}
        places |= {name: _option(name) for name in options}
        raise ConfigError("; ".join(_explain(problem, places) for problem in error.errors())) from None


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _explain(problem: Any, places: Mapping[str, str]) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    field = str(problem["loc"][0])
    place = places.get(field, _option(field))
    if problem["type"] == "extra_forbidden":
        return f"{place}: no such setting"
    return f"{place}: {message}, got {problem['input']!r}"
