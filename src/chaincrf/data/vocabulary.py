"""Words, characters and tags as integers, and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ..errors import DataError, ModelError
from .sentence import Sentence

__all__ = ["PADDING", "UNKNOWN", "Vocabulary", "normalise_word", "word_forms"]

PADDING = 0
UNKNOWN = 1
_RESERVED = ("<padding>", "<unknown>")
_DIGITS = str.maketrans("123456789", "000000000")


def normalise_word(word: str) -> str:
    """The form under which words are counted: lower case, every ASCII digit a ``0``.

    The character encoder sees the original form, so casing and numbers are not lost to the tagger.
    """
    return word.lower().translate(_DIGITS)


def word_forms(word: str) -> tuple[str, str, str]:
    """The forms under which a word is looked up, one after the other: exact, lower case, normalised."""
    lower = word.lower()
    return word, lower, lower.translate(_DIGITS)


@dataclass(frozen=True)
class Vocabulary:
    """The finite sets a tagger knows; index 0 pads, index 1 is the unknown word or character.

    Words are ordered so that those of the training data come first (``num_trained`` with the two reserved
    ones), and words known from pretrained vectors alone follow: their vectors stay as they are. A training
    word is counted as the form of it that the pretrained table has, else normalised, so that the row which
    tagging looks up is the one that was trained.

    Attributes:
        words: normalised words (see :func:`normalise_word`) or exact forms of a pretrained table.
        chars: single characters.
        tags: tag strings, in the order of the model's scores.
        num_trained: how many of ``words`` have a vector that training changes.
    """

    words: tuple[str, ...]
    chars: tuple[str, ...]
    tags: tuple[str, ...]
    num_trained: int
    _word_index: Mapping[str, int] = field(init=False, repr=False, compare=False)
    _char_index: Mapping[str, int] = field(init=False, repr=False, compare=False)
    _tag_index: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # The reserved entries have no spelling: a token that looks like one is a word like any other.
        for name, first in (("words", len(_RESERVED)), ("chars", len(_RESERVED)), ("tags", 0)):
            items: tuple[str, ...] = getattr(self, name)[first:]
            index = {item: i for i, item in enumerate(items, start=first)}
            if len(index) != len(items):
                raise ModelError(f"{name}: expected distinct ones, {len(items) - len(index)} repeat")
            object.__setattr__(self, f"_{name.removesuffix('s')}_index", index)
        if not 2 <= self.num_trained <= len(self.words):
            raise ModelError(f"num_trained: expected 2 to {len(self.words)}, got {self.num_trained}")

    @classmethod
    def build(
        cls,
        sentences: Iterable[Sentence],
        tags: Sequence[str],
        *,
        min_count: int = 1,
        pretrained: Iterable[str] = (),
        max_pretrained: int | None = None,
        freeze: bool = False,
    ) -> Vocabulary:
        """Count the words and characters of the training sentences.

        Args:
            sentences: the training data.
            tags: the tag set, in the order of the model's scores.
            min_count: words seen less often, and not in ``pretrained``, are unknown words.
            pretrained: words of a table of pretrained vectors.
            max_pretrained: keep so many of them that training does not see, the first ones; all by default.
            freeze: the pretrained words of the training data have vectors that training does not change.
        """
        tokens = Counter(token for sentence in sentences for token in sentence.tokens)
        return cls.from_counts(
            tokens,
            set().union(*tokens),
            tags,
            min_count=min_count,
            pretrained=pretrained,
            max_pretrained=max_pretrained,
            freeze=freeze,
        )

    @classmethod
    def from_counts(
        cls,
        tokens: Mapping[str, int],
        chars: Iterable[str],
        tags: Sequence[str],
        *,
        min_count: int = 1,
        pretrained: Iterable[str] = (),
        max_pretrained: int | None = None,
        freeze: bool = False,
    ) -> Vocabulary:
        """The vocabulary of training data whose tokens were counted before.

        Args:
            tokens: how often each occurs, in the order of the first occurrence.
            chars: their characters.
            tags, min_count, pretrained, max_pretrained, freeze: as of :meth:`build`.
        """
        known = dict.fromkeys(pretrained)
        words: Counter[str] = Counter()
        for token, count in tokens.items():
            forms = word_forms(token)
            words[next((form for form in forms if form in known), forms[-1])] += count
        trained = [word for word, count in words.most_common() if count >= min_count or word in known]
        seen = set(trained)
        rest = islice((word for word in known if word not in seen), max_pretrained)
        frozen = [word for word in trained if word in known] if freeze else []
        if freeze:
            trained = [word for word in trained if word not in known]
        return cls(
            words=(*_RESERVED, *trained, *frozen, *rest),
            chars=(*_RESERVED, *sorted(chars)),
            tags=tuple(tags),
            num_trained=len(_RESERVED) + len(trained),
        )

    def word(self, token: str) -> int:
        """Index of a word: its exact form, else lower case, else digits normalised, else unknown."""
        find = self._word_index.get
        if (found := find(token)) is not None or (found := find(lower := token.lower())) is not None:
            return found
        return find(lower.translate(_DIGITS), UNKNOWN)

    def char(self, char: str) -> int:
        """Index of a character, or unknown."""
        return self._char_index.get(char, UNKNOWN)

    def spell(self, text: str) -> list[int]:
        """Indices of the characters of a text."""
        find = self._char_index.get
        return [find(char, UNKNOWN) for char in text]

    def tag(self, tag: str) -> int:
        """Index of a tag.

        Raises:
            DataError: if the tag is not in the tag set.
        """
        try:
            return self._tag_index[tag]
        except KeyError:
            raise DataError(f"tag {tag!r} is not one of the model's tags: {', '.join(self.tags)}") from None

    def to_json(self) -> dict[str, Any]:
        """The content of ``vocabulary.json``."""
        return {
            "words": self.words[len(_RESERVED) :],
            "chars": self.chars[len(_RESERVED) :],
            "tags": self.tags,
            "num_trained": self.num_trained,
        }

    @classmethod
    def from_json(cls, content: Any) -> Vocabulary:
        """Read :meth:`to_json` back, checking every part.

        Raises:
            ModelError: if a part is missing or of another type.
        """
        if not isinstance(content, dict):
            raise ModelError(f"expected a JSON object, got {type(content).__name__}")
        lists = {}
        for name in ("words", "chars", "tags"):
            items = content.get(name)
            if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
                raise ModelError(f"{name}: expected a list of strings")
            lists[name] = items
        num_trained = content.get("num_trained")
        if type(num_trained) is not int:
            raise ModelError(f"num_trained: expected an integer, got {num_trained!r}")
        return cls(
            words=(*_RESERVED, *lists["words"]),
            chars=(*_RESERVED, *lists["chars"]),
            tags=tuple(lists["tags"]),
            num_trained=num_trained,
        )
