"""Batches of a corpus in shards, encoded when they are wanted."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ..errors import DataError, LabelError
from ..labels import convert_tags
from .batching import Batch, encode, shuffled
from .sentence import Sentence
from .shards import ShardedCorpus
from .vocabulary import Vocabulary

__all__ = ["StreamedSentences"]


@dataclass(frozen=True)
class StreamedSentences:
    """Training data that stays on the disk; batches as of :class:`chaincrf.data.batching.EncodedSentences`.

    Sentences are shuffled within a window of neighbouring ones, and the windows among each other; where a
    window covers the corpus, the batches are those that the corpus in memory would give.

    Attributes:
        corpus: the shards.
        vocabulary: to encode with.
        scheme: to write the tags in; None: as they are.
        window: sentences shuffled together.
    """

    corpus: ShardedCorpus
    vocabulary: Vocabulary
    scheme: str | None
    window: int

    @property
    def num_tokens(self) -> int:
        """Number of tokens of all sentences."""
        return self.corpus.report.tokens

    def plan(self, batch_size: int, *, generator: np.random.Generator, tokens: int = 0) -> _Plan:
        """Which sentences make a batch, window by window.

        Args:
            batch_size, tokens: as of :meth:`chaincrf.data.batching.EncodedSentences.plan`.
            generator: draws the order, as the plan is gone through: once, to its end.
        """
        return _Plan(self, batch_size, tokens, generator)

    def lengths(self, index: Int[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
        """Tokens of the sentences at some positions."""
        return self.corpus.lengths(index)

    def words(self, index: Int[np.ndarray, " B"]) -> Int[Tensor, " N"]:
        """The word indices of all tokens of the sentences at some positions."""
        tokens = [token for sentence, _ in self.corpus.read(index) for token in sentence]
        return torch.tensor([self.vocabulary.word(token) for token in tokens], dtype=torch.int64)

    def batch(self, index: Int[np.ndarray, " B"]) -> Batch:
        """The sentences at some positions, read, encoded, and padded to the longest of them."""
        sentences = [
            Sentence(tuple(tokens), self._written(tags, number))
            for number, (tokens, tags) in zip(index.tolist(), self.corpus.read(index), strict=True)
        ]
        batch = encode(sentences, self.vocabulary, with_tags=True).batch(np.arange(len(sentences)))
        return replace(batch, index=index)

    def _written(self, tags: list[str], number: int) -> tuple[str, ...]:
        source = self.corpus.report.scheme
        if source is None or self.scheme is None or source == self.scheme:
            return tuple(tags)
        try:
            return tuple(convert_tags(tags, source, self.scheme))
        except LabelError as error:
            raise DataError(f"sentence {number + 1}: {error}", path=self.corpus.folder) from None


class _Plan:
    """The batches of an epoch; their number is known before they are drawn."""

    def __init__(
        self, data: StreamedSentences, batch_size: int, tokens: int, generator: np.random.Generator
    ) -> None:
        self._data, self._batch_size, self._tokens = data, batch_size, tokens
        self._generator = generator
        draw = copy.deepcopy(generator)
        if tokens:  # it depends on what is drawn
            self._length = sum(len(self._batches(window, draw)) for window in self._windows(draw))
        else:
            sizes = (len(window) for window in self._windows(draw))
            self._length = sum(-(-size // batch_size) for size in sizes)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[np.ndarray]:
        for window in self._windows(self._generator):
            yield from self._batches(window, self._generator)

    def _windows(self, generator: np.random.Generator) -> Iterator[np.ndarray]:
        total, size = len(self._data.corpus), self._data.window
        if size >= total:
            yield np.arange(total)
            return
        first = int(generator.integers(total))  # so that windows part other sentences in every epoch
        for start in generator.permutation(np.arange(0, total, size)).tolist():
            yield (first + np.arange(start, min(start + size, total))) % total

    def _batches(self, window: np.ndarray, generator: np.random.Generator) -> list[np.ndarray]:
        lengths = self._data.corpus.lengths(window)
        return [window[part] for part in shuffled(lengths, self._batch_size, self._tokens, generator)]
