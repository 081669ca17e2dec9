import math

import numpy as np
import pytest
import torch

from chaincrf import Sentence, Tagger
from chaincrf.data.batching import encode_tokens
from chaincrf.errors import ArgumentError, DataError
from chaincrf.evaluation import Operating
from chaincrf.tagging import Bundle, Calibration, calibrate
from chaincrf.tagging.calibration import fit_temperature, threshold_for
from tagging.models import WORDS, random_bundle


def sampled(bundle: Bundle, factor: float, number: int) -> list[Sentence]:
    """Sentences whose gold tags are drawn from the model itself, all its scores times a factor."""
    generator, random = torch.Generator().manual_seed(1), np.random.default_rng(1)
    sentences = []
    for _ in range(number):
        tokens = tuple(random.choice(WORDS, size=8).tolist())
        batch = encode_tokens([tokens], bundle.vocabulary).batch(np.array([0]))
        with torch.no_grad():
            chain = bundle.model.head.chain(bundle.model.emissions(**batch.inputs), constrained=True)
            path = chain.scaled(factor).sample(1, generator)[0, 0].tolist()
        sentences.append(Sentence(tokens, tuple(bundle.vocabulary.tags[tag] for tag in path)))
    return sentences


@pytest.mark.parametrize("head", ["crf", "softmax"])
@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_the_temperature_of_the_source_is_found(head, temperature):
    bundle = random_bundle(head=head)
    found = fit_temperature(bundle, sampled(bundle, 1 / temperature, 300))
    assert found == pytest.approx(temperature, rel=0.15)


@pytest.mark.parametrize("isotonic", [False, True])
@pytest.mark.parametrize("scheme", ["BIO", None])
def test_probabilities_are_calibrated_and_the_tags_stay(scheme, isotonic):
    bundle = random_bundle(scheme=scheme, constrained=scheme is not None)
    sentences = sampled(bundle, 1 / 3, 400)
    calibration, report = calibrate(bundle, sentences, isotonic=isotonic)
    assert report.ece[1] < 0.06 < report.ece[0]
    assert report.answers >= report.correct > 0
    assert sum(part.answers for part in report.reliability[1]) == report.answers
    after = Tagger(
        Bundle(bundle.model, bundle.vocabulary, bundle.config.model_copy(update={"calibration": calibration}))
    )
    before = Tagger(bundle)
    for sentence in sentences[:20]:
        assert after.tag(sentence).tags == before.tag(sentence).tags
    if scheme is not None:
        precision = 0.4
        found = [after.tag(s, threshold=f"precision>={precision}").spans for s in sentences]
        threshold = threshold_for(f"precision >= {precision}", calibration)
        assert threshold is not None
        assert all(span.probability >= threshold for spans in found for span in spans)


def test_thresholds():
    points = (Operating(0.1, 0.6, 10), Operating(0.5, 0.9, 6))
    calibration = Calibration(points=points)
    assert threshold_for(None, None) is None
    assert threshold_for(0.3, None) == 0.3
    assert threshold_for("precision>=0.55", calibration) == 0.1
    assert threshold_for(" precision >= .9", calibration) == 0.5
    with pytest.raises(ArgumentError, match=r"the highest precision was 0\.900, from probability 0\.500 on"):
        threshold_for("precision>=0.95", calibration)
    with pytest.raises(ArgumentError, match="needs a calibrated model"):
        threshold_for("precision>=0.95", None)
    for wrong in ("recall>=0.9", "precision>=1.2", "precision>=x"):
        with pytest.raises(ArgumentError, match="expected a probability or"):
            threshold_for(wrong, calibration)


def test_an_isotonic_map_is_the_best_non_decreasing_one():
    from chaincrf.tagging.calibration import _isotonic

    p, right = np.array([0.1, 0.2, 0.2, 0.5, 0.9]), np.array([0, 1, 0, 0, 1], dtype=bool)
    calibration = Calibration(isotonic=_isotonic(p, right))
    np.testing.assert_allclose(calibration.mapped(p), [0, 1 / 3, 1 / 3, 1 / 3, 1], atol=1e-9)
    assert calibration.mapped(np.array([0.0, 1.0])).tolist() == [0.0, 1.0]


def test_data_that_teach_nothing():
    bundle = random_bundle()
    with pytest.raises(DataError, match="expected gold tags"):
        calibrate(bundle, [Sentence(("Ann",))])
    with pytest.raises(DataError, match="finds something, found none"):
        calibrate(bundle, [])
    assert math.isfinite(fit_temperature(bundle, [Sentence(("Ann",), ("I-PER",))]))  # which is forbidden
