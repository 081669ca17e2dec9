"""What a tagger answers: a text with its sentences, tokens, tags and spans, each with its probability."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

__all__ = ["Path", "Tagged", "TaggedSentence", "TaggedSpan"]


class TaggedSpan(NamedTuple):
    """A span found in a text.

    Attributes:
        start, end: its characters (code points) in ``Tagged.text``, half-open.
        label: its label.
        text: what it says, ``Tagged.text[start:end]``.
        probability: of exactly this span, its label and both borders; None if none were asked for.
        token_start, token_end: its tokens in ``Tagged.tokens``, half-open.
    """

    start: int
    end: int
    label: str
    text: str
    probability: float | None
    token_start: int
    token_end: int


class Path(NamedTuple):
    """One way of tagging a whole text.

    Attributes:
        tags: one a token.
        spans: what the tags say.
        probability: of all these tags together; the spans carry none of their own.
    """

    tags: tuple[str, ...]
    spans: tuple[TaggedSpan, ...]
    probability: float


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """One sentence of a tagged text.

    Attributes:
        tokens: its tokens.
        offsets: the place of each token in ``Tagged.text``, in characters, half-open.
        tags: the tag of each token: together the most probable path.
        spans: what the tags say; none for parts of speech.
        probability: of the whole path; None if none were asked for.
        token_probabilities: of each token's tag; None if none were asked for.
    """

    tokens: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    tags: tuple[str, ...]
    spans: tuple[TaggedSpan, ...]
    probability: float | None = None
    token_probabilities: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tagged text.

    Attributes:
        text: the text that was given; of a list of tokens, these joined by spaces.
        sentences: its sentences that have a token.
        id: the name that a file gave it.
    """

    text: str
    sentences: tuple[TaggedSentence, ...]
    id: str | None = None

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens of all sentences."""
        return self._joined("tokens")

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """The place of each token in ``text``, in characters, half-open."""
        return self._joined("offsets")

    @property
    def tags(self) -> tuple[str, ...]:
        """The tag of each token."""
        return self._joined("tags")

    @property
    def spans(self) -> tuple[TaggedSpan, ...]:
        """The spans of all sentences, in order."""
        return self._joined("spans")

    @property
    def token_probabilities(self) -> tuple[float, ...] | None:
        """The probability of each token's tag; None if none were asked for."""
        if any(sentence.token_probabilities is None for sentence in self.sentences):
            return None
        return self._joined("token_probabilities")

    def to_json(self) -> dict[str, Any]:
        """Plain values: what ``chaincrf tag --json`` writes a line of.

        ``sentences`` are given by their tokens, half-open; probabilities are left out where none were asked
        for.
        """
        content: dict[str, Any] = {} if self.id is None else {"id": self.id}
        content |= {"text": self.text, "tokens": list(self.tokens), "tags": list(self.tags)}
        content["offsets"] = list(map(list, self.offsets))
        content["spans"] = [
            {key: value for key, value in span._asdict().items() if value is not None} for span in self.spans
        ]
        content["sentences"], first = [], 0
        for sentence in self.sentences:
            content["sentences"].append([first, first := first + len(sentence.tokens)])
        if self.sentences and self.token_probabilities is not None:
            content["token_probabilities"] = list(self.token_probabilities)
            content["sentence_probabilities"] = [sentence.probability for sentence in self.sentences]
        return content

    def _joined(self, name: str) -> tuple[Any, ...]:
        parts = [getattr(sentence, name) for sentence in self.sentences]
        return parts[0] if len(parts) == 1 else tuple(chain.from_iterable(parts))
