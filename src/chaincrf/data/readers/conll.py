"""CoNLL columns: a token a line, its tag in one of the columns, a blank line between sentences."""

from __future__ import annotations

import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ...labels.partial import UNKNOWN_TAG
from ..sentence import Sentence
from .lines import Line, Lines, blocks
from .options import Options

__all__ = ["Columns", "ConllReader", "guess_columns"]

_BLANKS = re.compile("[ \t]+")  # not str.split(): a no-break space is part of its token
_COMMENT = re.compile(r"#( |$|[\w.:]+\s*=|(begin|end) document)")
_SENT_ID = re.compile(r"#\s*sent_id\s*=\s*(.+)")
_NER_TAG = re.compile(r"O|[BIESLU]-.+")
_DOCUMENT = "-DOCSTART-"
_MOST = 0.9  # files have defects: a column is what nine lines in ten say


class Columns(NamedTuple):
    """Where the fields of a line are.

    Attributes:
        tabs: a tab separates fields, which may then hold spaces or be empty; else any blanks do.
        width: number of columns.
        indexed: the first column numbers the tokens.
        token: column of the token, counted from 0 (options and messages count from 1).
        tag: column of the tag; None for untagged data.
        partial: ``?`` is a tag that is not known.
    """

    tabs: bool
    width: int
    indexed: bool = False
    token: int = 0
    tag: int | None = None
    partial: bool = False

    def split(self, text: str) -> list[str]:
        """Cut a line into fields; tabs after the last field do not count."""
        if not self.tabs:
            return _BLANKS.split(text.strip(" \t"))
        fields = [field.strip(" ") for field in text.split("\t")]
        while len(fields) > self.width and not fields[-1]:
            fields.pop()
        return fields

    def is_comment(self, text: str, *, ner: bool) -> bool:
        """Tell a comment from a token that begins with ``#``."""
        if not text.startswith("#"):
            return False
        fields = self.split(text)
        if not self.indexed and len(fields) == self.width:
            # "# O" is a token; "# text = ..." is one only if its last word happens to be a tag.
            partial = self.partial and (self.tabs or self.width == 2)  # "# Who knows ?" is a comment
            return ner and self.tag is not None and not _is_tag(fields[self.tag], partial=partial)
        return self.indexed or _COMMENT.match(text) is not None


def _is_tag(text: str, *, partial: bool) -> bool:
    return _NER_TAG.fullmatch(text) is not None or (partial and text == UNKNOWN_TAG)


def _is_border(text: str) -> bool:
    """Tell a line between sentences: blank, or the mark of a new document."""
    return not text.strip() or text.startswith(_DOCUMENT)


def guess_columns(head: Sequence[Line], options: Options) -> Columns:
    """Find separator, width and columns from the first lines of a file; what the options say is kept.

    A first column of numbers, beginning with 0 or 1, is an index. The token is in the first column, or after
    the index. The NER tag is in the last column of tags, or, in a file with an index, in the first one: what
    follows there are other layers or the annotators' names. The part of speech is next to the token.

    Raises:
        DataError: if a column that was asked for is not there, or no column holds tags.
    """
    texts = [line.text for line in head if line.problem is None and not _is_border(line.text)]
    # Comments would blur the picture. Where all lines begin with "#", those without "key = value" are tokens.
    texts = [t for t in texts if t[0] != "#"] or [t for t in texts if "=" not in t] or texts
    if not texts:
        raise next((line.problem for line in head if line.problem), None) or options.error(
            "expected sentences, found only blank lines"
        )
    tabs = 2 * sum("\t" in text for text in texts) >= len(texts)
    rows = [Columns(tabs, len(text)).split(text) for text in texts]
    width = Counter(map(len, rows)).most_common(1)[0][0]
    rows = [row for row in rows if len(row) == width]
    numbers = sum(row[0].isdecimal() for row in rows)
    indexed = width > 1 + options.tagged and numbers >= _MOST * len(rows) and rows[0][0] in ("0", "1")
    token = _column(options.token_column, "token_column", width, options)
    token = int(indexed) if token is None else token
    tag = _column(options.tag_column, "tag_column", width, options)
    if options.tagged and tag is None:
        tag = _guess_tag_column(rows, token, indexed, options)
    if tag == token:
        raise options.error(f"expected two columns for token and tag, got column {token + 1} for both")
    return Columns(tabs, width, indexed, token, tag if options.tagged else None, options.partial)


def _column(number: int | None, name: str, width: int, options: Options) -> int | None:
    if number is None:
        return None
    if not 1 <= abs(number) <= width:
        raise options.error(f"{name}: expected a column of the {width} that there are, got {number}")
    return number - 1 if number > 0 else width + number


def _guess_tag_column(rows: Sequence[Sequence[str]], token: int, indexed: bool, options: Options) -> int:
    columns = range(token + 1, len(rows[0]))
    if not columns:
        found = f"none: the file has no tags. Its first line is {' | '.join(rows[0])[:80]!r}"
        raise options.error(f"expected a column of tags after the token, found {found}")
    if options.task == "pos":
        return columns[0]
    shares = {i: sum(_is_tag(row[i], partial=options.partial) for row in rows) / len(rows) for i in columns}
    best = max(shares.values())
    if best < 0.5:
        raise options.error(
            f"expected a column of NER tags (O, B-PER, I-PER, ...), found none; the first line has "
            f"{' | '.join(rows[0])!r}. Say tag_column, or task='pos' for parts of speech"
        )
    found = [i for i, share in shares.items() if share >= _MOST * best]
    return found[0] if indexed else found[-1]


class ConllReader:
    """Reads blocks of lines in CoNLL columns.

    Attributes:
        guessed: what was guessed, as ``option=value``.
    """

    def __init__(self, head: Sequence[Line], options: Options) -> None:
        self._options = options
        self._columns = columns = guess_columns(head, options)
        self._documents: list[int] = []  # the lines that begin one
        self.guessed: tuple[str, ...] = ()
        if options.token_column is None:
            self.guessed += (f"token_column={columns.token + 1}",)
        if options.tag_column is None and columns.tag is not None:
            self.guessed += (f"tag_column={columns.tag + 1}",)

    def blocks(self, lines: Lines) -> Iterator[list[Line]]:
        """Group the lines of each sentence."""

        def watched() -> Iterator[Line]:
            for line in lines:
                if line.text.startswith(_DOCUMENT):
                    self._documents.append(line.number)
                yield line

        return blocks(watched(), _is_border, lines.path)

    def parse(self, block: Sequence[Line]) -> Sentence | None:
        """Read one sentence; None if the block holds only comments.

        Raises:
            DataError: naming line and column of the first defect.
        """
        columns, options = self._columns, self._options
        ner = options.task == "ner"
        tokens, tags, name = [], [], None
        for line in block:
            if columns.is_comment(line.text, ner=ner):
                match = _SENT_ID.match(line.text)
                name = match[1].strip() if match else name
                continue
            fields = columns.split(line.text)
            if len(fields) != columns.width:
                separator = "tabs" if columns.tabs else "blanks"
                raise options.error(
                    f"expected {columns.width} columns separated by {separator}, as in most lines, "
                    f"found {len(fields)}: {line.text[:80]!r}",
                    line.number,
                    min(len(fields), columns.width) + 1,
                )
            tokens.append(options.check_token(fields[columns.token], line.number, columns.token + 1))
            if columns.tag is not None:
                tags.append(options.check_tag(fields[columns.tag], line.number, columns.tag + 1))
        if not tokens:
            return None
        # known where the file marks them; the mark after a sentence may have been read already
        before = bisect(self._documents, block[0].number)
        document = str(before) if before else None
        return Sentence(tuple(tokens), tuple(tags) if options.tagged else None, id=name, document=document)
