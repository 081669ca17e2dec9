"""What the caller knows of a text: spans that are there, and spans that are not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import ArgumentError
from ..labels import Span, spans_to_tags, split_tag, tags_to_spans

__all__ = ["Constraint", "allowed_tags"]


@dataclass(frozen=True, slots=True)
class Constraint:
    """Something that is known of a text before it is tagged.

    Paths that contradict it have probability zero; the best path, and every probability, are those of the
    paths that are left: p(. | constraint), exactly.

    Attributes:
        start, end: the place, half-open.
        label: a span label; for parts of speech a tag. None (``"not"`` only): any.
        kind: ``"is"``: here is a span of this label, with these borders (which must be those of tokens).
            ``"not"``: no token here, not even in part, is in a span of this label. ``"outside"``: no token
            here is in any span. For parts of speech, ``"is"`` and ``"not"`` say the tag of each token here.
        unit: what ``start`` and ``end`` count: characters of ``Tagged.text``, or ``Tagged.tokens``.

    Raises:
        ArgumentError: the place is empty or negative, or kind, unit and label do not go together.

    In IOB1, where the tag that begins a span depends on what stands before it, ``"is"`` also says that no
    span of this label ends right before.
    """

    start: int
    end: int
    label: str | None = None
    kind: Literal["is", "not", "outside"] = "is"
    unit: Literal["characters", "tokens"] = "characters"

    def __post_init__(self) -> None:
        if self.kind not in ("is", "not", "outside") or self.unit not in ("characters", "tokens"):
            raise ArgumentError(
                "constraint: expected the kind is, not or outside and the unit characters or tokens, got "
                f"{self.kind!r} and {self.unit!r}"
            )
        if not 0 <= self.start < self.end:
            raise ArgumentError(f"constraint: expected 0 <= start < end, got {self.start} and {self.end}")
        if (self.kind == "is" and self.label is None) or (self.kind == "outside" and self.label is not None):
            wanted = "a label" if self.kind == "is" else "no label"
            raise ArgumentError(f"constraint: the kind {self.kind!r} needs {wanted}, got {self.label!r}")

    def on_tokens(self, offsets: Sequence[tuple[int, int]], text: str) -> Constraint:
        """The same in tokens.

        Args:
            offsets: the place of each token in the text.
            text: the text.

        Raises:
            ArgumentError: the place is not within the text, has no token, or (``"is"``) cuts one in two.
        """
        if self.unit == "tokens":
            if self.end > len(offsets):
                raise ArgumentError(f"constraint: the text has {len(offsets)} tokens, got {self}")
            return self
        if self.end > len(text):
            raise ArgumentError(f"constraint: the text has {len(text)} characters, got {self}")
        inside = [i for i, (start, end) in enumerate(offsets) if start < self.end and self.start < end]
        borders = (offsets[inside[0]][0], offsets[inside[-1]][1]) if inside else None
        if borders is None or (self.kind == "is" and borders != (self.start, self.end)):
            tokens = [text[slice(*offsets[i])] for i in inside]
            quoted = text[self.start : self.end]
            raise ArgumentError(f"constraint: expected whole tokens, got {quoted!r} in the tokens {tokens}")
        return Constraint(inside[0], inside[-1] + 1, self.label, self.kind, "tokens")


def allowed_tags(
    constraints: Iterable[Constraint], length: int, tags: Sequence[str], scheme: str | None
) -> np.ndarray:
    """The tags that constraints leave to each token of a sentence, ``(length, K)`` bool.

    Args:
        constraints: in tokens of the sentence.
        length: number of its tokens.
        tags: the K tags in their order.
        scheme: the scheme they are of; None for parts of speech.

    Raises:
        ArgumentError: a label that the model does not know, or nothing is left to a token.
    """
    allowed = np.ones((length, len(tags)), dtype=bool)
    of_label = np.array([tag if scheme is None else split_tag(tag)[1] for tag in tags])
    for constraint in constraints:
        label = constraint.label
        if label is not None and label not in of_label:
            known = ", ".join(sorted({str(name) for name in of_label} - {""}))
            raise ArgumentError(f"constraint: the model's labels are {known}; got {label!r}")
        place = slice(constraint.start, constraint.end)
        if constraint.kind == "is" and scheme is not None:
            _fix_span(allowed, Span(constraint.start, constraint.end, str(label)), tags, scheme)
        elif constraint.kind == "is":
            allowed[place] &= of_label == label
        elif scheme is None and label is None:
            raise ArgumentError("constraint: a tagger of parts of speech needs a label")
        else:
            allowed[place] &= (of_label == "") if label is None else (of_label != label)
        empty = np.flatnonzero(~allowed.any(axis=1))
        if len(empty):
            raise ArgumentError(
                f"constraint: nothing is left to token {empty[0]} of a sentence: {constraint}"
            )
    return allowed


def _fix_span(allowed: np.ndarray, span: Span, tags: Sequence[str], scheme: str) -> None:
    """Leave the paths that write this span as the scheme does, and end it where it ends."""
    start, end, label = span
    own = spans_to_tags([Span(0, end - start, label)], end - start, scheme)
    for token, tag in enumerate(own, start=start):
        allowed[token] &= np.array([other == tag for other in tags])

    def apart(first: str, second: str) -> bool:
        return split_tag(first)[1] != split_tag(second)[1] or len(tags_to_spans((first, second), scheme)) > 1

    if start:
        allowed[start - 1] &= np.array([apart(tag, own[0]) for tag in tags])
    if end < len(allowed):
        allowed[end] &= np.array([apart(own[-1], tag) for tag in tags])
