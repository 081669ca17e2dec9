"""One sentence: its tokens and, where known, their tags and where they stand in the raw text."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ArgumentError

__all__ = ["Sentence"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """Tokens with their tags; validated once, here, and never changed.

    A sentence without tokens is allowed; a token that is empty or only white space is not.

    Attributes:
        tokens: the words.
        tags: one tag a token, or None where they are not known.
        text: the raw text that the tokens were cut from.
        offsets: for each token its place in ``text``, in characters, half-open:
            ``tokens[i] == text[start:end]``; ascending, without overlap.
        id: the name that the file gives the sentence.
        document: the name or number of the document that it is of, where the file says.

    Raises:
        ArgumentError: if lengths differ, a token or tag is empty, or offsets and text do not fit.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...] | None = None
    text: str | None = None
    offsets: tuple[tuple[int, int], ...] | None = None
    id: str | None = None
    document: str | None = None

    def __post_init__(self) -> None:
        for number, token in enumerate(self.tokens, start=1):
            if not token.strip():
                raise ArgumentError(f"tokens: expected words; token {number} is {token!r}, which is empty")
        if self.tags is not None:
            self._check_length("tags", len(self.tags))
            if not all(self.tags):
                raise ArgumentError(
                    f"tags: expected one a token; token {self.tags.index('') + 1} has an empty one"
                )
        if self.offsets is not None:
            self._check_offsets(self.offsets)

    def __len__(self) -> int:
        """Count the tokens."""
        return len(self.tokens)

    def _check_length(self, name: str, length: int) -> None:
        if length != len(self.tokens):
            raise ArgumentError(
                f"{name}: expected one for each of the {len(self.tokens)} tokens, found {length}"
            )

    def _check_offsets(self, offsets: tuple[tuple[int, int], ...]) -> None:
        if self.text is None:
            raise ArgumentError("offsets: expected together with the text that they point into; text is None")
        self._check_length("offsets", len(offsets))
        last = 0
        for token, (start, end) in zip(self.tokens, offsets, strict=True):
            if start < last or self.text[start:end] != token:
                raise ArgumentError(
                    f"offsets: expected ascending places with text[start:end] the token {token!r}; "
                    f"({start}, {end}) holds {self.text[start:end]!r} after a token that ends at {last}"
                )
            last = end
