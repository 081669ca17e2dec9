"""What a word looks like: its casing, digits and marks, as one of a few classes."""

from __future__ import annotations

__all__ = ["SHAPES", "word_shape"]

SHAPES = ("lower", "upper", "title", "mixed", "digits", "alphanumeric", "marks")
"""The classes, in the order of their numbers; a model knows them by these."""


def word_shape(word: str) -> int:
    """The number of a word's class in :data:`SHAPES`.

    ``lower``: no capital among its letters; ``title``: one capital, the first letter (so ``A`` too);
    ``upper``: capitals alone; ``mixed``: other letters; with a digit ``alphanumeric``, without a letter
    ``digits``; ``marks``: neither letter nor digit. Marks between letters do not count.

    Source: the casing features of Collobert et al. (2011) and Huang, Xu & Yu (2015).
    """
    if word.isascii() and word.isalpha():  # most words: the same, by fewer steps
        if word.islower():
            return SHAPES.index("lower")
        if word[:1].isupper() and (len(word) == 1 or word[1:].islower()):
            return SHAPES.index("title")
        return SHAPES.index("upper" if word.isupper() else "mixed")
    letters = [char for char in word if char.isalpha()]
    if any(char.isdigit() for char in word):
        return SHAPES.index("alphanumeric" if letters else "digits")
    if not letters:
        return SHAPES.index("marks")
    capitals = [char.isupper() or char.istitle() for char in letters]
    if not any(capitals):
        return SHAPES.index("lower")
    if capitals[0] and not any(capitals[1:]):
        return SHAPES.index("title")
    return SHAPES.index("upper" if all(capitals) else "mixed")
