"""What a scheme allows, as boolean masks over a list of tags: the constraints of a CRF or of a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import LabelError
from .scheme import Scheme, get_scheme

__all__ = ["Constraints", "constraints_from_tags"]


class Constraints(NamedTuple):
    """Masks over K tags; True is allowed.

    Attributes:
        start: (K,) tag j may begin a sentence.
        transitions: (K, K) at ``[i][j]``: tag i may be followed by tag j.
        end: (K,) tag i may end a sentence.
    """

    start: tuple[bool, ...]
    transitions: tuple[tuple[bool, ...], ...]
    end: tuple[bool, ...]


def constraints_from_tags(tags: Sequence[str], scheme: str | Scheme) -> Constraints:
    """Build the masks for K tags, in their order.

    A sequence keeps to the masks if and only if ``ill_formed_moves`` finds nothing in it.

    Raises:
        LabelError: a tag is not of this scheme, or is there twice.

    Cost: K^2 moves.
    """
    scheme = get_scheme(scheme)
    if len(set(tags)) < len(tags):
        raise LabelError(f"tags: expected distinct tags, got {list(tags)}")
    return Constraints(
        start=tuple(scheme.allows(None, tag) for tag in tags),
        transitions=tuple(tuple(scheme.allows(tag, following) for following in tags) for tag in tags),
        end=tuple(scheme.allows(tag, None) for tag in tags),
    )
