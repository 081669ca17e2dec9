"""What a reader was told, and the checks that all readers share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError, LabelError
from ...labels.partial import UNKNOWN_TAG
from ...labels.scheme import SCHEMES, Scheme, split_tag
from .lines import MAX_TOKEN

__all__ = ["Options"]

_PREFIXES = tuple(sorted({prefix for scheme in SCHEMES.values() for prefix in scheme.prefixes}))


@dataclass(frozen=True)
class Options:
    """What the caller of `read_corpus` said; None where it is to be guessed.

    Attributes:
        path: the file, for messages.
        task: "ner" or "pos".
        tagged: whether tags are wanted; without, only the tokens are read.
        scheme: the scheme of NER tags.
        token_column: column of the token, counted from 1, or from the end with -1.
        tag_column: column of the tag, likewise.
        tagset: "upos" or "xpos", for CoNLL-U.
        repair: how ill-formed gold tags are read.
        partial: ``?`` is a tag that is not known.
    """

    path: Path
    task: str
    tagged: bool
    scheme: Scheme | None
    token_column: int | None
    tag_column: int | None
    tagset: str
    repair: str
    partial: bool = False

    def error(self, problem: str, line: int | None = None, column: int | None = None) -> DataError:
        """Make an error with a place in this file."""
        return DataError(problem, path=self.path, line=line, column=column)

    def check_token(self, token: str, line: int, column: int | None = None) -> str:
        """Return the token.

        Raises:
            DataError: if it is empty or too long.
        """
        if not token.strip():
            found = f"{token!r}, which is only white space" if token else "an empty field"
            raise self.error(f"expected a token, found {found}", line, column)
        if len(token) > MAX_TOKEN:
            problem = f"expected tokens of at most {MAX_TOKEN:,} characters, found one of {len(token):,}"
            raise self.error(problem, line, column)
        return token

    def check_tag(self, tag: str, line: int, column: int | None = None) -> str:
        """Return the tag.

        Raises:
            DataError: if it is empty, or is no tag of the scheme (of any scheme, where it is to be guessed).
        """
        if not tag or tag.isspace():
            raise self.error("expected a tag, found an empty field", line, column)
        if self.task == "pos" or (self.partial and tag == UNKNOWN_TAG):
            return tag
        prefixes = self.scheme.prefixes if self.scheme else _PREFIXES
        try:
            known = split_tag(tag)[0] in ("O", *prefixes)
        except LabelError:
            known = False
        if not known:
            scheme = f" of {self.scheme.name}" if self.scheme else ""
            wanted = f"O, or one of {', '.join(prefixes)} with a label as in {prefixes[0]}-PER"
            hint = ", which partial labels alone may hold" if tag == UNKNOWN_TAG else ""
            raise self.error(f"expected a tag{scheme} ({wanted}), found {tag!r}{hint}", line, column)
        return tag
