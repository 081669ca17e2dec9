"""Tag texts with a trained model."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path as FilePath

import numpy as np
import torch

from ..data.sentence import Sentence
from ..data.splitter import split_sentences
from ..data.tokenizer import tokenize
from ..errors import ArgumentError
from ..labels import tags_to_spans
from .bundle import Bundle, load_bundle, save_bundle
from .calibration import threshold_for
from .constraint import Constraint
from .document import Document, Places, Text, read_document
from .inference import BATCH_TOKENS, Allowed, Prediction, predict, predict_k_best
from .record import Calibration
from .result import Path, Tagged
from .types import TypeVectors

__all__ = ["AHEAD", "Constraints", "Tagger"]

AHEAD = 32 * BATCH_TOKENS
"""Tokens read ahead: enough to fill batches with sentences of like length, little memory."""

Constraints = Callable[[str], Iterable[Constraint]] | Iterable[Iterable[Constraint]]


class Tagger:
    """A trained model that tags raw text, tokens or :class:`~chaincrf.data.Sentence` objects.

    ::

        tagger = Tagger.load("model")
        tagger.tag("Barack Obama visited Paris.").spans

    Threads may share one. The model's weights must stay as they are: what is computed of a word is kept, up
    to 128 MB and 65,536 words. A text's result depends neither on the other texts nor on the sizes of
    batches, but for the rounding of scores and probabilities (about 1e-6).

    Args:
        bundle: the model; it is put into evaluation mode.
        tokenizer: gives the tokens of a raw text, as places in characters, half-open and ascending.
        splitter: gives the sentences of a raw text, likewise. A text is cut where they begin; whatever lies
            between two of them belongs to the first.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        tokenizer: Callable[[str], Places] = tokenize,
        splitter: Callable[[str], Places] = split_sentences,
    ) -> None:
        bundle.model.eval()
        self.bundle = bundle
        self._vectors = TypeVectors(bundle)
        self._calibration = bundle.config.calibration or Calibration()
        self.tokenizer = tokenizer
        self.splitter = splitter

    @classmethod
    def load(
        cls,
        folder: str | FilePath,
        *,
        device: torch.device | str = "cpu",
        tokenizer: Callable[[str], Places] = tokenize,
        splitter: Callable[[str], Places] = split_sentences,
    ) -> Tagger:
        """Read a model folder; the other arguments are those of the class.

        Raises:
            ModelError: if the folder is missing, damaged or of a newer format.
        """
        return cls(load_bundle(FilePath(folder), device), tokenizer=tokenizer, splitter=splitter)

    def save(self, folder: str | FilePath) -> None:
        """Write the model folder, whole or not at all."""
        save_bundle(self.bundle, FilePath(folder))

    @property
    def labels(self) -> tuple[str, ...]:
        """What it finds: span labels, or parts of speech; in alphabetical order."""
        tags = self.bundle.vocabulary.tags
        if self.bundle.config.scheme is None:
            return tuple(sorted(tags))
        return tuple(sorted({tag.partition("-")[2] for tag in tags} - {""}))

    def tag(
        self,
        text: Text,
        *,
        threshold: float | str | None = None,
        constraints: Iterable[Constraint] = (),
        probabilities: bool = True,
    ) -> Tagged:
        """Tag one text.

        Args:
            text: raw text, of any length, which is cut into sentences and tokens; or a list of tokens, or a
                Sentence, which are one sentence and stay as they are.
            threshold: leave out the spans of a lower probability; their tokens are tagged ``O``. Or
                ``"precision>=0.95"``: the probability from which on the spans found in the development data
                have this precision (``chaincrf calibrate``).
            constraints: what is known of it. A span that is said to be there keeps its sentence whole.
            probabilities: compute those of spans, tokens and paths; without them tagging is faster.

        Raises:
            ArgumentError: no text; a constraint that does not fit the text, or that no path can keep; a
                threshold without probabilities, out of range, or for parts of speech; a precision that the
                model was not calibrated for, or did not reach.
        """
        every = self.tag_all(
            [text], threshold=threshold, constraints=[constraints], probabilities=probabilities, ahead=1
        )
        return next(every)

    def tag_all(
        self,
        texts: Iterable[Text],
        *,
        batch_tokens: int = BATCH_TOKENS,
        ahead: int = AHEAD,
        threshold: float | str | None = None,
        constraints: Constraints | None = None,
        probabilities: bool = True,
    ) -> Iterator[Tagged]:
        """Tag a stream of texts of any length, in its order, in constant memory.

        Args:
            texts: raw texts, lists of tokens, or Sentences; see :meth:`tag`.
            batch_tokens: tokens computed together at most, padding included; a longer sentence is computed
                alone. It changes the speed, not the result.
            ahead: tokens read before the first text is answered; 1 answers each text at once.
            threshold: see :meth:`tag`.
            constraints: those of each text, in order; or a function that finds them in a text (in
                ``Tagged.text``): a dictionary.
            probabilities: see :meth:`tag`.

        Raises:
            ArgumentError: as :meth:`tag`; or a size is below 1, or constraints for another number of texts.
        """
        for name, size in {"batch_tokens": batch_tokens, "ahead": ahead}.items():
            if size < 1:
                raise ArgumentError(f"{name}: expected at least 1, got {size}")
        least = self._threshold(threshold, probabilities)

        def answer(documents: list[Document]) -> list[Tagged]:
            found = predict(
                self.bundle,
                [tokens for document in documents for tokens in document.sentences()],
                allowed=self._allowed(documents),
                batch_tokens=batch_tokens,
                probabilities=probabilities,
                temperature=self._calibration.temperature,
                vectors=self._vectors,
            )
            if probabilities and self._calibration.isotonic:
                found = [self._mapped(prediction) for prediction in found]
            if least is not None:
                found = [_keep(prediction, least) for prediction in found]
            predictions = iter(found)
            return [document.tagged(islice(predictions, len(document.borders))) for document in documents]

        yield from chain.from_iterable(map(answer, _by_tokens(self._documents(texts, constraints), ahead)))

    def k_best(self, text: Text, k: int, *, constraints: Iterable[Constraint] = ()) -> list[Path]:
        """The k most probable ways of tagging a text, the best first; fewer if there are not so many.

        A text of several sentences is tagged as a whole: their paths are independent.

        Args:
            text: see :meth:`tag`.
            k: number of paths, at least 1.
            constraints: what is known of the text.

        Raises:
            ArgumentError: k is below 1, or as :meth:`tag`.
        """
        scheme = self.bundle.config.scheme
        (document,) = self._documents([text], [constraints])
        allowed = self._allowed([document])
        paths: list[tuple[tuple[str, ...], float]] = [((), 1.0)]
        sentences, temperature = document.sentences(), self._calibration.temperature
        for found in predict_k_best(
            self.bundle, sentences, k, allowed=allowed, temperature=temperature, vectors=self._vectors
        ):
            both = ((left + right, p * q) for left, p in paths for right, q in found)
            paths = heapq.nlargest(k, both, key=lambda path: path[1])
        result = []
        for tags, probability in paths:
            spans = [
                document.span(span, start, None)
                for start, end in document.borders
                for span in (() if scheme is None else tags_to_spans(tags[start:end], scheme))
            ]
            result.append(Path(tags, tuple(spans), probability))
        return result

    def tag_sentences(
        self, sentences: Sequence[Sentence], *, batch_tokens: int = BATCH_TOKENS
    ) -> list[list[str]]:
        """The tags alone."""
        tokens = [sentence.tokens for sentence in sentences]
        found = predict(
            self.bundle, tokens, batch_tokens=batch_tokens, probabilities=False, vectors=self._vectors
        )
        return [list(prediction.tags) for prediction in found]

    def _documents(self, texts: Iterable[Text], constraints: Constraints | None) -> Iterator[Document]:
        """The texts in tokens and sentences, with their constraints."""
        if constraints is None or callable(constraints):
            for text in texts:
                document = read_document(text, self.tokenizer, self.splitter)
                yield document if constraints is None else document.constrained(constraints(document.text))
            return
        listed = iter(constraints)
        for number, text in enumerate(texts):
            try:
                own = next(listed)
            except StopIteration:
                raise ArgumentError(f"constraints: expected those of each text, got {number}") from None
            yield read_document(text, self.tokenizer, self.splitter).constrained(own)

    def _allowed(self, documents: Sequence[Document]) -> Allowed | None:
        if not any(document.constraints for document in documents):
            return None
        tags, scheme = self.bundle.vocabulary.tags, self.bundle.config.scheme
        return [mask for document in documents for mask in document.allowed(tags, scheme)]

    def _mapped(self, prediction: Prediction) -> Prediction:
        """The prediction with the probabilities of its answers after the isotonic map."""
        name = "token_probabilities" if self.bundle.config.scheme is None else "span_probabilities"
        mapped = self._calibration.mapped(np.array(getattr(prediction, name), dtype=np.float64))
        return prediction._replace(**{name: tuple(mapped.tolist())})

    def _threshold(self, threshold: float | str | None, probabilities: bool) -> float | None:
        if threshold is None:
            return None
        if not probabilities or self.bundle.config.scheme is None:
            why = "probabilities=True" if not probabilities else "a tagger of spans, not of parts of speech"
            raise ArgumentError(f"threshold: expected together with {why}")
        return threshold_for(threshold, self.bundle.config.calibration)


def _keep(prediction: Prediction, threshold: float) -> Prediction:
    """The prediction without the spans that are not sure enough."""
    sure = prediction.span_probabilities or ()
    kept = [pair for pair in zip(prediction.spans, sure, strict=True) if pair[1] >= threshold]
    if len(kept) == len(sure):
        return prediction
    inside = {i for span, _ in kept for i in range(span.start, span.end)}
    tags = tuple(tag if i in inside else "O" for i, tag in enumerate(prediction.tags))
    return prediction._replace(
        tags=tags, spans=tuple(span for span, _ in kept), span_probabilities=tuple(p for _, p in kept)
    )


def _by_tokens(documents: Iterable[Document], ahead: int) -> Iterator[list[Document]]:
    """Lists of documents with at least so many tokens, but for the last."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.tokens) + 1
        if size >= ahead:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
