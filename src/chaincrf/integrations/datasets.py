"""Datasets of Hugging Face as corpora, and predictions as columns of them; needs the extra ``datasets``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .._lazy import require
from ..data import Corpus, Sentence, make_corpus
from ..errors import DataError
from ..tagging import Tagger

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["corpora_from_datasets", "corpus_from_dataset", "tag_dataset"]

_TAGS = {"ner": ("ner_tags", "tags", "labels"), "pos": ("upos", "pos_tags", "tags", "labels")}


def corpus_from_dataset(
    dataset: Dataset,
    *,
    tokens: str = "tokens",
    tags: str | None = None,
    task: str = "ner",
    scheme: str = "auto",
    name: str = "dataset",
) -> Corpus:
    """Sentences with their tags; numbers of a ``ClassLabel`` become the names they stand for.

    Args:
        dataset: a row a sentence.
        tokens: the column of its tokens.
        tags: the column of its tags; None: the first of ``ner_tags``, ``tags`` and ``labels`` (``upos``,
            ``pos_tags``, ...) that is there.
        task: ``"ner"`` or ``"pos"``.
        scheme: of the tags; ``"auto"``: found out.
        name: for messages and records.

    Raises:
        DataError: no such column, a row that is no sentence with its tags, or numbers without names.
    """
    column = tags or next((known for known in _TAGS[task] if known in dataset.column_names), _TAGS[task][0])
    for wanted in (tokens, column):
        if wanted not in dataset.column_names:
            there = ", ".join(dataset.column_names)
            raise DataError(f"expected the column {wanted!r}, found the columns {there}", path=name)
    names = _class_names(dataset.features[column])
    sentences = []
    for number, (words, values) in enumerate(zip(dataset[tokens], dataset[column], strict=True), start=1):
        try:
            sentences.append(Sentence(tuple(words), tuple(_tag(value, names) for value in values)))
        except (ValueError, TypeError) as error:
            raise DataError(str(error), path=name, line=number) from None
    return make_corpus(sentences, source=name, format="datasets", task=task, scheme=scheme)


def corpora_from_datasets(datasets: Mapping[str, Dataset], **options: Any) -> dict[str, Corpus]:
    """A corpus for each split of a ``DatasetDict``; the options are those of :func:`corpus_from_dataset`."""
    return {split: corpus_from_dataset(dataset, name=split, **options) for split, dataset in datasets.items()}


def tag_dataset(
    tagger: Tagger, dataset: Dataset, *, tokens: str = "tokens", prefix: str = "predicted_"
) -> Dataset:
    """The dataset with predictions: a column of tags, as a list of ``ClassLabel``, and one of spans.

    Args:
        tagger: the tagger.
        dataset: a row a sentence (a list of tokens) or a text (a string).
        tokens: the column of them.
        prefix: of the new columns, ``tags``, ``spans`` (none for parts of speech) and, for texts, ``tokens``.

    Raises:
        DataError: no such column.
    """
    library: Any = require("datasets", "datasets")
    if tokens not in dataset.column_names:
        there = ", ".join(dataset.column_names)
        raise DataError(f"expected the column {tokens!r}, found the columns {there}")
    names = list(tagger.bundle.vocabulary.tags)
    number = {name: i for i, name in enumerate(names)}
    found = list(tagger.tag_all(dataset[tokens]))
    listed = getattr(library, "List", None) or library.Sequence
    column = listed(library.ClassLabel(names=names))
    result: Any = dataset.add_column(
        f"{prefix}tags", [[number[tag] for tag in one.tags] for one in found], feature=column
    )
    if any(isinstance(text, str) for text in dataset[tokens][:1]):
        result = result.add_column(f"{prefix}tokens", [list(one.tokens) for one in found])
    if tagger.bundle.config.scheme is not None:
        fields = {name: library.Value(kind) for name, kind in _SPAN.items()}
        spans = [[{name: getattr(span, name) for name in _SPAN} for span in one.spans] for one in found]
        result = result.add_column(f"{prefix}spans", spans, feature=listed(fields) if listed else None)
    return result


_SPAN = {
    **{"start": "int64", "end": "int64", "label": "string", "text": "string", "probability": "float64"},
    **{"token_start": "int64", "token_end": "int64"},
}


def _class_names(feature: Any) -> Sequence[str] | None:
    inner = getattr(feature, "feature", feature)
    return getattr(inner, "names", None)


def _tag(value: Any, names: Sequence[str] | None) -> str:
    if isinstance(value, str):
        return value
    if names is None:
        raise ValueError(f"tags: expected strings or a ClassLabel with names, found {value!r}")
    return names[value]
