"""From sentences and a recipe to encoded data and an untrained model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.batching import EncodedSentences, encode
from ..data.corpora import builtin_vectors
from ..data.corpus import Corpus
from ..data.sentence import Sentence
from ..data.shapes import SHAPES
from ..data.shards import ShardedCorpus
from ..data.streaming import StreamedSentences
from ..data.vector_formats import MAX_DIM
from ..data.vectors import WordVectors, load_vectors
from ..data.vocabulary import Vocabulary
from ..errors import ConfigError, DataError, LabelError
from ..labels import UNKNOWN_TAG, completed, convert_tags, rewritten, scheme_tags, tags_to_spans
from ..tagging import Architecture, Bundle, ModelConfig
from ..tagging.record import MAX_TAGS, MAX_WORDS
from .recipe import Recipe

__all__ = ["Prepared", "build_model", "in_scheme", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """Everything a training run reads, the same for every variant of the model.

    Attributes:
        scheme: the scheme the model predicts in; None for POS.
        vocabulary: words, characters and tags.
        train: encoded training data.
        dev: encoded development data, without tags.
        dev_tags: gold tags of the development data, in ``scheme``.
        vectors: pretrained vectors and the vocabulary's rows they belong to; None without any.
    """

    scheme: str | None
    vocabulary: Vocabulary
    train: EncodedSentences | StreamedSentences
    dev: EncodedSentences
    dev_tags: Sequence[Sequence[str]]
    vectors: tuple[Tensor, Tensor] | None


def in_scheme(corpus: Corpus, scheme: str | None) -> list[Sentence]:
    """The sentences of a corpus with their tags written in another scheme; empty ones are left out.

    Raises:
        DataError: if the scheme cannot write a sentence's spans (IO, where two of one label touch).
    """
    source = corpus.report.scheme
    sentences = []
    for number, sentence in enumerate(corpus.sentences, start=1):
        if not sentence.tokens:
            continue
        if sentence.tags and scheme is not None and source is not None and source != scheme:
            try:
                tags = rewritten(sentence.tags, lambda known: convert_tags(known, source, scheme))
            except LabelError as error:
                raise DataError(f"sentence {number}: {error}", path=corpus.report.path) from None
            sentence = replace(sentence, tags=tags)  # noqa: PLW2901
        sentences.append(sentence)
    return sentences


def prepare(train: Corpus | ShardedCorpus, dev: Corpus, recipe: Recipe) -> Prepared:
    """Decide on tags and vocabulary, and encode.

    The tag set is that of the training data; for NER closed under the scheme, so that a label seen only in
    spans of one token can still be predicted in longer ones. A corpus in shards stays where it is, and its
    sentences are encoded when they are wanted.

    Raises:
        DataError: if the data is of another task, has no sentence or no tags, or for NER no span: no model
            can learn from such training data, and no epoch be selected by such development data.
    """
    for corpus in (train, dev):
        if corpus.report.task != recipe.task:
            raise DataError(
                f"expected data for the task {recipe.task!r}, found it read for {corpus.report.task!r}",
                path=corpus.report.path,
            )
    scheme = recipe.scheme if recipe.task == "ner" else None
    partial = train.report.unknown > 0
    dev_sentences = _checked(dev, scheme)
    unknown = sum((sentence.tags or ()).count(UNKNOWN_TAG) for sentence in dev_sentences)
    if unknown and (partial or dev.report.unknown):
        problem = f"expected development data with all tags known, found {unknown:,} that are not"
        raise DataError(problem, path=dev.report.path)
    tables = _read_vectors(recipe)
    options: dict[str, Any] = {
        "min_count": recipe.min_count,
        "pretrained": chain.from_iterable(table.words for table in tables),
        "max_pretrained": recipe.pretrained_words,
        "freeze": recipe.freeze_vectors,
    }
    if isinstance(train, ShardedCorpus):
        if scheme is not None and not train.report.labels:
            raise DataError("expected spans, found only the tag O", path=train.folder)
        labels = sorted(train.report.labels)
        tags = list(train.tags) if scheme is None else scheme_tags(labels, scheme)
        _check_size("tags", len(tags), MAX_TAGS, train.folder)
        vocabulary = Vocabulary.from_counts(train.words, train.chars, tags, **options)
        encoded = StreamedSentences(train, vocabulary, scheme, recipe.shuffle_window)
    else:
        sentences = _checked(train, scheme)
        tags = _tag_set(sentences, scheme, partial=partial)
        _check_size("tags", len(tags), MAX_TAGS, train.report.path)
        vocabulary = Vocabulary.build(sentences, tags, **options)
        encoded = encode(sentences, vocabulary, with_tags=True, partial=partial)
    _check_size("words", len(vocabulary.words), MAX_WORDS, train.report.path)
    return Prepared(
        scheme=scheme,
        vocabulary=vocabulary,
        train=encoded,
        dev=encode(dev_sentences, vocabulary),
        dev_tags=[sentence.tags or () for sentence in dev_sentences],
        vectors=_vector_rows(vocabulary, tables) if tables else None,
    )


def _checked(corpus: Corpus, scheme: str | None) -> list[Sentence]:
    """The sentences of a corpus in a scheme, if one can learn from them."""
    sentences = in_scheme(corpus, scheme)
    if not sentences:
        raise DataError("expected at least one sentence, found none", path=corpus.report.path)
    if any(sentence.tags is None for sentence in sentences):
        raise DataError("expected tagged sentences, found some without tags", path=corpus.report.path)
    if scheme is not None and not any(
        set(sentence.tags or ()) - {"O", UNKNOWN_TAG} for sentence in sentences
    ):
        raise DataError("expected spans, found only the tag O", path=corpus.report.path)
    return sentences


def build_model(prepared: Prepared, recipe: Recipe) -> Bundle:
    """An untrained tagger; the recipe's seed decides its weights."""
    torch.manual_seed(recipe.seed)
    vocabulary = prepared.vocabulary
    constrained = prepared.scheme is not None and recipe.constrain != "never"
    config = ModelConfig(
        task=recipe.task,
        scheme=prepared.scheme,
        constrained=constrained,
        architecture=Architecture(
            num_words=len(vocabulary.words),
            num_tags=len(vocabulary.tags),
            num_chars=len(vocabulary.chars) if recipe.char_filters else 0,
            num_trained=vocabulary.num_trained,
            word_dim=prepared.vectors[1].shape[1] if prepared.vectors else recipe.word_dim,
            char_dim=recipe.char_dim,
            char_filters=recipe.char_filters,
            char_encoder=recipe.char_encoder,
            num_shapes=len(SHAPES) if recipe.shape_dim else 0,
            shape_dim=recipe.shape_dim,
            hidden=recipe.hidden,
            layers=recipe.layers,
            dropout=recipe.dropout,
            dropout_mask=recipe.dropout_mask,
            recurrent_dropout=recipe.recurrent_dropout,
            word_dropout=recipe.word_dropout,
            head=recipe.head,
            constrain="decode" if recipe.constrain == "decode" else "always",
            label_smoothing=recipe.label_smoothing if recipe.head == "softmax" else 0.0,
        ),
    )
    bundle = Bundle.build(config, vocabulary)
    if prepared.vectors:
        bundle.model.words.load_vectors(*prepared.vectors)
    return bundle


def _tag_set(sentences: Sequence[Sentence], scheme: str | None, *, partial: bool) -> list[str]:
    if scheme is None:
        tags = {tag for sentence in sentences for tag in sentence.tags or ()}
        return sorted(tags - {UNKNOWN_TAG} if partial else tags)
    labels = {
        span.label for sentence in sentences for span in tags_to_spans(completed(sentence.tags or ()), scheme)
    }
    return scheme_tags(sorted(labels), scheme)


def _check_size(what: str, found: int, most: int, path: Path) -> None:
    if found > most:
        raise DataError(f"expected at most {most:,} {what} in a model, found {found:,}", path=path)


def _read_vectors(recipe: Recipe) -> list[WordVectors]:
    names = [recipe.vectors] if isinstance(recipe.vectors, str) else recipe.vectors
    if names == ["none"]:
        return []
    for name in names:
        if name != "builtin" and not Path(name).exists():
            raise ConfigError(f"vectors: expected 'builtin', 'none' or a file, got {name!r}")
    return [load_vectors(*(builtin_vectors() if name == "builtin" else (Path(name),))) for name in names]


def _vector_rows(vocabulary: Vocabulary, tables: Sequence[WordVectors]) -> tuple[Tensor, Tensor]:
    """The words that some table has, and their vectors side by side, zero where a table lacks the word."""
    found = [[table.row(word) for table in tables] for word in vocabulary.words[2:]]  # 0, 1: no words
    rows = [row for row, sources in enumerate(found, start=2) if any(s is not None for s in sources)]
    parts = []
    for number, table in enumerate(tables):
        sources = [found[row - 2][number] for row in rows]
        lacking = torch.tensor([source is None for source in sources], dtype=torch.bool)
        part = table.vectors[torch.tensor([source or 0 for source in sources], dtype=torch.long)]
        parts.append(part.masked_fill_(lacking[:, None], 0))
    vectors = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
    if vectors.shape[1] > MAX_DIM:
        width = f"{vectors.shape[1]:,}"
        raise DataError(f"vectors: expected at most {MAX_DIM:,} numbers a word in all tables, found {width}")
    most = torch.finfo(torch.float16).max
    if rows and not (-vectors.min() <= most and vectors.max() <= most):  # NaN is not
        raise DataError("vectors: expected numbers that half precision can hold, found larger ones or NaN")
    return torch.tensor(rows, dtype=torch.long), vectors
