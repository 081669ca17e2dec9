"""Sentences as padded tensors: encoded once, batched by length.

Every distinct token is looked up once when the data is encoded (a *type*), and once a batch by the character
encoder: a batch of 800 tokens has some 350 types.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ..errors import DataError
from ..labels import UNKNOWN_TAG
from .sentence import Sentence
from .shapes import word_shape
from .vocabulary import PADDING, Vocabulary

__all__ = [
    "MAX_CHARS",
    "Batch",
    "EncodedSentences",
    "encode",
    "encode_tokens",
    "plan_batches",
    "shares",
    "shuffled",
]

MAX_CHARS = 48
"""A longer token keeps its first and last 24 characters for the character encoder."""

_POOL = 32  # batches whose sentences are sorted by length together: little padding, still random batches


@dataclass(frozen=True)
class Batch:
    """One padded batch.

    Attributes:
        index: position of each sentence in the data it came from.
        words: word indices, 0 where padded.
        mask: True where there is a token.
        chars: character indices of the batch's U distinct tokens, 0 where padded.
        shapes: shape of each distinct token, see :mod:`chaincrf.data.shapes`.
        types: row of ``chars`` and ``shapes`` for each token; 0 where padded, to be ignored there.
        tags: gold tag indices, -100 where padded or not known; None for unlabelled data.
    """

    index: Int[np.ndarray, " B"]
    words: Int[Tensor, "B T"]
    mask: Bool[Tensor, "B T"]
    chars: Int[Tensor, "U C"]
    shapes: Int[Tensor, " U"]
    types: Int[Tensor, "B T"]
    tags: Int[Tensor, "B T"] | None

    @property
    def inputs(self) -> dict[str, Tensor]:
        """What a tagger reads, by the names of its arguments."""
        names = ("words", "mask", "chars", "shapes", "types")
        return {name: getattr(self, name) for name in names}

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return replace(
            self,
            words=self.words.to(device, non_blocking=True),
            mask=self.mask.to(device, non_blocking=True),
            chars=self.chars.to(device, non_blocking=True),
            shapes=self.shapes.to(device, non_blocking=True),
            types=self.types.to(device, non_blocking=True),
            tags=None if self.tags is None else self.tags.to(device, non_blocking=True),
        )


@dataclass(frozen=True)
class EncodedSentences:
    """Sentences as arrays of token types, with the word and the characters of each type.

    Attributes:
        type_words: word index of each type.
        type_chars: character indices of each type, 0 where padded.
        type_lengths: number of characters of each type.
        type_shapes: shape of each type.
        sentences: for each sentence the types of its tokens.
        tags: for each sentence the tag indices; None for unlabelled data.
    """

    type_words: Int[np.ndarray, " U"]
    type_chars: Int[np.ndarray, "U C"]
    type_lengths: Int[np.ndarray, " U"]
    type_shapes: Int[np.ndarray, " U"]
    sentences: Sequence[np.ndarray]
    tags: Sequence[np.ndarray] | None

    @property
    def num_tokens(self) -> int:
        """Number of tokens of all sentences."""
        return sum(map(len, self.sentences))

    def batches(self, batch_size: int, *, generator: np.random.Generator | None = None) -> Iterator[Batch]:
        """Batches of sentences of similar length, see :meth:`plan`."""
        return map(self.batch, self.plan(batch_size, generator=generator))

    def plan(
        self, batch_size: int, *, tokens: int = 0, generator: np.random.Generator | None = None
    ) -> list[Int[np.ndarray, " B"]]:
        """Which sentences make a batch: those of similar length; empty ones are left out.

        Args:
            batch_size: sentences in a batch.
            tokens: instead of ``batch_size``, tokens in a batch at most, padding included; a sentence that
                is longer is a batch of its own. 0: ``batch_size`` holds.
            generator: draws the order. Without it, sentences are sorted by length, the longest first, so
                that memory is at its peak in the first batch.

        Returns:
            For each batch, the positions of its sentences.
        """
        lengths = np.array([len(sentence) for sentence in self.sentences], dtype=np.int64)
        if generator is None:
            return plan_batches(lengths, batch_size, tokens=tokens)
        return shuffled(lengths, batch_size, tokens, generator)

    def lengths(self, index: Int[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
        """Tokens of the sentences at some positions."""
        return np.array([len(self.sentences[i]) for i in index], dtype=np.int64)

    def words(self, index: Int[np.ndarray, " B"]) -> Int[Tensor, " N"]:
        """The word indices of all tokens of the sentences at some positions."""
        return torch.from_numpy(self.type_words[np.concatenate([self.sentences[i] for i in index])])

    def batch(self, index: Int[np.ndarray, " B"]) -> Batch:
        """The sentences at some positions, padded to the longest of them."""
        rows = [self.sentences[i] for i in index]
        lengths = np.array([len(row) for row in rows])
        mask = np.arange(lengths.max()) < lengths[:, None]
        tokens = np.concatenate(rows)
        used, first, inverse = np.unique(tokens, return_index=True, return_inverse=True)
        order = np.argsort(first)  # types come as they occur in the batch, wherever it comes from
        used, inverse = used[order], np.argsort(order)[inverse]
        words = np.full(mask.shape, PADDING)
        words[mask] = self.type_words[tokens]
        types = np.zeros(mask.shape, dtype=np.int64)
        types[mask] = inverse
        tags = None
        if self.tags is not None:
            tags = np.full(mask.shape, -100)
            tags[mask] = np.concatenate([self.tags[i] for i in index])
        chars = self.type_chars[used, : self.type_lengths[used].max()]
        return Batch(
            index=index,
            words=torch.from_numpy(words),
            mask=torch.from_numpy(mask),
            chars=torch.from_numpy(chars.astype(np.int64)),
            shapes=torch.from_numpy(self.type_shapes[used]),
            types=torch.from_numpy(types),
            tags=None if tags is None else torch.from_numpy(tags),
        )


def plan_batches(
    lengths: Int[np.ndarray, " N"], batch_size: int = 1, *, tokens: int = 0
) -> list[Int[np.ndarray, " B"]]:
    """Batches of sentences of similar length, the longest first; empty sentences are left out.

    Args:
        lengths: number of tokens of each sentence.
        batch_size: sentences in a batch.
        tokens: instead of that, tokens in a batch at most, padding included; see
            :meth:`EncodedSentences.plan`.
    """
    order = np.flatnonzero(lengths)
    order = order[np.argsort(-lengths[order], kind="stable")]
    return _cut(order, lengths, batch_size, tokens)


def encode(
    sentences: Sequence[Sentence],
    vocabulary: Vocabulary,
    *,
    with_tags: bool = False,
    partial: bool = False,
) -> EncodedSentences:
    """Look every token up, once a distinct token.

    Args:
        sentences: the data.
        vocabulary: what the tagger knows.
        with_tags: encode the gold tags too.
        partial: ``?`` is a tag that is not known, and becomes -100.

    Raises:
        DataError: if tags are wanted and a sentence has none, or one the vocabulary does not know.
    """
    encoded = encode_tokens([sentence.tokens for sentence in sentences], vocabulary)
    if not with_tags:
        return encoded
    tags = []
    unknown = UNKNOWN_TAG if partial else None
    for number, sentence in enumerate(sentences, start=1):
        if sentence.tags is None:
            raise DataError(f"sentence {number}: expected gold tags, found none")
        known = (-100 if tag == unknown else vocabulary.tag(tag) for tag in sentence.tags)
        tags.append(np.fromiter(known, np.int64, len(sentence.tags)))
    return replace(encoded, tags=tags)


def encode_tokens(sentences: Sequence[Sequence[str]], vocabulary: Vocabulary) -> EncodedSentences:
    """Look every token of unlabelled sentences up, once a distinct token.

    Args:
        sentences: the tokens of each.
        vocabulary: what the tagger knows.
    """
    types: dict[str, int] = {}
    encoded = [
        np.array([types.setdefault(token, len(types)) for token in tokens], dtype=np.int64)
        for tokens in sentences
    ]
    spellings = [_shorten(token) for token in types]
    lengths = np.array([len(spelling) for spelling in spellings], dtype=np.int64)
    chars = np.full((len(types), lengths.max(initial=1)), PADDING, dtype=np.int32)
    chars[np.arange(chars.shape[1]) < lengths[:, None]] = vocabulary.spell("".join(spellings))
    return EncodedSentences(
        type_words=np.array([vocabulary.word(token) for token in types], dtype=np.int64),
        type_chars=chars,
        type_lengths=lengths,
        type_shapes=np.array([word_shape(token) for token in types], dtype=np.int64),
        sentences=encoded,
        tags=None,
    )


def shuffled(
    lengths: Int[np.ndarray, " N"], batch_size: int, tokens: int, generator: np.random.Generator
) -> list[Int[np.ndarray, " _"]]:
    """Batches of sentences of similar length, in random order; see :meth:`EncodedSentences.plan`."""
    order = generator.permutation(np.flatnonzero(lengths))
    usual = max(1, round(tokens / lengths[order].mean())) if tokens and len(order) else batch_size
    chunks = [
        chunk
        for pool in _chunks(order, usual * _POOL)
        for chunk in _cut(pool[np.argsort(lengths[pool], kind="stable")], lengths, batch_size, tokens)
    ]
    return [chunks[i] for i in generator.permutation(len(chunks))]


def shares(lengths: Int[np.ndarray, " B"], count: int) -> list[Int[np.ndarray, " _"]]:
    """A batch in parts of about as many tokens, for several processes; a sentence is where its middle is.

    Args:
        lengths: number of tokens of each sentence.
        count: of parts; there may be fewer.

    Returns:
        For each part, the positions of its sentences.
    """
    ends = lengths.cumsum()
    cuts = np.searchsorted(ends - lengths / 2, ends[-1] * np.arange(1, count) / count)
    return [part for part in np.split(np.arange(len(lengths)), cuts) if len(part)]


def _chunks(array: np.ndarray, size: int) -> list[np.ndarray]:
    return [array[start : start + size] for start in range(0, len(array), size)]


def _cut(order: np.ndarray, lengths: np.ndarray, batch_size: int, tokens: int) -> list[np.ndarray]:
    """Batches of sentences that are sorted by length, by number or by a budget of tokens."""
    if not tokens:
        return _chunks(order, batch_size)
    starts, longest = [0], 0
    for position, length in enumerate(lengths[order].tolist()):
        longest = max(longest, length)
        if position > starts[-1] and longest * (position + 1 - starts[-1]) > tokens:
            starts.append(position)
            longest = length
    return np.split(order, starts[1:]) if len(order) else []


def _shorten(token: str) -> str:
    half = MAX_CHARS // 2
    return token if len(token) <= MAX_CHARS else token[:half] + token[-half:]
