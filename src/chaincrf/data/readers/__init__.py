"""Files to sentences: CoNLL columns, CoNLL-U and JSON lines, with guesses said and defects named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from ...errors import ArgumentError, DataError, LabelError
from ...labels.detection import detect_scheme
from ...labels.partial import completed, rewritten
from ...labels.scheme import Scheme, get_scheme
from ...labels.spans import REPAIRS, ill_formed_moves, repair_tags
from ..corpus import Corpus, ReadReport, counts
from ..sentence import Sentence
from .conll import ConllReader
from .conllu import ConlluReader, is_conllu
from .jsonl import JsonlReader, is_jsonl
from .lines import Lines, open_lines
from .options import Options

__all__ = ["Corpus", "ReadReport", "make_corpus", "read_corpus", "stream_corpus"]

_CHOICES = {
    "format": ("auto", "conll", "conllu", "jsonl"),
    "task": ("ner", "pos"),
    "tagset": ("upos", "xpos"),
    "repair": REPAIRS,
    "on_error": ("raise", "skip"),
}


_Reader = ConllReader | ConlluReader | JsonlReader


def read_corpus(
    path: str | PathLike[str],
    *,
    format: str = "auto",
    task: str = "ner",
    scheme: str | Scheme = "auto",
    token_column: int | None = None,
    tag_column: int | None = None,
    tagset: str = "upos",
    tagged: bool = True,
    repair: str = "conlleval",
    partial: bool = False,
    on_error: str = "raise",
) -> Corpus:
    """Read a file of sentences.

    What is not said is guessed, from the first 2,000 lines (the scheme from all tags), and the report names
    each guess. Ill-formed gold tags are repaired once, here, and counted.

    Args:
        path: a text file in UTF-8, plain or gzip.
        format: "conll" (columns), "conllu", "jsonl", or "auto".
        task: "ner" (tags of a scheme) or "pos" (any tags).
        scheme: the scheme that the NER tags are written in, or "auto".
        token_column: column of the token in CoNLL columns, counted from 1, or from the end with -1.
        tag_column: column of the tag, likewise.
        tagset: "upos" or "xpos", for CoNLL-U.
        tagged: whether tags are needed; with False only the tokens are read.
        repair: how ill-formed gold tags are read: "conlleval", "strict" or "drop".
        partial: ``?`` stands for a tag that is not known; see :mod:`chaincrf.labels.partial`.
        on_error: "raise" at the first malformed sentence, or "skip" it and report.

    Returns:
        The sentences and the report.

    Raises:
        DataError: if the file is missing, empty, has no tags, or a sentence is malformed; names file, line
            and column.
        ArgumentError: if an option has no such value.
        LabelError: if there is no such scheme.

    Cost: one pass over the file; the sentences are held in memory.
    """
    (corpus,) = stream_corpus(
        path,
        format=format,
        task=task,
        scheme=scheme,
        token_column=token_column,
        tag_column=tag_column,
        tagset=tagset,
        tagged=tagged,
        repair=repair,
        partial=partial,
        on_error=on_error,
    )
    return corpus


def stream_corpus(
    path: str | PathLike[str],
    *,
    piece: int | None = None,
    format: str = "auto",
    task: str = "ner",
    scheme: str | Scheme = "auto",
    token_column: int | None = None,
    tag_column: int | None = None,
    tagset: str = "upos",
    tagged: bool = True,
    repair: str = "conlleval",
    partial: bool = False,
    on_error: str = "raise",
) -> Iterator[Corpus]:
    """Read a file piece by piece; see :func:`read_corpus`, which reads one piece.

    Args:
        path: the file.
        piece: sentences in a piece; all by default. A scheme that is guessed is guessed from the first
            piece, and holds for all of them.
        format, task, scheme, token_column, tag_column, tagset, tagged, repair, partial, on_error: as of
            :func:`read_corpus`.

    Returns:
        The pieces; each reports on itself, its hash is of the file up to there.

    Raises:
        as :func:`read_corpus`.
    """
    given = {"format": format, "task": task, "tagset": tagset, "repair": repair, "on_error": on_error}
    for name, value in given.items():
        if value not in _CHOICES[name]:
            raise ArgumentError(f"{name}: expected one of {', '.join(_CHOICES[name])}, got {value!r}")
    known = None if scheme == "auto" else get_scheme(scheme)
    options = Options(Path(path), task, tagged, known, token_column, tag_column, tagset, repair, partial)
    with open_lines(options.path) as lines:
        if not lines.head:
            raise options.error("expected sentences, found an empty file")
        guessed: tuple[str, ...] = ()
        if format == "auto":
            format = _guess_format(lines)
            guessed = (f"format={format}",)
        reader = _reader(format, lines, options)
        guessed += reader.guessed
        pieces = _read(reader, lines, skip=on_error == "skip", piece=piece)
        for number, (sentences, skipped) in enumerate(pieces):
            if number and not any(sentences):
                continue
            corpus = _corpus(sentences, skipped, options, format=format, guessed=guessed, sha256=lines.sha256)
            if corpus.report.scheme is not None:
                options = replace(options, scheme=get_scheme(corpus.report.scheme))
            guessed = ()
            yield corpus


def make_corpus(
    sentences: Iterable[Sentence],
    *,
    source: str | PathLike[str] = "memory",
    format: str = "memory",
    task: str = "ner",
    scheme: str | Scheme = "auto",
    repair: str = "conlleval",
    partial: bool = False,
) -> Corpus:
    """A corpus of tagged sentences that come from elsewhere than a file that ``read_corpus`` reads.

    Args:
        sentences: with their tags.
        source: where they come from, for messages and records.
        format: how they were written, for the report.
        task, scheme, repair, partial: as ``read_corpus``.

    Raises:
        DataError: no sentence, or one without tags or with a tag of no scheme.
        ArgumentError: if an option has no such value.
        LabelError: if there is no such scheme.
    """
    for name, value in {"task": task, "repair": repair}.items():
        if value not in _CHOICES[name]:
            raise ArgumentError(f"{name}: expected one of {', '.join(_CHOICES[name])}, got {value!r}")
    known = None if scheme == "auto" else get_scheme(scheme)
    options = Options(Path(source), task, True, known, None, None, "upos", repair, partial)
    listed, digest = list(sentences), hashlib.sha256()
    for number, sentence in enumerate(listed, start=1):
        if sentence.tags is None:
            raise options.error("expected tags, found a sentence without", number)
        for tag in sentence.tags:
            options.check_tag(tag, number)
        digest.update(json.dumps([sentence.tokens, sentence.tags]).encode())
    return _corpus(listed, [], options, format=format, guessed=(), sha256=digest.hexdigest())


def _corpus(
    sentences: list[Sentence],
    skipped: list[DataError],
    options: Options,
    *,
    format: str,
    guessed: tuple[str, ...],
    sha256: str,
) -> Corpus:
    """Make tags well-formed, count, and report."""
    if not any(sentences):
        found = f"no well-formed one; the first defect: {skipped[0]}" if skipped else "none with a token"
        raise options.error(f"expected sentences, found {found}")
    scheme, ill_formed = None, {}
    if options.tagged and options.task == "ner":
        scheme = options.scheme
        if scheme is None:
            scheme, reason = _guess_scheme(sentences, options)
            guessed += (f"scheme={scheme.name} ({reason})",)
        ill_formed = _repair(sentences, scheme, options.repair)
    report = ReadReport(
        path=options.path,
        format=format,
        task=options.task,
        scheme=scheme.name if scheme else None,
        guessed=guessed,
        **counts(sentences, scheme and scheme.name, partial=options.partial),
        skipped=tuple(skipped),
        repair=options.repair,
        repaired_sentences=len(ill_formed),
        repaired_moves=sum(ill_formed.values()),
        sha256=sha256,
    )
    return Corpus(tuple(sentences), report)


def _guess_format(lines: Lines) -> str:
    texts = [line.text for line in lines.head]
    if is_jsonl(lines.path.name, texts):
        return "jsonl"
    return "conllu" if lines.path.name.endswith((".conllu", ".conllu.gz")) or is_conllu(texts) else "conll"


def _reader(format: str, lines: Lines, options: Options) -> _Reader:
    if format == "conll":
        return ConllReader(lines.head, options)
    return ConlluReader(options) if format == "conllu" else JsonlReader(options)


def _read(
    reader: _Reader, lines: Lines, *, skip: bool, piece: int | None
) -> Iterator[tuple[list[Sentence], list[DataError]]]:
    """The sentences in pieces; the first one is there even if it is empty."""
    sentences: list[Sentence] = []
    skipped: list[DataError] = []
    number = 0
    for block in reader.blocks(lines):
        try:
            for line in block:
                if line.problem:
                    raise line.problem
            sentence = reader.parse(block)
        except DataError as error:
            if not skip:
                raise
            skipped.append(error)
        else:
            if sentence is not None:
                sentences.append(sentence)
        if len(sentences) == piece:
            yield sentences, skipped
            sentences, skipped, number = [], [], number + 1
    if sentences or skipped or not number:
        yield sentences, skipped


def _guess_scheme(sentences: Sequence[Sentence], options: Options) -> tuple[Scheme, str]:
    try:
        detection = detect_scheme(completed(sentence.tags or ()) for sentence in sentences)
    except LabelError as error:
        raise options.error(str(error)) from error
    return detection.scheme, detection.reason


def _repair(sentences: list[Sentence], scheme: Scheme, repair: str) -> dict[int, int]:
    """Repair ill-formed sentences in place; count their ill-formed moves by sentence."""
    ill_formed: dict[int, int] = {}
    for i, sentence in enumerate(sentences):
        tags = sentence.tags or ()
        if moves := len(ill_formed_moves(completed(tags), scheme)):
            ill_formed[i] = moves
            mended = rewritten(tags, lambda known: repair_tags(known, scheme, repair))
            sentences[i] = replace(sentence, tags=mended)
    return ill_formed
