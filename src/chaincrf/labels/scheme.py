"""Tagging schemes as tables of the moves that they allow.

A tag is ``O`` (outside), or a prefix and a label split at the first ``-``: ``B-EU-ORG`` is ``B`` and
``EU-ORG``. A prefix means the same in every scheme that has it:

====== ==================================== ==================
prefix a span                               schemes
====== ==================================== ==================
B      begins here                          all but IO
I      goes on, or begins (IOB1, IO)        all
E, L   ends here                            BIOES; BILOU
S, U   begins and ends here: one token      BIOES; BILOU
====== ==================================== ==================

IOB1 begins a span with I, and with B only where it touches a span of the same label before it.
IO cannot tell two such spans from one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from ..errors import LabelError

__all__ = ["SCHEMES", "Scheme", "get_scheme", "scheme_tags", "split_tag"]

_START, _END = "^", "$"  # the borders of a sentence, in the tables


def split_tag(tag: str) -> tuple[str, str]:
    """Split a tag into prefix and label, at the first ``-``; ``"O"`` is ``("O", "")``.

    Raises:
        LabelError: the tag is not ``O`` and lacks a prefix or a label (``"B"``, ``"B-"``, ``"-PER"``), or is
            ``O`` with a label.
    """
    if tag == "O":
        return "O", ""
    prefix, _, label = tag.partition("-")
    if not prefix or not label or prefix == "O":
        raise LabelError(f"tag {tag!r}: expected 'O' or PREFIX-LABEL, such as 'B-PER'")
    return prefix, label


@dataclass(frozen=True, eq=False)
class Scheme:
    """A tagging scheme: which tag may follow which.

    The schemes are the five of ``SCHEMES``; each is one object, also after copying and unpickling.

    Attributes:
        name: ``"BIO"``, ``"IOB1"``, ``"BIOES"``, ``"BILOU"`` or ``"IO"``.
        prefixes: its prefixes, without ``O``.
        moves: the allowed moves ``(prefix, next prefix)``, where ``"^"`` is the start of the sentence and
            ``"$"`` its end; the value is True where the move is allowed only between tags of one label.
    """

    name: str
    prefixes: tuple[str, ...]
    moves: Mapping[tuple[str, str], bool]

    def __repr__(self) -> str:
        return f"<Scheme {self.name}>"

    def __reduce__(self) -> tuple[object, ...]:
        return get_scheme, (self.name,)

    def split(self, tag: str) -> tuple[str, str]:
        """Split a tag as ``split_tag`` does, and check that the scheme has its prefix.

        Raises:
            LabelError: the text is no tag, or its prefix is not of this scheme.
        """
        prefix, label = split_tag(tag)
        if prefix != "O" and prefix not in self.prefixes:
            raise LabelError(
                f"tag {tag!r}: expected 'O' or one of the prefixes {', '.join(self.prefixes)} of {self.name}"
            )
        return prefix, label

    def allows(self, previous: str | None, next: str | None) -> bool:
        """Tell whether tag ``next`` may follow tag ``previous``; None is the border of the sentence.

        Raises:
            LabelError: a tag is not of this scheme.
        """
        return _allows(self, previous, next)


# Corpora are read and scored token by token, yet hold few distinct moves: a cache makes each a lookup.
@lru_cache(maxsize=1 << 16)
def _allows(scheme: Scheme, previous: str | None, following: str | None) -> bool:
    before, label = (_START, "") if previous is None else scheme.split(previous)
    after, next_label = (_END, "") if following is None else scheme.split(following)
    same_label_only = scheme.moves.get((before, after))
    return same_label_only is not None and (not same_label_only or label == next_label)


def _scheme(name: str, prefixes: str, rows: dict[str, str]) -> Scheme:
    """Build a scheme from rows ``"what comes before": "what may follow"``; ``=`` asks for the same label."""
    moves = {
        (before, after[0]): after.endswith("=")
        for befores, afters in rows.items()
        for before in befores.split()
        for after in afters.split()
    }
    return Scheme(name, tuple(prefixes), MappingProxyType(moves))


SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {
        scheme.name: scheme
        for scheme in (
            _scheme("BIO", "BI", {"^ O": "O B $", "B I": "O B I= $"}),
            _scheme("IOB1", "BI", {"^ O": "O I $", "B I": "O B= I $"}),
            _scheme("BIOES", "BIES", {"^ O E S": "O B S $", "B I": "I= E="}),
            _scheme("BILOU", "BILU", {"^ O L U": "O B U $", "B I": "I= L="}),
            _scheme("IO", "I", {"^ O I": "O I $"}),
        )
    }
)
"""The schemes by name. Their order breaks ties in ``detect_scheme``.

Sources: IOB1, Ramshaw and Marcus (1995); BIO (IOB2), Tjong Kim Sang and Veenstra (1999); BILOU, Ratinov and
Roth (2009); BIOES is BILOU in other letters.
"""

_ALIASES = {"IOB": "IOB1", "IOB2": "BIO", "IOBES": "BIOES", "BIOUL": "BILOU"}


def get_scheme(scheme: str | Scheme) -> Scheme:
    """Return the scheme of this name; a ``Scheme`` is returned as it is.

    Case does not matter. Other names: IOB2 (BIO), IOB (IOB1), IOBES (BIOES), BIOUL (BILOU).

    Raises:
        LabelError: no scheme has this name.
    """
    if isinstance(scheme, Scheme):
        return scheme
    name = scheme.upper()
    try:
        return SCHEMES[_ALIASES.get(name, name)]
    except KeyError:
        names = ", ".join((*SCHEMES, *_ALIASES))
        raise LabelError(f"scheme: expected one of {names}, got {scheme!r}") from None


def scheme_tags(labels: Sequence[str], scheme: str | Scheme) -> list[str]:
    """List the tags of a scheme: ``O``, then every prefix of the first label, of the second, and so on.

    Raises:
        LabelError: a label is empty or there twice, or ``labels`` is one string.
    """
    if isinstance(labels, str):
        raise LabelError(f"labels: expected a sequence of labels, got the string {labels!r}")
    if "" in labels or len(set(labels)) < len(labels):
        raise LabelError(f"labels: expected distinct labels, none of them empty, got {list(labels)}")
    prefixes = get_scheme(scheme).prefixes
    return ["O", *(f"{prefix}-{label}" for label in labels for prefix in prefixes)]
