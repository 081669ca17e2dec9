import pytest

from chaincrf.compare import VARIANTS, compare
from chaincrf.compare.variants import runs_of, variants_for
from chaincrf.errors import ArgumentError, NotFiniteError
from chaincrf.labels import REPAIRS
from chaincrf.training import build_model, fit, prepare
from corpora import SMALL, toy

SHORT = SMALL.model_copy(update={"epochs": 3})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return toy(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def compared(corpus):
    runs = []
    result = compare(corpus, corpus, corpus, SHORT, seeds=(1, 2), on_run=lambda *run: runs.append(run))
    return *result, runs


def test_every_variant_has_a_run_a_seed(compared):
    comparison, _, runs = compared
    assert [variant.name for variant in comparison.variants] == [variant.name for variant in VARIANTS]
    for variant in comparison.variants:
        assert [run.seed for run in variant.runs] == [1, 2]
        for run in variant.runs:
            assert set(run.test_scores) == set(REPAIRS)
            assert 1 <= run.best_epoch <= run.epochs <= 3
            assert run.train_seconds > 0
    assert [run[2:] for run in runs] == [
        (i, 6) for i in range(6)
    ]  # three trainings a seed: softmax is shared


def test_constrained_variants_are_valid(compared):
    comparison, _, _ = compared
    for name in ("softmax-constrained", "crf-constrained"):
        for run in comparison.variant(name).runs:
            assert run.invalid_sentences == run.invalid_moves == 0
            assert len(set(run.test_scores.values())) == 1  # no ill-formed span, so nothing to repair or drop
    assert sum(run.invalid_moves for run in comparison.variant("softmax").runs) > 0


def test_the_best_tagger_by_development_score_is_returned(compared):
    comparison, tagger, _ = compared
    best = max(run.dev_score for variant in comparison.variants for run in variant.runs)
    assert tagger.bundle.config.training["dev_score"] == best
    assert tagger.tag("Ann saw Rome .").tags


def test_examples_are_sentences_on_which_variants_differ(compared):
    comparison, _, _ = compared
    assert comparison.example
    for example in comparison.example:
        assert len({tuple(tags) for tags in example["tags"].values()}) > 1
        assert not example["invalid"]["crf-constrained"]


def test_variants_are_paired_by_seed(corpus):
    """The same weights in all that is shared, the same batches, the same dropout."""
    prepared = prepare(corpus, corpus, SMALL)
    first_losses = {}
    for recipe, variants in runs_of(VARIANTS, SMALL.model_copy(update={"epochs": 1, "constrain": "never"})):
        still = recipe.model_copy(update={"seed": 5, "learning_rate": 1e-12})
        model = build_model(prepared, still).model
        record = fit(model, prepared, still, decoders={"": False})
        first_losses[variants[0].name] = record.epochs[0].loss
    # A CRF starts with zero transitions, where its loss is the softmax's: nothing else may differ.
    assert first_losses["crf"] == pytest.approx(first_losses["softmax"], rel=1e-5)
    assert first_losses["crf-constrained"] < first_losses["crf"]


def test_the_same_seed_gives_the_same_scores(corpus, compared):
    comparison, _, _ = compared
    again, _ = compare(corpus, corpus, corpus, SHORT, seeds=(2,))
    for variant in again.variants:
        assert variant.runs[0].test_scores == comparison.variant(variant.name).runs[1].test_scores


def test_pos_compares_what_makes_sense():
    assert [variant.name for variant in variants_for("pos")] == ["softmax", "crf"]


def test_an_interrupt_keeps_the_seeds_that_are_done(corpus):
    def stop(epoch):
        if len(started) > 3:  # three trainings a seed
            raise KeyboardInterrupt

    started = []
    comparison, tagger = compare(
        corpus, corpus, corpus, SHORT, seeds=(1, 2), on_run=lambda *run: started.append(run), on_epoch=stop
    )
    assert comparison.seeds == [1]
    assert all(len(variant.runs) == 1 for variant in comparison.variants)
    assert tagger.tag("Ann").tags


def test_a_run_that_is_not_finite_keeps_the_seeds_that_are_done(corpus):
    def spoil(epoch):
        if len(started) > limit:
            raise NotFiniteError("epoch 1, step 1: the loss is nan")

    started, failures, limit = [], [], 3
    options = {"seeds": (1, 2), "on_run": lambda *run: started.append(run), "on_epoch": spoil}
    comparison, _ = compare(corpus, corpus, corpus, SHORT, on_failure=failures.append, **options)
    assert comparison.seeds == [1]
    assert "the loss is nan" in str(failures[0])
    limit = 0
    with pytest.raises(NotFiniteError):
        compare(corpus, corpus, corpus, SHORT, on_failure=failures.append, **options)
    assert len(failures) == 1


def test_an_interrupt_before_the_first_seed_is_done_is_raised(corpus):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(corpus, corpus, corpus, SHORT, seeds=(1,), on_step=stop)


@pytest.mark.parametrize("seeds", [(), (1, 1)])
def test_seeds_are_distinct(corpus, seeds):
    with pytest.raises(ArgumentError, match="seeds: expected distinct ones"):
        compare(corpus, corpus, corpus, SHORT, seeds=seeds)
