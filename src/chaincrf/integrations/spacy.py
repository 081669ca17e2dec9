"""A tagger in a pipeline of spaCy, and spaCy's documents as training data; needs the extra ``spacy``.

::

    nlp.add_pipe("chaincrf", config={"model": "model"})

The component takes spaCy's tokens as they are, sentence by sentence where the pipeline has found sentences.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._lazy import require
from ..data import Corpus, Sentence, make_corpus
from ..errors import ArgumentError, LabelError
from ..labels import Span, spans_to_tags
from ..tagging import Tagger

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc
else:
    Language = require("spacy.language", "spacy").Language
    Doc = Any

__all__ = ["TaggerComponent", "corpus_from_docbin", "factory", "make_component", "sentences_from_doc"]


class TaggerComponent:
    """Sets ``doc.ents``, and ``span._.probability`` of each: of this span, its label and both borders.

    Args:
        model: a model folder; None: it is read by ``from_disk``.
        threshold: leave out the spans of a lower probability.
        batch_tokens: tokens computed together.

    Raises:
        ModelError: when it is first used, if the folder is missing or damaged.
        ArgumentError: then, if the tagger finds no spans but parts of speech.
    """

    def __init__(
        self, model: str | None = None, *, threshold: float | None = None, batch_tokens: int = 4096
    ) -> None:
        from spacy.tokens import Span as Entity

        self.model, self.threshold, self.batch_tokens = model, threshold, batch_tokens
        self._tagger: Tagger | None = None
        if not Entity.has_extension("probability"):
            Entity.set_extension("probability", default=None)

    @property
    def tagger(self) -> Tagger:
        """The tagger, read when it is first needed."""
        if self._tagger is None:
            if self.model is None:
                raise ArgumentError('model: expected a model folder in config={"model": ...}, got none')
            self._tagger = Tagger.load(self.model)
        if self._tagger.bundle.config.scheme is None:
            raise ArgumentError(
                f"model: expected a tagger of spans, got one of parts of speech in {self.model}"
            )
        return self._tagger

    def __call__(self, doc: Doc) -> Doc:
        """Tag one document."""
        return next(self.pipe([doc]))

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Tag documents, many at a time.

        Args:
            stream: the documents.
            batch_size: documents read ahead.
        """
        from spacy.util import minibatch

        for docs in minibatch(stream, batch_size):
            pieces = [(doc, tokens) for doc in docs for tokens in _sentences(doc)]
            tagged = self.tagger.tag_all(
                ([token.text for token in tokens] for _, tokens in pieces),
                threshold=self.threshold,
                batch_tokens=self.batch_tokens,
            )
            found: dict[int, list[Any]] = {id(doc): [] for doc in docs}
            for (doc, tokens), result in zip(pieces, tagged, strict=True):
                for span in result.spans:
                    first, last = tokens[span.token_start].i, tokens[span.token_end - 1].i
                    entity = doc[first : last + 1]
                    found[id(doc)].append((entity.start, entity.end, span.label, span.probability))
            for doc in docs:
                yield _set_entities(doc, found[id(doc)])

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the model with the pipeline."""
        del exclude
        self.tagger.save(path)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> TaggerComponent:
        """Read the model with the pipeline."""
        del exclude
        self._tagger = Tagger.load(path)
        return self


def _set_entities(doc: Doc, found: list[Any]) -> Doc:
    from spacy.tokens import Span as Entity

    doc.ents = tuple(Entity(doc, start, end, label) for start, end, label, _ in found)
    for entity, (*_, probability) in zip(doc.ents, found, strict=True):
        entity._.probability = probability
    return doc


def make_component(
    nlp: Any, name: str, model: str | None = None, threshold: float | None = None, batch_tokens: int = 4096
) -> Any:
    """Make the component of this configuration; spaCy calls it."""
    del nlp, name
    return TaggerComponent(model, threshold=threshold, batch_tokens=batch_tokens)


# spaCy reads the names of the arguments, which a wrapper (such as one that checks types) would hide. It finds
# the factory by the entry point that pyproject.toml declares, or here, if this module was imported before.
factory = inspect.unwrap(make_component)
Language.factory("chaincrf", assigns=["doc.ents", "token.ent_iob", "token.ent_type"], func=factory)


def sentences_from_doc(doc: Doc, scheme: str = "BIO") -> list[Sentence]:
    """The sentences of a document with the tags of its entities.

    Args:
        doc: where it has no sentences it is one.
        scheme: the scheme of the tags.

    Raises:
        LabelError: an entity that lies across the end of a sentence.
    """
    sentences = []
    for tokens in _sentences(doc):
        places = {token.i: place for place, token in enumerate(tokens)}
        spans = []
        for entity in doc.ents:
            inside = [places[token.i] for token in entity if token.i in places]
            if inside and len(inside) < sum(not token.is_space for token in entity):
                raise LabelError(f"expected entities within a sentence, found {entity.text!r} across two")
            if inside:
                spans.append(Span(inside[0], inside[-1] + 1, entity.label_))
        words = tuple(token.text for token in tokens)
        sentences.append(Sentence(words, tuple(spans_to_tags(spans, len(words), scheme))))
    return sentences


def corpus_from_docbin(path: str | Path, language: str = "en") -> Corpus:
    """Training data from a ``.spacy`` file.

    Args:
        path: the file that ``DocBin.to_disk`` wrote.
        language: of its vocabulary.

    Raises:
        DataError: it holds no sentence.
        LabelError: an entity lies across the end of a sentence.
    """
    import spacy
    from spacy.tokens import DocBin

    docs = DocBin().from_disk(path).get_docs(spacy.blank(language).vocab)
    sentences = [sentence for doc in docs for sentence in sentences_from_doc(doc)]
    return make_corpus(sentences, source=path, format="spacy", scheme="BIO")


def _sentences(doc: Doc) -> list[list[Any]]:
    """The tokens of each sentence; white space is none."""
    parts = doc.sents if doc.has_annotation("SENT_START") else [doc]
    kept = ([token for token in part if not token.is_space] for part in parts)
    return [tokens for tokens in kept if tokens]
