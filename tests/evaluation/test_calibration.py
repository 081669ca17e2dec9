import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.errors import ArgumentError
from chaincrf.evaluation import expected_calibration_error, operating_points, reliability

ANSWERS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]) | st.floats(0, 1), st.booleans())
)


def test_by_hand():
    confidences, correct = [0.0, 0.1, 0.6, 0.7, 1.0], [False, True, True, False, True]
    low, high = reliability(confidences, correct, bins=2)
    assert low == (0.0, 0.5, 2, pytest.approx(0.05), pytest.approx(0.5))
    assert high == (0.5, 1.0, 3, pytest.approx(2.3 / 3), pytest.approx(2 / 3))
    assert expected_calibration_error(confidences, correct, bins=2) == pytest.approx((0.9 + 0.3) / 5)


@given(ANSWERS, st.integers(1, 20))
def test_bins_hold_every_answer_once(answers, bins):
    confidences, correct = [p for p, _ in answers], [right for _, right in answers]
    found = reliability(confidences, correct, bins)
    assert sum(part.answers for part in found) == len(answers)
    for part in found:
        inside = [
            i for i, p in enumerate(confidences) if part.lower < p <= part.upper or (part.lower == 0 == p)
        ]
        assert part.answers == len(inside)
        if inside:
            assert part.confidence == pytest.approx(np.mean([confidences[i] for i in inside]))
            assert part.accuracy == pytest.approx(np.mean([correct[i] for i in inside]))
    assert 0 <= expected_calibration_error(confidences, correct, bins) <= 1


@given(ANSWERS)
def test_operating_points_are_the_best_of_all_thresholds(answers):
    confidences, correct = [p for p, _ in answers], [right for _, right in answers]
    points = operating_points(confidences, correct)
    for wanted in (0.0, 0.5, 0.8, 1.0):
        kept = {}
        for threshold in set(confidences):
            right = [r for p, r in answers if p >= threshold]
            if sum(right) / len(right) >= wanted:
                kept[threshold] = len(right)
        found = next((point for point in points if point.precision >= wanted), None)
        assert (found is None) == (not kept)
        if found is not None:
            assert found.kept == max(kept.values()) == kept[found.threshold]


def test_a_perfectly_calibrated_source():
    generator = np.random.default_rng(0)
    p = generator.uniform(size=200_000)
    assert expected_calibration_error(p, generator.uniform(size=200_000) < p) < 0.01


@pytest.mark.usefixtures("unchecked")
def test_wrong_arguments():
    with pytest.raises(ArgumentError, match="expected one for each"):
        reliability([0.5], [True, False])
    with pytest.raises(ArgumentError, match="expected probabilities"):
        operating_points([1.5], [True])
    with pytest.raises(ArgumentError, match="bins"):
        reliability([0.5], [True], 0)
