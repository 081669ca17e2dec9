"""Raw text to sentences."""

from __future__ import annotations

import re
from itertools import pairwise

__all__ = ["split_sentences"]

# What may end a sentence, with the marks that close after it; or an empty line. Linear in the text: it is
# never begun in the midst of a run, and no two parts share a character. It begins with a set of characters,
# which is looked for fast.
_BORDER = re.compile(
    r"[.!?…。！？\n](?:(?<=[.!?…])(?<![.!?…]{2})[.!?…]*[\"'”’»)\]]*(?=\s)"
    r"|(?<=[。！？])(?<![。！？]{2})[。！？]*[”’»）」』]*"
    r"|(?<=\n)[^\S\n]*\n)"
)
_LAST_WORD = re.compile(r"[^\s\"'“‘«(\[]*\Z")  # before a full stop
_ABBREVIATIONS = re.compile(
    "al|approx|bros|ca|capt|cf|co|col|corp|dept|dr|eds?|eqs?|est|etc|ex|figs?|fr|gen|gov|hon|inc|jr|lt|ltd|maj"
    "|messrs|mme|mr|mrs|ms|mt|pp|prof|refs?|rep|rev|sen|ser|sgt|sr|st|vols?|vs",
    re.IGNORECASE,
)
_NUMBERED = re.compile("art|ch|nos?|nr|op|sec|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec", re.IGNORECASE)
_FAR = 40  # characters before a full stop in which its word is looked for
_FOLLOWING = re.compile(r"\s+[\"'“‘«(\[]*")


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Cut a text into sentences.

    A sentence ends at an empty line, at the marks ``. ! ? …`` with white space after them, or at their
    full-width forms. It does not end where the next letter is lower case; nor at a full stop after an
    initial (``J.``), a word with full stops inside (``U.S.``) or a usual abbreviation (``Dr.``, ``Fig.``): a
    sentence too long harms a tagger less than one cut in two. A single line break is white space.

    Args:
        text: any text.

    Returns:
        The sentences' places, in characters of the text, half-open, ascending, without the white space
        around them. Nothing but white space is left out.

    Cost: O(len(text)).
    """
    cuts = [0, *(match.end() for match in _BORDER.finditer(text) if _ends(text, match)), len(text)]
    places = []
    for start, end in pairwise(cuts):
        piece = text[start:end]
        if inside := piece.strip():
            first = start + len(piece) - len(piece.lstrip())
            places.append((first, first + len(inside)))
    return places


def _ends(text: str, match: re.Match[str]) -> bool:
    """Whether a sentence ends at a mark."""
    mark = match[0]
    if mark[0] == "\n" or mark[0] in "。！？":
        return True
    opening = _FOLLOWING.match(text, match.end())
    following = text[opening.end() : opening.end() + 1] if opening else ""
    if following.islower():
        return False
    if mark[0] != "." or mark[:2] == "..":
        return True
    before = _LAST_WORD.search(text[max(0, match.start() - _FAR) : match.start()])
    word = before[0] if before else ""
    initial = len(word) == 1 and word.isalpha() and word != "I"
    numbered = following.isdigit() and _NUMBERED.fullmatch(word)
    return not (initial or "." in word or numbered or _ABBREVIATIONS.fullmatch(word))
