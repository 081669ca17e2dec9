"""A corpus larger than memory: Arrow files in a folder, mapped into memory when they are read.

``shard-00000.arrow`` and so on hold tokens and tags, ``words.arrow`` how often each token occurs, and
``corpus.json`` the rest. One pass over the text makes them, in bounded memory: no more than a shard of
sentences and :data:`MAX_COUNTED` distinct tokens are held at a time.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from .._lazy import require
from ..errors import DataError
from .corpus import Corpus, ReadReport

__all__ = ["MAX_COUNTED", "ShardedCorpus", "WordCounts", "is_sharded", "open_shards", "write_shards"]

MAX_COUNTED = 5_000_000
"""Distinct tokens that are counted at a time."""

_FORMAT, _VERSION = "chaincrf-shards", 1
_INDEX, _WORDS = "corpus.json", "words.arrow"
_MAX_INDEX = 2**28  # bytes


class WordCounts:
    """How often tokens occur, in one pass and bounded memory (lossy counting; Manku & Motwani, 2002).

    When more than ``bound`` distinct tokens are held, the rarest are dropped until half are left. A count is
    exact as long as that never happened; else it may be too small by at most ``error``, and a token that is
    missing occurred at most so often.

    Args:
        bound: distinct tokens held.
    """

    def __init__(self, bound: int = MAX_COUNTED) -> None:
        self.bound = bound
        self.error = 0
        self.counts: dict[str, int] = {}
        self.chars: set[str] = set()

    def add(self, tokens: Iterable[str]) -> None:
        """Count these tokens, and note their characters."""
        counts = self.counts
        for token in tokens:
            if token in counts:
                counts[token] += 1
            else:
                counts[token] = 1
                self.chars.update(token)
        if len(counts) > self.bound:
            threshold = sorted(counts.values())[len(counts) // 2]
            self.error += threshold
            self.counts = {token: count for token, count in counts.items() if count > threshold}


def write_shards(
    corpora: Iterable[Corpus], folder: Path, *, shard_size: int = 50_000, bound: int = MAX_COUNTED
) -> ShardedCorpus:
    """Write a corpus that comes piece by piece; see :func:`chaincrf.data.readers.stream_corpus`.

    Args:
        corpora: the pieces, of one task, in one scheme. Sentences without tokens are left out.
        folder: the folder to make.
        shard_size: sentences in a shard.
        bound: distinct tokens that are counted at a time.

    Raises:
        DataError: if the folder is there, a sentence has no tags, or there is no sentence.
        MissingExtra: without pyarrow.
    """
    folder = Path(folder)
    if folder.exists():
        raise DataError("expected no folder here, found one", path=folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        new = Path(temporary) / "new"
        new.mkdir()
        _Writer(new, shard_size, bound).write(corpora)
        new.rename(folder)
    return open_shards(folder)


class _Writer:
    def __init__(self, folder: Path, shard_size: int, bound: int) -> None:
        self._arrow = require("pyarrow", "datasets")
        self._folder, self._shard_size = folder, shard_size
        self._words, self._hash = WordCounts(bound), hashlib.sha256()
        self._labels: Counter[str] = Counter()
        self._tags: set[str] = set()
        self._tokens = 0
        self._shards: list[int] = []

    def write(self, corpora: Iterable[Corpus]) -> None:
        first: ReadReport | None = None
        repaired, skipped = Counter[str](), 0
        held: list[tuple[Sequence[str], Sequence[str]]] = []
        for corpus in corpora:
            report = corpus.report
            first = first or report
            if (report.task, report.scheme) != (first.task, first.scheme):
                problem = f"expected the scheme {first.scheme} of {first.shown_path}, found {report.scheme}"
                raise DataError(problem, path=report.path)
            if report.unknown:
                raise DataError("expected all tags known: shards hold no partial labels", path=report.path)
            self._labels.update(report.labels)
            repaired.update(sentences=report.repaired_sentences, moves=report.repaired_moves)
            skipped += len(report.skipped)
            for sentence in corpus.sentences:
                if sentence.tokens and sentence.tags is None:
                    raise DataError("expected tagged sentences, found one without tags", path=report.path)
                if sentence.tokens:
                    held.append((sentence.tokens, sentence.tags or ()))
                if len(held) == self._shard_size:
                    self._shard(held)
                    held = []
        if held:
            self._shard(held)
        if first is None or not self._shards:
            raise DataError("expected sentences, found none")
        arrow, counts = self._arrow, self._words.counts
        table = arrow.record_batch([list(counts), [*counts.values()]], names=["token", "count"])
        _write_batch(arrow, table, self._folder / _WORDS)
        index = {
            "format": _FORMAT,
            "version": _VERSION,
            "task": first.task,
            "scheme": first.scheme,
            "sentences": sum(self._shards),
            "tokens": self._tokens,
            "labels": dict(self._labels.most_common()),
            "tags": sorted(self._tags),
            "chars": sorted(self._words.chars),
            "count_error": self._words.error,
            "repaired_sentences": repaired["sentences"],
            "repaired_moves": repaired["moves"],
            "skipped": skipped,
            "sha256": self._hash.hexdigest(),
            "shards": self._shards,
        }
        (self._folder / _INDEX).write_text(json.dumps(index, ensure_ascii=False, indent=1), encoding="utf-8")

    def _shard(self, held: Sequence[tuple[Sequence[str], Sequence[str]]]) -> None:
        columns = [list(column) for column in zip(*held, strict=True)]
        kind = self._arrow.list_(self._arrow.string())
        arrays = [self._arrow.array(column, type=kind) for column in columns]
        path = self._folder / _shard_name(len(self._shards))
        _write_batch(self._arrow, self._arrow.record_batch(arrays, names=["tokens", "tags"]), path)
        self._hash.update(hashlib.sha256(path.read_bytes()).digest())
        for tokens, tags in held:
            self._words.add(tokens)
            self._tags.update(tags)
            self._tokens += len(tokens)
        self._shards.append(len(held))


def _shard_name(number: int) -> str:
    return f"shard-{number:05}.arrow"


def _write_batch(arrow: Any, batch: Any, path: Path) -> None:
    with arrow.OSFile(str(path), "wb") as file, arrow.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)


def is_sharded(path: Path) -> bool:
    """Whether a folder holds a corpus that :func:`write_shards` made."""
    return (path / _INDEX).is_file()


@dataclass(frozen=True)
class ShardedCorpus:
    """A corpus in shards; its sentences are read when they are asked for.

    Attributes:
        folder: where they are.
        report: what is in them.
        tags: all tags, sorted.
        chars: all characters, sorted.
        count_error: how much too small the counts of :attr:`words` may be; 0: they are exact.
        sizes: sentences of each shard.
    """

    folder: Path
    report: ReadReport
    tags: Sequence[str]
    chars: Sequence[str]
    count_error: int
    sizes: Sequence[int]

    @cached_property
    def words(self) -> Mapping[str, int]:
        """How often each token occurs, in the order of the first occurrence."""
        batch = _open(self.folder / _WORDS)
        return dict(zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True))

    @cached_property
    def _ends(self) -> Int[np.ndarray, " S"]:
        return np.cumsum(self.sizes)

    def __len__(self) -> int:
        """Count the sentences."""
        return self.report.sentences

    def lengths(self, index: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
        """Tokens of the sentences at some positions."""
        found = np.empty(len(index), dtype=np.int64)
        for shard, where, rows in self._located(index):
            offsets = _column(self.folder / _shard_name(shard), 0)[0]
            found[where] = offsets[rows + 1] - offsets[rows]
        return found

    def read(self, index: Int[np.ndarray, " N"]) -> list[tuple[list[str], list[str]]]:
        """Tokens and tags of the sentences at some positions."""
        found: list[Any] = [None] * len(index)
        for shard, where, rows in self._located(index):
            path = self.folder / _shard_name(shard)
            columns = [_column(path, number) for number in (0, 1)]
            for place, row in zip(where.tolist(), rows.tolist(), strict=True):
                found[place] = tuple(
                    values.slice(offsets[row], offsets[row + 1] - offsets[row]).to_pylist()
                    for offsets, values in columns
                )
        return found

    def _located(self, index: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        shards = np.searchsorted(self._ends, index, side="right")
        for shard in np.unique(shards).tolist():
            where = np.flatnonzero(shards == shard)
            yield shard, where, index[where] - (self._ends[shard] - self.sizes[shard])


def open_shards(folder: Path) -> ShardedCorpus:
    """Open a folder that :func:`write_shards` made.

    Raises:
        DataError: if it is damaged or of a newer format.
        MissingExtra: without pyarrow.
    """
    require("pyarrow", "datasets")
    path = Path(folder) / _INDEX
    try:
        if path.stat().st_size > _MAX_INDEX:
            raise DataError(f"expected at most {_MAX_INDEX:,} bytes", path=path)
        index = json.loads(path.read_text(encoding="utf-8"))
        if (index["format"], index["version"]) != (_FORMAT, _VERSION):
            raise DataError(f"expected {_FORMAT}, version {_VERSION}", path=path)
        sizes = [int(size) for size in index["shards"]]
        missing = [name for name in map(_shard_name, range(len(sizes))) if not (path.parent / name).is_file()]
        if missing or min(sizes) < 1 or sum(sizes) != index["sentences"]:
            raise DataError(f"expected {len(sizes)} shards, found {', '.join(missing) or sizes}", path=path)
        report = ReadReport(
            path=Path(folder),
            format="shards",
            guessed=(),
            skipped=(),
            repair="",
            **{
                name: index[name]
                for name in (
                    *("task", "scheme", "sentences", "tokens", "labels", "sha256"),
                    *("repaired_sentences", "repaired_moves"),
                )
            },
        )
        return ShardedCorpus(Path(folder), report, index["tags"], index["chars"], index["count_error"], sizes)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"damaged: {error!r}", path=path) from None


@lru_cache(maxsize=64)
def _open(path: Path) -> Any:
    arrow = require("pyarrow", "datasets")
    try:
        return arrow.ipc.open_file(arrow.memory_map(str(path))).get_batch(0)
    except (OSError, arrow.ArrowException) as error:
        raise DataError(f"damaged: {error}", path=path) from None


@lru_cache(maxsize=128)
def _column(path: Path, number: int) -> tuple[np.ndarray, Any]:
    """Where the lists of a column begin, and the values of all of them, without a copy."""
    column = _open(path).column(number)
    return column.offsets.to_numpy(), column.values
