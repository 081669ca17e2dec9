"""Tag texts with a trained model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from ..data.batching import encode
from ..data.sentence import Sentence
from ..data.tokenizer import sentence_from_text
from ..errors import ArgumentError
from ..labels import tags_to_spans
from .bundle import Bundle, load_bundle, save_bundle
from .predict import predict_tags

__all__ = ["CHUNK", "TaggedSentence", "TaggedSpan", "Tagger"]

CHUNK = 2048
"""Sentences read ahead: enough to fill batches of equal length, little memory."""


@dataclass(frozen=True)
class TaggedSpan:
    """A span found in a sentence.

    Attributes:
        label: its label.
        start, end: its tokens, half-open.
        text: what it says: a piece of the original text, or its tokens joined by spaces.
        start_char, end_char: its characters in the original text, half-open; None if there was none.
    """

    label: str
    start: int
    end: int
    text: str
    start_char: int | None = None
    end_char: int | None = None


@dataclass(frozen=True)
class TaggedSentence:
    """A sentence with a tag for each token, and the spans that the tags say (none for POS)."""

    sentence: Sentence
    tags: tuple[str, ...]
    spans: tuple[TaggedSpan, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values: text, tokens with offsets, tags, spans."""
        sentence = self.sentence
        content: dict[str, Any] = {} if sentence.id is None else {"id": sentence.id}
        if sentence.text is not None:
            content["text"] = sentence.text
        content["tokens"] = list(sentence.tokens)
        if sentence.offsets is not None:
            content["offsets"] = [list(offset) for offset in sentence.offsets]
        content["tags"] = list(self.tags)
        content["spans"] = [
            {key: value for key, value in vars(span).items() if value is not None} for span in self.spans
        ]
        return content


class Tagger:
    """A trained model that tags raw text, tokens or :class:`~chaincrf.data.Sentence` objects.

    ::

        tagger = Tagger.load("model")
        tagger.tag("Barack Obama visited Paris.").spans
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    @classmethod
    def load(cls, folder: str | Path, *, device: torch.device | str = "cpu") -> Tagger:
        """Read a model folder.

        Raises:
            ModelError: if the folder is missing, damaged or of a newer format.
        """
        return cls(load_bundle(Path(folder), device))

    def save(self, folder: str | Path) -> None:
        """Write the model folder, whole or not at all."""
        save_bundle(self.bundle, Path(folder))

    def tag(self, text: str | Sequence[str] | Sentence) -> TaggedSentence:
        """Tag one sentence: raw text, a list of tokens, or a Sentence."""
        return next(self.tag_all([text]))

    def tag_all(
        self, texts: Iterable[str | Sequence[str] | Sentence], *, batch_size: int = 64, chunk: int = CHUNK
    ) -> Iterator[TaggedSentence]:
        """Tag a stream of sentences of any length, in its order.

        A sentence's result does not depend on the others: the sizes change the speed alone.

        Args:
            texts: raw texts, lists of tokens, or Sentences.
            batch_size: sentences computed together.
            chunk: sentences read before the first is answered; those of like length are batched.

        Raises:
            ArgumentError: if a size is below 1, or something is no text.
        """
        if batch_size < 1 or chunk < 1:
            raise ArgumentError(f"batch_size, chunk: expected at least 1, got {batch_size} and {chunk}")
        sentences = map(_to_sentence, texts)
        while ahead := list(islice(sentences, chunk)):
            for sentence, tags in zip(ahead, self.tag_sentences(ahead, batch_size=batch_size), strict=True):
                yield TaggedSentence(sentence, tuple(tags), self._spans(sentence, tags))

    def tag_sentences(self, sentences: Sequence[Sentence], *, batch_size: int = 64) -> list[list[str]]:
        """The tags alone."""
        vocabulary = self.bundle.vocabulary
        encoded = encode(sentences, vocabulary)
        return predict_tags(self.bundle.model, encoded, vocabulary.tags, batch_size=batch_size)[0]

    def _spans(self, sentence: Sentence, tags: Sequence[str]) -> tuple[TaggedSpan, ...]:
        scheme = self.bundle.config.scheme
        if scheme is None:
            return ()
        spans = []
        for start, end, label in tags_to_spans(tags, scheme):
            span = TaggedSpan(label, start, end, " ".join(sentence.tokens[start:end]))
            if sentence.text is not None and sentence.offsets is not None:
                first, last = sentence.offsets[start][0], sentence.offsets[end - 1][1]
                span = replace(span, text=sentence.text[first:last], start_char=first, end_char=last)
            spans.append(span)
        return tuple(spans)


def _to_sentence(text: str | Sequence[str] | Sentence) -> Sentence:
    if isinstance(text, Sentence):
        return text
    if isinstance(text, str):
        return sentence_from_text(text)
    if isinstance(text, Sequence):
        return Sentence(tuple(text))
    raise ArgumentError(f"expected a text, a list of tokens or a Sentence, got {type(text).__name__}")
