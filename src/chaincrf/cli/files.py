"""Files named on the command line, read and reported."""

from __future__ import annotations

from pathlib import Path

from ..data import Corpus, ShardedCorpus, get_corpus, hold_out, open_shards, read_corpus
from ..data.shards import is_sharded
from ..errors import ConfigError, DataError
from .config import CompareConfig, FormatConfig, TrainConfig, TuneConfig
from .console import note

__all__ = ["attribution_of", "read_file", "read_shards", "read_splits"]


def read_file(
    path: Path, config: FormatConfig, task: str, scheme: str | None = None, *, partial: bool = False
) -> Corpus:
    """Read a file and print what was found in it; ``scheme`` is what another file of the corpus is in."""
    corpus = read_corpus(
        path,
        format=config.format,
        task=task,
        scheme=scheme or config.input_scheme,
        token_column=config.token_column,
        tag_column=config.tag_column,
        tagset=config.tagset,
        partial=partial,
        on_error=config.on_error,
    )
    note(corpus.report.describe())
    return corpus


def read_shards(config: TrainConfig | TuneConfig) -> tuple[ShardedCorpus, Corpus, Corpus | None] | None:
    """The data of a command whose training data is a folder of shards; None if it is a file."""
    if config.train is None or not is_sharded(config.train):
        return None
    if _partial(config):
        raise ConfigError("--partial: expected files of training data, shards hold no partial labels")
    train = open_shards(config.train)
    note(train.report.describe())
    if train.count_error:
        note(
            f"  counted in bounded memory: words that occur up to {train.count_error:,} times may be missing"
        )
    if config.dev is None:
        raise ConfigError("say --dev FILE: shards are not divided into training and development data")
    dev, test = (
        read_file(path, config, config.task, train.report.scheme) if path else None
        for path in (config.dev, _test_file(config))
    )
    assert dev is not None
    return train, dev, test


def read_splits(config: TrainConfig | TuneConfig | CompareConfig) -> tuple[Corpus, Corpus, Corpus | None]:
    """Training, development and (if there is any) test data of a command."""
    splits = {"train": config.train, "dev": config.dev}
    if config.corpus is not None:
        splits.update(get_corpus(config.corpus).splits)
    splits["test"] = _test_file(config)
    assert splits["train"] is not None  # the configuration was validated
    train = read_file(splits["train"], config, config.task, partial=_partial(config))
    config = config.model_copy(update={"format": train.report.format})
    dev, test = (
        _like(train, read_file(path, config, config.task, train.report.scheme)) if path else None
        for path in (splits["dev"], splits["test"])
    )
    if dev is None and train.report.unknown:
        raise ConfigError("say --dev FILE: the best epoch is chosen by data with all tags known")
    if dev is None:
        train, dev = hold_out(train)
        note(f"no development data: the last {len(dev.sentences)} sentences of the training data serve")
    return train, dev, test


def _partial(config: FormatConfig) -> bool:
    return isinstance(config, TrainConfig) and config.partial


def _test_file(config: TrainConfig | TuneConfig | CompareConfig) -> Path | None:
    """The test data; a search has none, and does not read that of a built-in corpus."""
    if isinstance(config, TuneConfig):
        return None
    return config.test if config.corpus is None else get_corpus(config.corpus).splits["test"]


def attribution_of(config: CompareConfig) -> str | None:
    """Whose a built-in corpus is, in one line."""
    if config.corpus is None:
        return None
    corpus = get_corpus(config.corpus)
    return f"{corpus.title}. {corpus.licence}. {' '.join(corpus.origin.split())}"


def _like(train: Corpus, other: Corpus) -> Corpus:
    """The other file, if its columns were not guessed to be others than those of the training data."""
    columns = [{guess for guess in corpus.report.guessed if "_column=" in guess} for corpus in (train, other)]
    if columns[0] != columns[1]:
        raise DataError(
            f"guessed {', '.join(sorted(columns[1]))}, but for {train.report.shown_path} "
            f"{', '.join(sorted(columns[0]))}; say --token-column and --tag-column",
            path=other.report.path,
        )
    return other
