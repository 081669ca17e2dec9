"""Learn on development data what the probabilities of a tagger mean.

All scores are divided by a temperature, which leaves the best path as it is and changes how sure it is. It is
chosen so that the gold paths of the development data are the most probable: ``argmin_T -sum log p_T(gold)``,
a convex problem in 1/T (Guo et al., 2017). On top of it, if wanted, an isotonic map of the probabilities of
answers (spans; for parts of speech tokens) to the share of them that is right (Zadrozny & Elkan, 2002).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..data.sentence import Sentence
from ..errors import ArgumentError, DataError
from ..evaluation import Bin, expected_calibration_error, operating_points, reliability
from ..labels import tags_to_spans
from .bundle import Bundle
from .inference import emissions_of, predict
from .record import Calibration

__all__ = ["CalibrationReport", "calibrate", "fit_temperature", "threshold_for"]

_RANGE = 20.0
_PRECISION = re.compile(r"\s*precision\s*>=\s*(0?\.\d+|[01](?:\.0*)?)\s*")


@dataclass(frozen=True)
class CalibrationReport:
    """What calibration did; the figures after it are of sentences that did not take part (5 folds).

    Attributes:
        answers: spans, or for parts of speech tokens, that the tagger found in the development data.
        correct: how many of them are right.
        ece: expected calibration error before and after.
        reliability: the bins of the diagram before and after.
    """

    answers: int
    correct: int
    ece: tuple[float, float]
    reliability: tuple[list[Bin], list[Bin]]


def calibrate(
    bundle: Bundle, sentences: Sequence[Sentence], *, isotonic: bool = False, folds: int = 5
) -> tuple[Calibration, CalibrationReport]:
    """Learn a temperature, and what precision is had from which probability on.

    Args:
        bundle: the model.
        sentences: development data, with gold tags in the model's scheme.
        isotonic: learn an isotonic map, too.
        folds: parts of the data, each of which is answered with what the others taught, for the report.

    Raises:
        DataError: a sentence has no tags, or the tagger finds nothing in the data.
    """
    temperature = fit_temperature(bundle, sentences)
    before = _answers(bundle, sentences, 1.0)
    if not any(p.size for p, _ in before):
        raise DataError("expected development data in which the tagger finds something, found none")
    held_out = []
    for fold in range(folds if len(sentences) >= folds else 1):
        own = range(fold, len(sentences), folds) if len(sentences) >= folds else range(len(sentences))
        rest = [i for i in range(len(sentences)) if i % folds != fold] or list(own)
        learned = fit_temperature(bundle, [sentences[i] for i in rest])
        answers = _answers(bundle, [sentences[i] for i in own], learned)
        if isotonic:
            knots = _isotonic(*_together(_answers(bundle, [sentences[i] for i in rest], learned)))
            mapped = Calibration(temperature=learned, isotonic=knots)
            answers = [(mapped.mapped(p), right) for p, right in answers]
        held_out += answers
    p, right = _together(_answers(bundle, sentences, temperature))
    calibration = Calibration(temperature=temperature, isotonic=_isotonic(p, right) if isotonic else ())
    points = tuple(operating_points(calibration.mapped(p), right))
    pairs = _together(before), _together(held_out)
    return calibration.model_copy(update={"points": points}), CalibrationReport(
        answers=p.size,
        correct=int(right.sum()),
        ece=(_ece(*pairs[0]), _ece(*pairs[1])),
        reliability=(_bins(*pairs[0]), _bins(*pairs[1])),
    )


def fit_temperature(bundle: Bundle, sentences: Sequence[Sentence]) -> float:
    """The temperature at which the gold paths are the most probable, between 1/20 and 20.

    Gold paths that the constraints forbid are left out.

    Args:
        bundle: the model.
        sentences: development data, with gold tags in the model's scheme.

    Raises:
        DataError: a sentence has no tags, or tags that the model does not know.
    """
    from scipy.optimize import minimize_scalar

    chains = []
    for batch in emissions_of(bundle, [sentence.tokens for sentence in sentences], 4096):
        gold = torch.full(tuple(batch.mask.shape), -100)
        for n, row in enumerate(batch.index):
            if (tags := sentences[row].tags) is None:
                raise DataError(f"sentence {row + 1}: expected gold tags, found none")
            gold[n, : len(tags)] = torch.tensor([bundle.vocabulary.tag(tag) for tag in tags])
        chain = bundle.model.head.chain(batch.emissions, batch.mask, constrained=True)
        chains.append((chain, gold.to(batch.mask.device)))

    def loss(log_scale: float) -> float:
        total = 0.0
        with torch.inference_mode():
            for chain, gold in chains:
                likelihood = chain.scaled(float(np.exp(log_scale))).log_likelihood(gold).double()
                total -= float(torch.where(likelihood == -torch.inf, 0.0, likelihood).sum())
        return total

    found = minimize_scalar(
        loss, bounds=(-np.log(_RANGE), np.log(_RANGE)), method="bounded", options={"xatol": 1e-3}
    )
    return float(np.exp(-found.x))


def threshold_for(wanted: float | str | None, calibration: Calibration | None) -> float | None:
    """The probability that a threshold says, which may be a wanted precision.

    Args:
        wanted: a probability, or ``"precision>=0.95"``; None: no threshold.
        calibration: that of the model.

    Raises:
        ArgumentError: no probability, a model that was not calibrated, or a precision that it did not reach
            on its development data.
    """
    if wanted is None:
        return None
    if isinstance(wanted, str):
        match = _PRECISION.fullmatch(wanted)
        if match is None:
            raise ArgumentError(f'threshold: expected a probability or "precision>=0.95", got {wanted!r}')
        if calibration is None or not calibration.points:
            raise ArgumentError(
                f"threshold: {wanted!r} needs a calibrated model (chaincrf calibrate MODEL --dev FILE)"
            )
        precision = float(match[1])
        found = next((point for point in calibration.points if point.precision >= precision), None)
        if found is None:
            most = calibration.points[-1]
            raise ArgumentError(
                f"threshold: {wanted!r} was not reached on the development data; the highest precision was "
                f"{most.precision:.3f}, from probability {most.threshold:.3f} on"
            )
        return found.threshold
    if not 0 <= wanted <= 1:
        raise ArgumentError(f"threshold: expected a probability, got {wanted}")
    return float(wanted)


Answers = tuple[np.ndarray, np.ndarray]


def _answers(bundle: Bundle, sentences: Sequence[Sentence], temperature: float) -> list[Answers]:
    """For each sentence the probabilities of what was found, and whether it is right."""
    scheme = bundle.config.scheme
    found = predict(bundle, [sentence.tokens for sentence in sentences], temperature=temperature)
    answers = []
    for sentence, prediction in zip(sentences, found, strict=True):
        gold = sentence.tags or ()
        if scheme is None:
            right = [a == b for a, b in zip(prediction.tags, gold, strict=True)]
            answers.append((np.array(prediction.token_probabilities), np.array(right, dtype=bool)))
        else:
            there = set(tags_to_spans(gold, scheme))
            right = [span in there for span in prediction.spans]
            answers.append((np.array(prediction.span_probabilities), np.array(right, dtype=bool)))
    return answers


def _together(answers: Sequence[Answers]) -> Answers:
    return np.concatenate([p for p, _ in answers]), np.concatenate([right for _, right in answers])


def _isotonic(p: np.ndarray, right: np.ndarray) -> tuple[tuple[float, float], ...]:
    """The knots of the non-decreasing map that is nearest to the answers in squares."""
    from scipy.optimize import isotonic_regression

    if not p.size:
        return ()
    places, inverse, counts = np.unique(p, return_inverse=True, return_counts=True)
    share = np.bincount(inverse, weights=right) / counts
    values = isotonic_regression(share, weights=counts).x
    ends = np.ones(len(places), dtype=bool)
    ends[1:-1] = (values[1:-1] != values[:-2]) | (values[1:-1] != values[2:])
    return tuple(zip(places[ends].tolist(), np.clip(values[ends], 0, 1).tolist(), strict=True))


def _ece(p: np.ndarray, right: np.ndarray) -> float:
    return expected_calibration_error(p, right)


def _bins(p: np.ndarray, right: np.ndarray) -> list[Bin]:
    return reliability(p, right)
