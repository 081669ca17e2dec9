"""Label Studio, doccano and Prodigy: their exports as corpora, and predictions for their annotators.

All three say where a span is in characters. A model reads tokens; so the spans whose borders are no borders
of tokens are reported, and either widened or left out with their sentence.
"""

from __future__ import annotations

import json
import tempfile
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..data import Corpus, Sentence, make_corpus, tokenize
from ..data.splitter import split_sentences
from ..errors import ArgumentError, DataError
from ..labels import Span, spans_to_tags
from ..tagging import Tagged, Tagger

__all__ = ["Annotated", "Misfit", "Tool", "preannotate", "read_annotations", "write_annotations"]

Tool = Literal["label-studio", "doccano", "prodigy"]
_TOOLS = ("label-studio", "doccano", "prodigy")


class Misfit(NamedTuple):
    """A span that no token border fits, or that overlaps another.

    Attributes:
        task: the annotation task, counted from 1.
        start, end, label: the span, in characters of the task's text.
        text: what it says.
        tokens: the tokens that it touches.
        reason: ``"borders"`` or ``"overlap"``.
    """

    task: int
    start: int
    end: int
    label: str
    text: str
    tokens: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        """Say it in a line."""
        place = f"task {self.task}: {self.label} {self.text!r} ({self.start}, {self.end})"
        return f"{place}: {self.reason}, tokens {self.tokens}"


@dataclass(frozen=True)
class Annotated:
    """What an export holds.

    Attributes:
        corpus: its sentences with their tags, in BIO.
        misfits: the spans that did not fit.
        skipped: tasks that were rejected, cancelled or not annotated.
    """

    corpus: Corpus
    misfits: tuple[Misfit, ...]
    skipped: int


class _Task(NamedTuple):
    text: str
    spans: list[tuple[int, int, str]] | None  # None: not annotated


def read_annotations(
    path: str | Path, tool: Tool | None = None, *, misfits: Literal["skip", "widen"] = "skip"
) -> Annotated:
    """Read the export of an annotation tool.

    Texts are cut into sentences and tokens; a span keeps its sentence whole.

    Args:
        path: JSON of Label Studio (full or "min"), JSON lines of doccano or Prodigy.
        tool: which; None: found out from the keys.
        misfits: what becomes of a span that no token border fits: ``"skip"`` leaves its sentence out,
            ``"widen"`` grows it to the tokens that it touches. Of two that overlap, ``"widen"`` keeps the
            first.

    Raises:
        DataError: the file cannot be read, or a task is malformed; names file and task.
        ArgumentError: no such tool or policy.
    """
    if misfits not in ("skip", "widen"):
        raise ArgumentError(f"misfits: expected skip or widen, got {misfits!r}")
    path = Path(path)
    records = _records(path)
    tool = tool or _guess(records, path)
    if tool not in _TOOLS:
        raise ArgumentError(f"tool: expected one of {', '.join(_TOOLS)}, got {tool!r}")
    sentences: list[Sentence] = []
    found: list[Misfit] = []
    skipped = 0
    for number, record in enumerate(records, start=1):
        try:
            task = _READERS[tool](record)
            if task.spans is None:
                skipped += 1
                continue
            own, wrong = _sentences(task, number, misfits)
        except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
            kind = f"no {error}" if isinstance(error, KeyError) else str(error)
            problem = f"expected a task of {tool}, found one with {kind}"
            raise DataError(problem, path=path, line=number) from None
        sentences += own
        found += wrong
    return Annotated(make_corpus(sentences, source=path, format=tool, scheme="BIO"), tuple(found), skipped)


def preannotate(tagged: Tagged, tool: Tool) -> dict[str, Any]:
    """A task for annotators with the model's spans and their probabilities, as the tool imports it.

    Args:
        tagged: what the tagger answered, with probabilities.
        tool: for which; for Label Studio the names of the labelling interface are ``label`` and ``text``.

    Raises:
        ArgumentError: no such tool.
    """
    score = min((span.probability or 0.0 for span in tagged.spans), default=1.0)
    if tool == "label-studio":
        result = [
            {
                "id": f"s{number}",
                "from_name": "label",
                "to_name": "text",
                "type": "labels",
                "value": {"start": span.start, "end": span.end, "text": span.text, "labels": [span.label]},
                "score": span.probability,
            }
            for number, span in enumerate(tagged.spans)
        ]
        prediction = {"model_version": "chaincrf", "score": score, "result": result}
        return {"data": {"text": tagged.text}, "predictions": [prediction]}
    if tool == "doccano":
        label = [[span.start, span.end, span.label] for span in tagged.spans]
        return {"text": tagged.text, "label": label, "probability": [s.probability for s in tagged.spans]}
    if tool == "prodigy":
        tokens = [
            {"text": token, "start": start, "end": end, "id": number}
            for number, (token, (start, end)) in enumerate(zip(tagged.tokens, tagged.offsets, strict=True))
        ]
        spans = [
            {
                "start": span.start,
                "end": span.end,
                "label": span.label,
                "token_start": span.token_start,
                "token_end": span.token_end - 1,  # theirs is the last token
                "score": span.probability,
            }
            for span in tagged.spans
        ]
        return {"text": tagged.text, "tokens": tokens, "spans": spans, "meta": {"score": score}}
    raise ArgumentError(f"tool: expected one of {', '.join(_TOOLS)}, got {tool!r}")


def write_annotations(tagger: Tagger, texts: Iterable[str], path: str | Path, tool: Tool) -> int:
    """Tag texts and write them as tasks to be corrected, whole or not at all.

    Args:
        tagger: the model.
        texts: raw texts.
        path: the file: JSON for Label Studio, JSON lines for the others.
        tool: for which.

    Returns:
        The number of tasks.

    Raises:
        ArgumentError: no such tool.
    """
    path, number = Path(path), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        new = Path(folder) / path.name
        with new.open("w", encoding="utf-8") as file:
            for tagged in tagger.tag_all(texts):
                opening = "" if tool != "label-studio" else ",\n" if number else "[\n"
                file.write(opening + json.dumps(preannotate(tagged, tool), ensure_ascii=False))
                file.write("" if tool == "label-studio" else "\n")
                number += 1
            if tool == "label-studio":
                file.write("\n]\n" if number else "[]\n")
        new.replace(path)
    return number


def _records(path: Path) -> list[Any]:
    """The tasks of a file: a JSON list, or an object a line."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"expected a readable file in UTF-8: {error}", path=path) from None
    line = 1
    try:
        if content.lstrip().startswith("["):
            return json.loads(content)
        records = []
        for line, text in enumerate(content.split("\n"), start=1):  # noqa: B007
            if text.strip():
                records.append(json.loads(text))
        return records
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"expected JSON: {error}", path=path, line=line) from None


def _guess(records: Sequence[Any], path: Path) -> Tool:
    first = next((record for record in records if isinstance(record, dict)), {})
    labels = first.get("label") or ()
    if "data" in first or any(isinstance(label, dict) and "labels" in label for label in labels):
        return "label-studio"
    if "answer" in first or "spans" in first:
        return "prodigy"
    if {"label", "labels", "entities"} & first.keys():
        return "doccano"
    keys = ", ".join(first) or "none"
    raise DataError(f"expected an export of {', '.join(_TOOLS)}, found tasks with the keys {keys}", path=path)


def _label_studio(record: Mapping[str, Any]) -> _Task:
    if "data" not in record:  # the "min" export
        labels = record.get("label")
        values = None if labels is None else [(x["start"], x["end"], x["labels"][0]) for x in labels]
        return _Task(record["text"], values)
    kept = [one for one in record.get("annotations", ()) if not one.get("was_cancelled")]
    if not kept:
        return _Task(record["data"]["text"], None)
    values = [one["value"] for one in kept[-1]["result"] if one.get("type") == "labels"]
    return _Task(record["data"]["text"], [(x["start"], x["end"], x["labels"][0]) for x in values])


def _doccano(record: Mapping[str, Any]) -> _Task:
    text = record.get("text", record.get("data"))
    if text is None:
        raise KeyError("text")
    for key in ("label", "labels"):
        if key in record:
            return _Task(text, [(start, end, label) for start, end, label in record[key]])
    return _Task(text, [(x["start_offset"], x["end_offset"], x["label"]) for x in record["entities"]])


def _prodigy(record: Mapping[str, Any]) -> _Task:
    if record.get("answer", "accept") != "accept":
        return _Task(record["text"], None)
    return _Task(record["text"], [(x["start"], x["end"], x["label"]) for x in record.get("spans", ())])


_READERS = {"label-studio": _label_studio, "doccano": _doccano, "prodigy": _prodigy}


def _sentences(task: _Task, number: int, misfits: str) -> tuple[list[Sentence], list[Misfit]]:
    """The sentences of a task, and the spans that do not fit."""
    text, offsets = task.text, tokenize(task.text)
    starts, ends = [start for start, _ in offsets], [end for _, end in offsets]
    spans: list[Span] = []
    wrong: list[Misfit] = []
    bad: set[int] = set()
    for start, end, label in sorted(task.spans or ()):
        if not 0 <= start < end <= len(text) or not text[start:end].strip():
            raise ValueError(f"the span ({start}, {end}) in a text of {len(text)} characters")
        inside = text[start:end]
        left, right = start + len(inside) - len(inside.lstrip()), end - len(inside) + len(inside.rstrip())
        first, last = bisect_right(ends, left), bisect_left(starts, right)
        fits = starts[first] == left and ends[last - 1] == right
        overlaps = bool(spans) and first < spans[-1].end
        if not fits or overlaps:
            touched = tuple(text[a:b] for a, b in offsets[first:last])
            reason = "overlap" if overlaps else "borders"
            wrong.append(Misfit(number, start, end, label, inside, touched, reason))
            bad |= set(range(first, last)) if misfits == "skip" else set()
        if not overlaps and (fits or misfits == "widen"):
            spans.append(Span(first, last, label))
    result = []
    for start, end in _borders(text, starts, spans):
        if bad & set(range(start, end)):
            continue
        own = [Span(s.start - start, s.end - start, s.label) for s in spans if start <= s.start < end]
        tags = tuple(spans_to_tags(own, end - start, "BIO"))
        result.append(Sentence(tuple(text[a:b] for a, b in offsets[start:end]), tags))
    return result, wrong


def _borders(text: str, starts: Sequence[int], spans: Sequence[Span]) -> Iterator[tuple[int, int]]:
    cuts = {bisect_left(starts, start) for start, _ in split_sentences(text)[1:]}
    bridged = {token for span in spans for token in range(span.start + 1, span.end)}
    return pairwise(sorted({0, len(starts), *(cuts - bridged)}))
