"""Spans, and the ways between spans and tags.

Predicted tags need not be well-formed, and how they are then read decides the score. So the reading, or
repair policy, has one of three names:

``"conlleval"``
    The reading of the CoNLL script, and of seqeval without a mode: no token is lost. Two neighbours are of
    one span where they have the same label, the first does not end a span (E, L, S, U) and the second does
    not begin one (B, S, U); any other token that is not ``O`` begins a span.
``"strict"``
    Of those spans only the ones that begin and end as the scheme writes it, whatever stands beside them.
``"drop"``
    Of those spans only the ones that take part in no ill-formed move, into, inside or out of the span.

So drop is a part of strict, and strict of conlleval; on well-formed tags the three agree. Strict and drop
differ in the whole spans beside a broken one: of ``B-PER I-LOC`` in BIO, conlleval reads two spans, strict
the first alone, drop none.

seqeval's ``mode="strict"`` reads BIO, BIOES and BILOU as strict does. Its IOB1 is inconsistent about a B that
no token of its label precedes: in ``O B-X I-X`` it reads the last token as a span, and in ``I-X B-X B-Y`` it
loses the well-formed ``B-X``; strict reads no span in the first, and both of X in the second. seqeval without
a mode does not know L and U; here they are read as E and S.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise, repeat
from typing import NamedTuple

from ..errors import ArgumentError, LabelError
from .scheme import Scheme, get_scheme

__all__ = [
    "REPAIRS",
    "Span",
    "check_tags",
    "convert_tags",
    "ill_formed_moves",
    "repair_tags",
    "spans_to_tags",
    "tags_to_spans",
]

REPAIRS = ("conlleval", "strict", "drop")
"""The readings of ill-formed tags; the module's docstring defines them."""

_OPENING = frozenset("BSU")  # a span begins here whatever comes before
_CLOSING = frozenset("ELSU")  # a span ends here whatever comes after

# The prefixes of a span of one token, and of the first, the inner and the last token of a longer one.
_PREFIXES = {"BIO": "BBII", "IOB1": "IIII", "BIOES": "SBIE", "BILOU": "UBIL", "IO": "IIII"}


class Span(NamedTuple):
    """The tokens from ``start`` up to, not including, ``end``, and what they are.

    Attributes:
        start: first token, counted from 0.
        end: one past the last token.
        label: the label, without a prefix.
    """

    start: int
    end: int
    label: str


def tags_to_spans(tags: Sequence[str], scheme: str | Scheme, repair: str = "conlleval") -> list[Span]:
    """Read the spans of a tagged sentence, in order.

    Args:
        tags: one tag a token; need not be well-formed.
        scheme: the scheme or its name.
        repair: how ill-formed tags are read, one of ``REPAIRS``.

    Raises:
        LabelError: a tag is not of this scheme.
        ArgumentError: no such repair policy.

    Cost: linear in the number of tokens.
    """
    scheme = get_scheme(scheme)
    if repair not in REPAIRS:
        raise ArgumentError(f"repair: expected one of {', '.join(REPAIRS)}, got {repair!r}")
    if not any(map("O".__ne__, tags)):
        return []
    bordered = (None, *tags, None)
    joined = map(_joined, repeat(scheme), bordered, bordered[1:])  # map: the hot loop of every evaluation
    cuts = [i for i, is_joined in enumerate(joined) if not is_joined]
    spans = [Span(i, j, tags[i].partition("-")[2]) for i, j in pairwise(cuts) if tags[i] != "O"]
    if repair == "conlleval":
        return spans
    return [span for span in spans if _is_kept(span, bordered, scheme, repair)]


# As in Scheme.allows: a corpus holds few distinct moves.
@lru_cache(maxsize=1 << 16)
def _joined(scheme: Scheme, previous: str | None, following: str | None) -> bool:
    """Tell whether the conlleval reading sees two neighbours as one span."""
    before, label = ("O", "") if previous is None else scheme.split(previous)
    after, next_label = ("O", "") if following is None else scheme.split(following)
    return label == next_label and label != "" and before not in _CLOSING and after not in _OPENING


def _is_kept(span: Span, bordered: Sequence[str | None], scheme: Scheme, repair: str) -> bool:
    """Tell whether strict or drop keeps a span of the conlleval reading.

    No move inside such a span is ill-formed, so its two ends decide.
    """
    before, first = bordered[span.start : span.start + 2]
    last, after = bordered[span.end : span.end + 2]
    if repair == "drop":
        return scheme.allows(before, first) and scheme.allows(last, after)
    # What may begin a sentence may begin a span; only the B of IOB1 depends on what comes before.
    return (scheme.allows(None, first) or scheme.allows(before, first)) and scheme.allows(last, None)


def spans_to_tags(spans: Iterable[Span], length: int, scheme: str | Scheme) -> list[str]:
    """Write spans, in any order, as the tags of a sentence of ``length`` tokens.

    Raises:
        LabelError: a span is empty, out of range or without a label; two spans overlap; or the scheme is IO
            and two spans of one label touch, which it cannot tell from one span.

    Cost: linear in the number of tokens, and sorting the spans.
    """
    scheme = get_scheme(scheme)
    single, first, inner, last = _PREFIXES[scheme.name]
    tags = ["O"] * length
    previous = Span(0, 0, "")
    for span in sorted(spans):
        start, end, label = span
        if not 0 <= start < end <= length or not label:
            raise LabelError(f"{span}: expected 0 <= start < end <= {length} and a label")
        if start < previous.end:
            raise LabelError(f"{previous} and {span}: expected spans that do not overlap")
        if end - start == 1:
            tags[start] = f"{single}-{label}"
        else:
            tags[start:end] = [
                f"{first}-{label}",
                *[f"{inner}-{label}"] * (end - start - 2),
                f"{last}-{label}",
            ]
        if start and _joined(scheme, tags[start - 1], tags[start]):
            if "B" not in scheme.prefixes:
                raise LabelError(f"{previous} and {span}: {scheme.name} cannot tell them from one span")
            tags[start] = f"B-{label}"
        previous = span
    return tags


def ill_formed_moves(tags: Sequence[str], scheme: str | Scheme) -> list[int]:
    """List the moves that the scheme does not allow.

    Returns:
        In order, each i for which the move into token i is not allowed; ``len(tags)`` is the move out of the
        last token.

    Raises:
        LabelError: a tag is not of this scheme.

    Cost: linear in the number of tokens.
    """
    bordered = (None, *tags, None)
    allowed = map(get_scheme(scheme).allows, bordered, bordered[1:])
    return [i for i, is_allowed in enumerate(allowed) if not is_allowed]


def check_tags(tags: Sequence[str], scheme: str | Scheme) -> None:
    """Check that a tagged sentence is well-formed.

    Raises:
        LabelError: a tag is not of this scheme, or a move is not allowed; names the first such move.
    """
    scheme = get_scheme(scheme)
    for i in ill_formed_moves(tags, scheme)[:1]:
        before = repr(tags[i - 1]) if i else "the start of the sentence"
        after = repr(tags[i]) if i < len(tags) else "the end of the sentence"
        raise LabelError(f"token {i}: {scheme.name} does not allow {after} after {before}")


def repair_tags(tags: Sequence[str], scheme: str | Scheme, repair: str = "conlleval") -> list[str]:
    """Rewrite the tags as the scheme writes the spans read from them; well-formed tags stay as they are.

    Raises:
        LabelError: a tag is not of this scheme.
        ArgumentError: no such repair policy.
    """
    return spans_to_tags(tags_to_spans(tags, scheme, repair), len(tags), scheme)


def convert_tags(tags: Sequence[str], source: str | Scheme, target: str | Scheme) -> list[str]:
    """Write well-formed tags of scheme ``source`` in scheme ``target``.

    Raises:
        LabelError: the tags are ill-formed (the message names place and tags; ``repair_tags`` mends them), or
            the target is IO and two spans of one label touch.
    """
    check_tags(tags, source)
    return spans_to_tags(tags_to_spans(tags, source), len(tags), target)
