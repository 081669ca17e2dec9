"""The configuration of the commands: every field is an option and a key of the ``--config`` TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..data.corpora import get_corpus, list_corpora
from ..errors import ArgumentError, ConfigError, LabelError
from ..labels import get_scheme
from ..training.named import recipe_values
from ..training.recipe import Recipe

__all__ = ["MAX_THREADS", "CompareConfig", "FormatConfig", "TrainConfig", "load_config"]

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


class _DataConfig(FormatConfig):
    corpus: str | None = Field(
        default=None, description="a built-in corpus in place of files; 'chaincrf corpus list' names them"
    )
    train: Path | None = Field(default=None, description="the training data")
    dev: Path | None = Field(
        default=None,
        description="the development data; without it the last tenth of the training data serves",
    )
    test: Path | None = Field(default=None, description="the test data")
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
    def _files_or_corpus(self) -> _DataConfig:
        self._check_files()
        return self

    def _check_files(self) -> None:
        if (self.corpus is None) == (self.train is None):
            raise ValueError("say --train FILE or --corpus NAME, one of the two")
        if self.corpus is not None and (self.dev or self.test):
            raise ValueError("--corpus brings its own development and test data; leave out --dev and --test")


class TrainConfig(Recipe, _DataConfig):
    """Options of ``chaincrf train``."""

    out: Path = Field(Path("model"), description="the model folder to write")
    checkpoint_minutes: float = Field(
        default=10, ge=0, description="save the run so often, besides at every epoch's end; 0: at every step"
    )
    log: Literal["none", "tensorboard", "mlflow", "wandb"] = Field(
        default="none", description="where to log the epochs besides the run folder"
    )

    @property
    def recipe(self) -> Recipe:
        """The part that says how to train."""
        return _recipe(self)


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
        if self.seed + self.seeds > 2**31:
            raise ValueError(f"--seed: expected at most {2**31 - self.seeds} with {self.seeds} seeds")
        return self


def _recipe(config: Recipe) -> Recipe:
    return Recipe(**{name: getattr(config, name) for name in Recipe.model_fields})


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
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from None
    switched = sorted(
        name for name, value in values.items() if isinstance(value, bool) and not _is_switch(model, name)
    )
    if switched:  # to Python, true is the number 1
        raise ConfigError(f"{path}: {switched[0]}: expected a number or a text, got true or false")
    values |= options
    recipe = values.pop("recipe", None) or (_recipe_of(values) if issubclass(model, TrainConfig) else None)
    if recipe is not None:
        values = recipe_values(recipe) | values
    try:
        return model(**values)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(problem, path, options) for problem in error.errors())) from None


def _is_switch(model: type[BaseModel], name: str) -> bool:
    return name in model.model_fields and model.model_fields[name].annotation is bool


def _explain(problem: Any, path: Path | None, options: Mapping[str, Any]) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    field = str(problem["loc"][0])
    place = f"--{field.replace('_', '-')}" if field in options or path is None else f"{path}: {field}"
    if problem["type"] == "extra_forbidden":
        return f"{place}: no such setting"
    return f"{place}: {message}, got {problem['input']!r}"
