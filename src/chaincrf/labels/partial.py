"""Sentences of which some tags are not known: partial labels.

A tag that is not known is written ``?``. What is marked is taken at its word: a marked span is whole, and
what ``O`` marks is outside of every span; only under ``?`` may further spans lie. Where a scheme has no mark
for the end (BIO, IOB1, IO), the likelihood lets a marked span go on under the ``?`` behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["UNKNOWN_TAG", "completed", "rewritten"]

UNKNOWN_TAG = "?"
"""Stands for a tag that is not known."""


def completed(tags: Sequence[str]) -> Sequence[str]:
    """The tags with ``O`` where they are not known: with the marked spans alone."""
    if UNKNOWN_TAG not in tags:
        return tags
    return ["O" if tag == UNKNOWN_TAG else tag for tag in tags]


def rewritten(tags: Sequence[str], rewrite: Callable[[Sequence[str]], Sequence[str]]) -> tuple[str, ...]:
    """Write the marked spans otherwise, in another scheme for example; unknown tags stay unknown.

    Args:
        tags: one tag a token.
        rewrite: what gives other tags for complete ones.
    """
    new = rewrite(completed(tags))
    return tuple(UNKNOWN_TAG if old == UNKNOWN_TAG else tag for old, tag in zip(tags, new, strict=True))
