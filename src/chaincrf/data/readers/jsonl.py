"""JSON lines: one object a sentence, either raw text with spans by offset, or tokens with tags."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from ...errors import LabelError
from ...labels.partial import UNKNOWN_TAG
from ...labels.scheme import get_scheme
from ...labels.spans import Span, spans_to_tags
from ..sentence import Sentence
from ..tokenizer import sentence_from_text
from .lines import Line, Lines
from .options import Options

__all__ = ["JsonlReader", "is_jsonl"]

_SPANS = ("entities", "spans", "labels", "label")
_TAGS = {"ner": ("tags", "ner_tags", "labels"), "pos": ("tags", "pos_tags", "upos", "labels")}
_SUFFIXES = (".json", ".jsonl", ".ndjson")


def is_jsonl(name: str, texts: Sequence[str]) -> bool:
    """Tell JSON lines by the file's name or by its first line."""
    first = next((text.strip() for text in texts if text.strip()), "")
    return name.removesuffix(".gz").endswith(_SUFFIXES) or (first.startswith("{") and first.endswith("}"))


class JsonlReader:
    """Reads JSON objects, one a line.

    ``{"text": ..., "entities": [...]}`` (or ``spans``, ``labels``, ``label``) is cut into tokens by
    `tokenize`; a span is ``[start, end, label]``, or an object with ``start`` and ``end`` (or
    ``start_offset`` and ``end_offset``) and ``label``; in characters, half-open; white space at either end is
    left out. ``{"tokens": [...], "tags": [...]}`` (or ``ner_tags``, ``pos_tags``, ``upos``, ``labels``) is
    taken as it is. In partial labels a token outside of all spans is not known, and a span with the label
    ``O`` says that its tokens are in none.

    Attributes:
        guessed: nothing; the keys say what they hold.
    """

    guessed: tuple[str, ...] = ()

    def __init__(self, options: Options) -> None:
        self._options = options
        self._scheme = options.scheme or get_scheme("BIO")

    def blocks(self, lines: Lines) -> Iterator[list[Line]]:
        """Take each line that is not blank for itself."""
        return ([line] for line in lines if line.problem or line.text.strip())

    def parse(self, block: Sequence[Line]) -> Sentence:
        """Read one object.

        Raises:
            DataError: naming the line, and the key, span or token of the first defect.
        """
        (line,) = block
        record = self._load(line)
        tokens, text = record.get("tokens"), record.get("text")
        # Annotation tools write tokens, often as objects, beside the text: those without tags are cut again.
        with_tags = not self._options.tagged or any(key in record for key in _TAGS[self._options.task])
        own = isinstance(tokens, list) and with_tags and not any(isinstance(token, dict) for token in tokens)
        if isinstance(text, str) and not own:
            return self._from_text(record, text, line.number)
        if isinstance(tokens, list):
            return self._from_tokens(record, tokens, line.number)
        problem = f"expected 'text' with a string or 'tokens' with a list, found {_keys(record)}"
        raise self._options.error(problem, line.number)

    def _load(self, line: Line) -> dict[str, Any]:
        try:
            record = json.loads(line.text)
            if "\\u" in line.text:
                json.dumps(record, ensure_ascii=False).encode()  # half a surrogate pair is no character
        except json.JSONDecodeError as error:
            problem = f"expected one JSON object a line, found at character {error.colno}: {error.msg}"
            raise self._options.error(problem, line.number, error.colno) from None
        except (ValueError, RecursionError) as error:
            raise self._options.error(f"expected one JSON object a line: {error}", line.number) from None
        if not isinstance(record, dict):
            problem = f"expected one JSON object a line, found {_short(record)}"
            raise self._options.error(problem, line.number)
        return record

    def _from_tokens(self, record: dict[str, Any], tokens: list[Any], number: int) -> Sentence:
        options = self._options
        for token in tokens:
            if not isinstance(token, str):
                raise options.error(f"tokens: expected strings, found {_short(token)}", number)
            options.check_token(token, number)
        if not options.tagged:
            return Sentence(tuple(tokens), id=_id(record))
        key, tags = self._get(record, _TAGS[options.task], number)
        for tag in tags:
            if not isinstance(tag, str):
                hint = "; numbers need the names they stand for" if isinstance(tag, int) else ""
                raise options.error(f"{key}: expected strings, found {_short(tag)}{hint}", number)
            options.check_tag(tag, number)
        if len(tags) != len(tokens):
            raise options.error(
                f"{key}: expected one for each of {len(tokens)} tokens, found {len(tags)}", number
            )
        return Sentence(tuple(tokens), tuple(tags), id=_id(record))

    def _from_text(self, record: dict[str, Any], text: str, number: int) -> Sentence:
        options = self._options
        sentence = sentence_from_text(text)
        for token in sentence.tokens:
            options.check_token(token, number)
        if not options.tagged:
            tags = None
        elif options.task == "pos":
            raise options.error(
                f"expected 'tokens' and 'tags' for parts of speech, found {_keys(record)}", number
            )
        else:
            key, spans = self._get(record, _SPANS, number)
            tags = self._tags(sentence, text, [self._span(span, text, key, number) for span in spans], number)
        return Sentence(sentence.tokens, tags, text, sentence.offsets, _id(record))

    def _get(self, record: dict[str, Any], keys: Sequence[str], number: int) -> tuple[str, list[Any]]:
        key = next((key for key in keys if key in record), None)
        if key is None:
            raise self._options.error(
                f"expected one of the keys {', '.join(keys)}, found {_keys(record)}", number
            )
        if not isinstance(record[key], list):
            raise self._options.error(f"{key}: expected a list, found {_short(record[key])}", number)
        return key, record[key]

    def _span(self, span: Any, text: str, key: str, number: int) -> Span:
        match span:
            case {"start": start, "end": end, "label": label}:
                pass
            case {"start_offset": start, "end_offset": end, "label": label}:
                pass
            case [start, end, label]:
                pass
            case _:
                start = end = label = None
        # type, not isinstance: True is an int to Python, and no place in a text.
        if type(start) is not int or type(end) is not int or not isinstance(label, str) or not label:
            problem = f"{key}: expected [start, end, label] or an object with these, found {_short(span)}"
            raise self._options.error(problem, number)
        if label == "O" and not self._options.partial:
            problem = f"{key}: expected a label, found 'O', which partial labels alone may hold"
            raise self._options.error(problem, number)
        if not 0 <= start < end <= len(text) or not (inside := text[start:end]).strip():
            problem = f"{key}: expected a span of a text of {len(text)} characters, found {_short(span)}"
            raise self._options.error(problem, number)
        start += len(inside) - len(inside.lstrip())
        return Span(start, start + len(inside.strip()), label)

    def _tags(self, sentence: Sentence, text: str, spans: list[Span], number: int) -> tuple[str, ...]:
        """Find the tokens of each span of characters."""
        offsets = sentence.offsets or ()
        starts = {start: i for i, (start, _) in enumerate(offsets)}
        ends = {end: i + 1 for i, (_, end) in enumerate(offsets)}
        for before, after in pairwise(sorted(spans)):
            if after.start < before.end:
                both = f"{_quote(before, text)} and {_quote(after, text)}"
                raise self._options.error(f"expected spans that do not overlap, found {both}", number)
        for span in spans:
            if span.start not in starts or span.end not in ends:
                around = [text[a:b] for a, b in offsets if a < span.end and span.start < b]
                problem = (
                    f"expected spans of whole tokens, found {_quote(span, text)} in the tokens {around[:8]}"
                )
                raise self._options.error(problem, number)
        inside = [Span(starts[start], ends[end], label) for start, end, label in spans]
        partial = self._options.partial
        marked = [span for span in inside if not (partial and span.label == "O")]
        try:
            tags = spans_to_tags(marked, len(offsets), self._scheme)
        except LabelError as error:
            raise self._options.error(str(error), number) from None
        if partial:
            known = {i for span in inside for i in range(span.start, span.end)}
            tags = [tag if i in known else UNKNOWN_TAG for i, tag in enumerate(tags)]
        return tuple(tags)


def _quote(span: Span, text: str) -> str:
    return f"({span.start}, {span.end}, {span.label!r}) {text[span.start : span.end]!r}"


def _short(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)[:80]
    except RecursionError:  # it could be read, but at less depth than here
        return f"a {type(value).__name__}"


def _keys(record: dict[str, Any]) -> str:
    return f"the keys {', '.join(map(repr, record))}"[:200] if record else "no keys"


def _id(record: dict[str, Any]) -> str | None:
    name = record.get("id")
    return str(name) if isinstance(name, (str, int)) else None
