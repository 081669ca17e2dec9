"""The statistics on data with known answers: crossed seed and sentence effects, with and without a gain."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from chaincrf.errors import ArgumentError
from chaincrf.evaluation.significance import POWER, by_unit, crossed_effect, holm, ratio_contributions

SENTENCES = 940


def tables(generator, count, seeds, share, *, mean=0.0, sentences=SENTENCES):
    """Random tables d[s, i] = mean + seed + sentence + residual whose mean has the standard error 1.

    Args:
        share: the part of the mean's variance that comes from the seeds.
    """
    sentence, residual = 1.0, 4.0
    scale = (1 - share) / (sentence / sentences + residual / (seeds * sentences))
    for _ in range(count):
        yield (
            mean
            + math.sqrt(share * seeds) * generator.standard_normal((seeds, 1))
            + math.sqrt(scale * sentence) * generator.standard_normal((1, sentences))
            + math.sqrt(scale * residual) * generator.standard_normal((seeds, sentences))
        )


def share_below(tables, level=0.05):
    p = [crossed_effect(table).p for table in tables]
    return np.mean(np.array(p) < level)


@pytest.mark.parametrize("share", [0.0, 0.7])
@pytest.mark.parametrize(("seeds", "most"), [(2, 0.08), (3, 0.07), (5, 0.06), (10, 0.055)])
def test_false_alarms_are_rare(seeds, most, share):
    """The exact rate is at most .077, .067, .057 and .052; the bound leaves 2.5 standard errors of 400."""
    count = 400
    rate = share_below(tables(np.random.default_rng(seeds), count, seeds, share))
    assert rate <= most + 2.5 * math.sqrt(most * (1 - most) / count)


def test_seeds_alone_and_pooled_pairs_raise_false_alarms():
    """What this test replaces, on tables without an effect in which seeds hardly differ, or differ."""
    generator, count = np.random.default_rng(1), 300
    still = np.array([stats.ttest_1samp(d.mean(1), 0).pvalue for d in tables(generator, count, 5, 0.05)])
    pooled = np.array([stats.ttest_1samp(d.ravel(), 0).pvalue for d in tables(generator, count, 5, 0.5)])
    assert (still < 0.05).mean() > 0.1
    assert (pooled < 0.05).mean() > 0.2


@pytest.mark.parametrize(("seeds", "share"), [(2, 0.0), (3, 0.0), (5, 0.3), (10, 0.3)])
def test_a_planted_effect_is_found_with_the_stated_power(seeds, share):
    generator, count = np.random.default_rng(seeds), 300
    stated = np.mean([crossed_effect(d).detectable for d in tables(generator, 100, seeds, share)])
    found = share_below(tables(generator, count, seeds, share, mean=stated))
    assert POWER - 0.06 <= found <= POWER + 0.17  # more than stated where the test is conservative


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_cover(seeds):
    inside = [
        effect.low <= 3 <= effect.high
        for effect in map(crossed_effect, tables(np.random.default_rng(2), 300, seeds, 0.5, mean=3.0))
    ]
    assert np.mean(inside) >= 0.91


def test_false_alarms_on_counts():
    """F1 of taggers that differ in few sentences: sparse, skewed, and no difference in truth."""
    generator, count, seeds = np.random.default_rng(3), 300, 5
    alarms = 0
    for _ in range(count):
        gold = generator.poisson(1.0, SENTENCES)
        hard = generator.beta(1, 4, SENTENCES)
        scores = []
        for _ in range(2):
            quality = np.clip(hard + 0.02 * generator.standard_normal((seeds, 1)), 0, 1)
            correct = generator.binomial(gold, 1 - quality, (seeds, SENTENCES))
            wrong = generator.binomial(gold + 1, quality / 3)
            scores.append(ratio_contributions(2 * correct, correct + wrong + gold))
        alarms += crossed_effect(scores[0] - scores[1]).p < 0.05
    assert alarms / count <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / count)


def test_the_components_are_found_again():
    d = np.concatenate([next(tables(np.random.default_rng(k), 1, 40, 0.5)) for k in range(10)])
    effect = crossed_effect(d[:40])
    assert effect.seed_variance == pytest.approx(20, rel=0.6)
    scale = 0.5 / (1 / SENTENCES + 4 / (40 * SENTENCES))
    assert effect.unit_variance == pytest.approx(scale, rel=0.2)
    assert effect.residual_variance == pytest.approx(4 * scale, rel=0.1)


def test_the_analysis_of_variance_by_hand():
    d = np.array([[1.0, 2.0, 6.0], [3.0, 2.0, 10.0]])
    effect = crossed_effect(d)
    # row means 3 and 5, column means 2, 2, 8, mean 4
    seed, unit = 3 * 2.0, 2 * 12.0
    residual = float(((d - [[3], [5]] - [[2, 2, 8]] + 4) ** 2).sum() / 2)
    assert effect.mean == 4
    assert effect.residual_variance == residual == 2
    assert effect.standard_error == pytest.approx(math.sqrt((seed + unit - residual) / 6))
    df = (seed + unit - residual) ** 2 / (seed**2 / 1 + unit**2 / 2 + residual**2 / 2)
    assert effect.df == pytest.approx(df)
    assert effect.p == pytest.approx(2 * stats.t.sf(4 / effect.standard_error, df))
    assert crossed_effect(-d).low == pytest.approx(-effect.high)


def test_taggers_that_agree_everywhere():
    effect = crossed_effect(np.zeros((3, 5)))
    assert (effect.mean, effect.p, effect.low, effect.high) == (0, 1, 0, 0)


@pytest.mark.parametrize("shape", [(1, 5), (5, 1)])
def test_one_seed_or_one_sentence_is_no_design(shape):
    with pytest.raises(ArgumentError, match="at least 2 seeds and 2 units"):
        crossed_effect(np.zeros(shape))


counts = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8)


@given(counts)
def test_contributions_average_to_f1(table):
    correct, missed, wrong = np.array(table).T
    numerator, denominator = 2 * correct, 2 * correct + missed + wrong
    f1 = numerator.sum() / denominator.sum() if denominator.sum() else 0.0
    assert ratio_contributions(numerator, denominator).mean() == pytest.approx(f1)


def test_contributions_are_the_jackknife_to_first_order():
    generator = np.random.default_rng(4)
    denominator = generator.poisson(4, 400) + 1
    numerator = generator.binomial(denominator, 0.7)
    values = ratio_contributions(numerator, denominator)
    left_out = (numerator.sum() - numerator) / (denominator.sum() - denominator)
    jackknife = math.sqrt(399 / 400 * ((left_out - left_out.mean()) ** 2).sum())
    assert values.std(ddof=1) / math.sqrt(400) == pytest.approx(jackknife, rel=0.01)


@pytest.mark.usefixtures("unchecked")
def test_contributions_need_one_shape():
    with pytest.raises(ArgumentError, match="expected the shape of the numerator"):
        ratio_contributions(np.zeros(3), np.zeros(4))


def test_sentences_are_summed_by_document():
    values = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    assert by_unit(values, [0, 1, 0, 2]).tolist() == [[4, 2, 4], [12, 6, 8]]


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=6))
def test_holm_keeps_the_order_and_is_no_easier(p_values):
    adjusted = holm(p_values)
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert sorted(adjusted) == [adjusted[i] for i in order]
