"""Guess the tagging scheme of a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from ..errors import LabelError
from .scheme import SCHEMES, Scheme, split_tag

__all__ = ["Detection", "detect_scheme"]

_KNOWN = {prefix for scheme in SCHEMES.values() for prefix in ("O", *scheme.prefixes)}


class Detection(NamedTuple):
    """A guess of the scheme of a corpus, and why.

    Attributes:
        scheme: the scheme.
        ill_formed: for each scheme that has all prefixes of the corpus, how many moves it does not allow.
        reason: one sentence for humans.
    """

    scheme: Scheme
    ill_formed: dict[str, int]
    reason: str


def detect_scheme(sentences: Iterable[Sequence[str]]) -> Detection:
    """Guess the scheme of tagged sentences.

    Of the schemes that have all prefixes of the corpus, the one with the fewest ill-formed moves; of equals
    the first of BIO, IOB1, BIOES, BILOU, IO. So E or S means BIOES and L or U means BILOU, a BIO corpus with
    a few stray I stays BIO, a corpus of I and O alone is IOB1 rather than IO, and one without spans is BIO.

    Args:
        sentences: the tags of each sentence; iterated over once.

    Raises:
        LabelError: a tag is no tag or has an unknown prefix (names the sentence, counted from 0), or no
            scheme has all the prefixes.

    Cost: linear in the number of tokens.
    """
    moves: Counter[tuple[str | None, str | None]] = Counter()
    seen: set[str] = set()
    for number, tags in enumerate(sentences):
        for tag in sorted(set(tags) - seen):
            _check_prefix(tag, number)
            seen.add(tag)
        moves.update(pairwise((None, *tags, None)))
    prefixes = {split_tag(tag)[0] for tag in seen} - {"O"}
    candidates = [scheme for scheme in SCHEMES.values() if prefixes <= {*scheme.prefixes}]
    if not candidates:
        raise LabelError(f"expected the prefixes of one of {', '.join(SCHEMES)}, got {_listed(prefixes)}")
    ill_formed = {
        scheme.name: sum(count for move, count in moves.items() if not scheme.allows(*move))
        for scheme in candidates
    }
    scheme = min(candidates, key=lambda candidate: ill_formed[candidate.name])  # the first of equals
    return Detection(scheme, ill_formed, _reason(prefixes, ill_formed, moves.total()))


def _check_prefix(tag: str, number: int) -> None:
    try:
        prefix = split_tag(tag)[0]
    except LabelError as error:
        raise LabelError(f"sentence {number}: {error}") from None
    if prefix not in _KNOWN:
        raise LabelError(f"sentence {number}: tag {tag!r}: expected one of the prefixes {_listed(_KNOWN)}")


def _reason(prefixes: set[str], ill_formed: dict[str, int], moves: int) -> str:
    if not prefixes:
        return "there is no tag but O, which every scheme allows; BIO is the most usual"
    if prefixes == {"I"}:
        return "I is the only prefix, which fits IOB1 and IO alike; IOB1 can also write touching spans"
    counts = ", ".join(f"{count:,} in {name}" for name, count in ill_formed.items())
    alone = ", the one scheme with these prefixes" if len(ill_formed) == 1 else ""
    return f"prefixes {_listed(prefixes)}; ill-formed of {moves:,} moves: {counts}{alone}"


def _listed(prefixes: Iterable[str]) -> str:
    return ", ".join(sorted(prefixes))
