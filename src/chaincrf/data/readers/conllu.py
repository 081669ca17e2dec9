"""CoNLL-U: ten columns, with lines for multi-word tokens and empty nodes between those of the words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conllu.exceptions import ParseException
from conllu.parser import parse_id_value, parse_token_and_metadata

from ..sentence import Sentence
from .lines import Line, Lines, blocks
from .options import Options

__all__ = ["ConlluReader", "is_conllu"]

_FIELDS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_READ = _FIELDS[:5]
_PARSERS = {field: lambda fields, i: fields[i] for field in _READ} | {
    "id": lambda fields, i: parse_id_value(fields[i])
}
_NEW_DOCUMENT = re.compile(r"#\s*newdoc\b")
_ID = re.compile(r"\d+([-.]\d+)?")


def is_conllu(texts: Sequence[str]) -> bool:
    """Tell CoNLL-U by its first lines: ten columns separated by tabs, the first a word's number."""
    rows = [text.split("\t") for text in texts if text.strip() and not text.startswith("#")]
    good = sum(len(row) == len(_FIELDS) and _ID.fullmatch(row[0]) is not None for row in rows)
    return bool(rows) and good >= 0.9 * len(rows)


class ConlluReader:
    """Reads blocks of lines in CoNLL-U.

    The tokens are the syntactic words, which carry the tags: of a multi-word token (``1-2``) its parts, and
    of an empty node (``1.1``) nothing.

    Attributes:
        guessed: nothing; the columns are fixed.
    """

    guessed: tuple[str, ...] = ()

    def __init__(self, options: Options) -> None:
        self._options = options
        self._documents = 0
        if options.tagged and options.task == "ner":
            raise options.error(
                "expected NER tags; CoNLL-U holds parts of speech. Say task='pos', or format='conll' and "
                "tag_column if one of its columns holds NER tags"
            )

    def blocks(self, lines: Lines) -> Iterator[list[Line]]:
        """Group the lines of each sentence."""
        return blocks(lines, lambda text: not text.strip(), lines.path)

    def parse(self, block: Sequence[Line]) -> Sentence | None:
        """Read one sentence; None if the block holds only comments.

        Raises:
            DataError: naming line and column of the first defect.
        """
        options = self._options
        rows = [line for line in block if not line.text.startswith("#")]
        self._documents += any(_NEW_DOCUMENT.match(line.text) for line in block)
        document = str(self._documents) if self._documents else None
        for line in rows:
            self._check_fields(line)
        parsed, name = self._parse(block)
        words = [
            (word, line.number)
            for word, line in zip(parsed, rows, strict=True)
            if isinstance(word["id"], int)
        ]
        if not words:
            return None
        tokens = tuple(options.check_token(word["form"].strip(" "), number, 2) for word, number in words)
        if not options.tagged:
            return Sentence(tokens, id=name, document=document)
        tags = tuple(self._tag(word[options.tagset], number) for word, number in words)
        return Sentence(tokens, tags, id=name, document=document)

    def _tag(self, tag: str, number: int) -> str:
        tagset = self._options.tagset
        column = _FIELDS.index(tagset) + 1
        if tag == "_":
            raise self._options.error(f"expected a tag ({tagset.upper()}), found '_'", number, column)
        return self._options.check_tag(tag, number, column)

    def _check_fields(self, line: Line) -> None:
        fields = line.text.split("\t")
        if len(fields) != len(_FIELDS):
            problem = f"expected 10 columns separated by tabs, found {len(fields)}: {line.text[:80]!r}"
            raise self._options.error(problem, line.number, min(len(fields), 10) + 1)
        if not _ID.fullmatch(fields[0]):
            raise self._options.error(f"expected a word's number, found {fields[0][:80]!r}", line.number, 1)
        for column, field in enumerate(fields, start=1):
            if not field.strip():
                problem = f"expected {_FIELDS[column - 1].upper()} (_ for none), found an empty field"
                raise self._options.error(problem, line.number, column)

    def _parse(self, block: Sequence[Line]) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        # The library takes two blanks for a separator, and so would shift the columns after them.
        texts = [re.sub(" {2,}", " ", line.text) for line in block]
        try:
            parsed = parse_token_and_metadata("\n".join(texts), _READ, _PARSERS)
            return parsed, parsed.metadata.get("sent_id")
        except (ParseException, ValueError) as error:
            for line, text in zip(block, texts, strict=True):  # the library does not say which line
                try:
                    parse_token_and_metadata(text, _READ, _PARSERS)
                except (ParseException, ValueError) as reason:
                    problem = f"expected a line of CoNLL-U, found {line.text[:80]!r}: {reason}"
                    raise self._options.error(problem, line.number, 1) from None
            raise self._options.error(f"expected CoNLL-U: {error}", block[0].number) from None
