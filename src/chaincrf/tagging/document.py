"""A text to be tagged: its tokens, where its sentences begin and end, and what is known of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ..data.sentence import Sentence
from ..data.tokenizer import tokenize
from ..errors import ArgumentError
from ..labels import Span
from .constraint import Constraint, allowed_tags
from .inference import Prediction
from .result import Tagged, TaggedSentence, TaggedSpan

__all__ = ["Document", "Places", "Text", "read_document"]

Text = str | Sequence[str] | Sentence
Places = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Document:
    """A text in tokens.

    Attributes:
        text: the text.
        tokens: its tokens.
        offsets: the place of each token, in characters, half-open.
        borders: the tokens of each sentence, half-open; none is empty, and together they are all.
        constraints: what is known of it, in tokens.
        id: its name.
    """

    text: str
    tokens: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    borders: tuple[tuple[int, int], ...]
    constraints: tuple[Constraint, ...] = ()
    id: str | None = None

    def sentences(self) -> list[tuple[str, ...]]:
        """The tokens of each sentence."""
        return [self.tokens[start:end] for start, end in self.borders]

    def constrained(self, constraints: Iterable[Constraint]) -> Document:
        """The document with what is known of it; sentences that a span bridges become one.

        Raises:
            ArgumentError: a constraint that does not fit the text.
        """
        own = tuple(constraint.on_tokens(self.offsets, self.text) for constraint in constraints)
        if not own:
            return self
        spans = [(constraint.start, constraint.end) for constraint in own if constraint.kind == "is"]
        borders: list[tuple[int, int]] = []
        for start, end in self.borders:
            if borders and any(first < start < last for first, last in spans):
                borders[-1] = (borders[-1][0], end)
            else:
                borders.append((start, end))
        return replace(self, borders=tuple(borders), constraints=own)

    def allowed(self, tags: Sequence[str], scheme: str | None) -> list[np.ndarray | None]:
        """The tags that the constraints leave to each token of each sentence; None: all.

        Args:
            tags: the tags of the model in their order.
            scheme: the scheme they are of; None for parts of speech.

        Raises:
            ArgumentError: a label that the model does not know, or nothing is left to a token.
        """
        masks: list[np.ndarray | None] = []
        for start, end in self.borders:
            own = [
                replace(known, start=max(known.start, start) - start, end=min(known.end, end) - start)
                for known in self.constraints
                if known.start < end and start < known.end
            ]
            masks.append(allowed_tags(own, end - start, tags, scheme) if own else None)
        return masks

    def span(self, span: Span, first: int, probability: float | None) -> TaggedSpan:
        """A span of a sentence that begins at token ``first``."""
        token_start, token_end = first + span.start, first + span.end
        start, end = self.offsets[token_start][0], self.offsets[token_end - 1][1]
        return TaggedSpan(start, end, span.label, self.text[start:end], probability, token_start, token_end)

    def tagged(self, predictions: Iterable[Prediction]) -> Tagged:
        """The document with the predictions for its sentences."""
        sentences = []
        for (start, end), found in zip(self.borders, predictions, strict=True):
            sure = found.span_probabilities or [None] * len(found.spans)
            spans = tuple(self.span(span, start, p) for span, p in zip(found.spans, sure, strict=True))
            sentences.append(
                TaggedSentence(
                    self.tokens[start:end],
                    self.offsets[start:end],
                    found.tags,
                    spans,
                    found.probability,
                    found.token_probabilities,
                )
            )
        return Tagged(self.text, tuple(sentences), self.id)


def read_document(
    text: Text,
    tokenizer: Callable[[str], Places] = tokenize,
    splitter: Callable[[str], Places] | None = None,
) -> Document:
    """Cut a text into tokens and sentences; of lists of tokens and Sentences nothing is cut.

    Args:
        text: raw text, a list of tokens, or a Sentence.
        tokenizer: gives the tokens of a raw text.
        splitter: gives the sentences of a raw text; None: it is one.

    Raises:
        ArgumentError: something that is no text, a token that is empty, or places that do not ascend.
    """
    if isinstance(text, Sentence):
        sentence = text
    elif isinstance(text, str):
        return _read_raw(text, tokenizer, splitter)
    elif isinstance(text, Sequence) and all(isinstance(token, str) for token in text):
        sentence = Sentence(tuple(text))
    else:
        raise ArgumentError(f"expected a text, a list of tokens or a Sentence, got {type(text).__name__}")
    tokens, offsets, raw = sentence.tokens, sentence.offsets, sentence.text
    if offsets is None or raw is None:
        raw, places, end = " ".join(tokens), [], -1
        for token in tokens:
            places.append((end + 1, end := end + 1 + len(token)))
        offsets = tuple(places)
    return Document(raw, tokens, offsets, ((0, len(tokens)),) if tokens else (), id=sentence.id)


def _read_raw(
    text: str, tokenizer: Callable[[str], Places], splitter: Callable[[str], Places] | None
) -> Document:
    offsets = tuple(tokenizer(text))
    tokens = tuple([text[start:end] for start, end in offsets])
    if tokenizer is not tokenize:
        Sentence(tokens, text=text, offsets=offsets)  # checks what others have cut
    cuts = {0, len(tokens)}
    if splitter is not None and len(places := splitter(text)) > 1:
        starts = [start for start, _ in offsets]
        cuts.update(bisect_left(starts, start) for start, _ in places[1:])
    return Document(text, tokens, offsets, tuple(pairwise(sorted(cuts))))
