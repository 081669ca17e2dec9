import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.errors import ArgumentError
from chaincrf.evaluation.calibration import expected_calibration_error, reliability

predictions = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=40)


@given(predictions, st.integers(1, 12))
def test_bins_hold_every_prediction_once(pairs, bins):
    confidences, correct = [c for c, _ in pairs], [r for _, r in pairs]
    found = reliability(confidences, correct, bins)
    assert sum(bin.number for bin in found) == len(pairs)
    assert sum(bin.number * bin.accuracy for bin in found) == pytest.approx(sum(correct))
    for bin in found:
        assert bin.low - 1e-9 <= bin.confidence <= bin.high + 1e-9
    assert 0 <= expected_calibration_error(confidences, correct, bins) <= 1


def test_by_hand():
    found = reliability([0.0, 0.5, 0.51, 1.0], [False, True, False, True], 2)
    assert [(bin.number, bin.accuracy) for bin in found] == [(2, 0.5), (2, 0.5)]
    assert expected_calibration_error([0.0, 0.5, 0.51, 1.0], [False, True, False, True], 2) == pytest.approx(
        0.5 * 0.25 + 0.5 * 0.255
    )
    assert expected_calibration_error([], []) == 0


def test_true_probabilities_are_calibrated():
    generator = np.random.default_rng(0)
    confidences = generator.random(20_000)
    correct = generator.random(20_000) < confidences
    assert expected_calibration_error(confidences.tolist(), correct.tolist()) < 0.02
    assert expected_calibration_error((confidences**4).tolist(), correct.tolist()) > 0.2


@pytest.mark.parametrize(
    ("confidences", "correct", "bins"), [([0.5], [], 10), ([1.5], [True], 10), ([0.5], [True], 0)]
)
def test_bad_input(confidences, correct, bins):
    with pytest.raises(ArgumentError):
        reliability(confidences, correct, bins)
