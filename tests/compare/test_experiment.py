import shutil

import pytest

from chaincrf.compare import VARIANTS, compare
from chaincrf.compare.jobs import plan_jobs
from chaincrf.compare.variants import variants_for
from chaincrf.errors import ArgumentError, ChainCRFError, NotFiniteError
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
    result = compare(
        corpus, corpus, corpus, SHORT, seeds=(1, 2), also=["crf-greedy", "crf-posterior"],
        on_run=lambda *run: runs.append(run),
    )  # fmt: skip
    return *result, runs


def test_every_variant_has_a_run_a_seed(compared):
    comparison, _, runs = compared
    names = [*(variant.name for variant in VARIANTS), "crf-greedy", "crf-posterior"]
    assert [variant.name for variant in comparison.variants] == names
    for variant in comparison.variants:
        assert [run.seed for run in variant.runs] == [1, 2]
        for run in variant.runs:
            assert set(run.test_scores) == set(REPAIRS)
            assert 1 <= run.best_epoch <= run.epochs <= 3
            assert run.train_seconds > 0
            assert sum(bin.count for bin in run.calibration.bins) == sum(s.predicted for s in run.labels)
            assert 0 <= run.exact_sentences <= run.token_accuracy <= 1
    assert [run[1:] for run in runs] == [
        (i, 6) for i in range(6)
    ]  # three trainings a seed: softmax is shared
    assert comparison.effect("crf", "softmax").standard_error is not None


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
    one = SMALL.model_copy(update={"epochs": 1, "constrain": "never"})
    for job in plan_jobs(one, ["BIOES"], [5], ["softmax-smoothed"]):
        still = job.recipe.model_copy(update={"learning_rate": 1e-12})
        model = build_model(prepared, still).model
        record = fit(model, prepared, still, decoders={"": False})
        first_losses[job.variants[0].name] = record.epochs[0].loss
    # A CRF starts with zero transitions, where its loss is the softmax's: nothing else may differ.
    assert first_losses["crf"] == pytest.approx(first_losses["softmax"], rel=1e-5)
    assert first_losses["crf-constrained"] < first_losses["crf"]
    assert first_losses["softmax-smoothed"] != pytest.approx(first_losses["softmax"], rel=1e-5)


def test_the_same_seed_gives_the_same_scores(corpus, compared):
    comparison, _, _ = compared
    again, _ = compare(corpus, corpus, corpus, SHORT, seeds=(2,))
    for variant in again.variants:
        assert variant.runs[0].test_scores == comparison.variant(variant.name).runs[1].test_scores


def test_pos_compares_what_makes_sense():
    assert [variant.name for variant in variants_for("pos")] == ["softmax", "crf"]


def test_an_interrupt_keeps_the_seeds_that_are_done(corpus):
    def stop(job, done, total):
        if len(started) > 3:  # three trainings a seed
            raise KeyboardInterrupt

    started = []
    comparison, tagger = compare(
        corpus, corpus, corpus, SHORT, seeds=(1, 2), on_run=lambda *run: started.append(run), on_progress=stop
    )
    assert comparison.seeds == [1]
    assert all(len(variant.runs) == 1 for variant in comparison.variants)
    assert tagger.tag("Ann").tags


def test_a_run_that_is_not_finite_keeps_the_seeds_that_are_done(corpus):
    def spoil(job, done, total):
        if len(started) > limit:
            raise NotFiniteError("epoch 1, step 1: the loss is nan")

    started, failures, limit = [], [], 3
    options = {"seeds": (1, 2), "on_run": lambda *run: started.append(run), "on_progress": spoil}
    comparison, _ = compare(corpus, corpus, corpus, SHORT, on_failure=failures.append, **options)
    assert comparison.seeds == [1]
    assert "the loss is nan" in str(failures[0])
    limit = 0
    with pytest.raises(NotFiniteError):
        compare(corpus, corpus, corpus, SHORT, on_failure=failures.append, **options)
    assert len(failures) == 1


def test_an_interrupt_before_the_first_seed_is_done_is_raised(corpus):
    def stop(job, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(corpus, corpus, corpus, SHORT, seeds=(1,), on_progress=stop)


@pytest.mark.parametrize("seeds", [(), (1, 1)])
def test_seeds_are_distinct(corpus, seeds):
    with pytest.raises(ArgumentError, match="seeds: expected distinct ones"):
        compare(corpus, corpus, corpus, SHORT, seeds=seeds)


def test_a_run_that_is_done_is_not_done_again(corpus, tmp_path):
    started = []

    def told(job, done, total):
        started.append(job.name)

    first, _ = compare(corpus, corpus, corpus, SHORT, seeds=(1,), folder=tmp_path, on_run=told)
    assert len(started) == 3
    assert len(list(tmp_path.glob("*.model"))) == 1  # of the best run alone
    (tmp_path / "BIOES-crf-1.json").write_text("{")  # killed while it was written, by another program
    started.clear()
    second, tagger = compare(corpus, corpus, corpus, SHORT, seeds=(1, 2), folder=tmp_path, on_run=told)
    assert started[0] == "BIOES-crf-1"
    assert [name.rsplit("-", 1)[1] for name in started[1:]] == ["2", "2", "2"]
    for variant in first.variants:
        assert second.variant(variant.name).runs[0].test_scores == variant.runs[0].test_scores
    assert tagger.tag("Ann").tags
    changed = SHORT.model_copy(update={"hidden": 8})
    started.clear()
    compare(corpus, corpus, corpus, changed, seeds=(1,), folder=tmp_path, on_run=told)
    assert len(started) == 3


def test_a_lost_model_is_trained_again(corpus, tmp_path):
    compare(corpus, corpus, corpus, SHORT, seeds=(1,), folder=tmp_path)
    (model,) = tmp_path.glob("*.model")
    shutil.rmtree(model)
    started = []
    compare(
        corpus, corpus, corpus, SHORT, seeds=(1,), folder=tmp_path, on_run=lambda *run: started.append(run[0])
    )
    assert [job.name for job in started] == [model.stem]


def test_several_schemes(corpus):
    comparison, _ = compare(corpus, corpus, corpus, SHORT, seeds=(1,), schemes=("BIOES", "BIO"))
    (other,) = comparison.other_schemes
    assert (comparison.scheme, other.scheme) == ("BIOES", "BIO")
    assert [v.name for v in other.variants] == [v.name for v in comparison.variants]
    assert set(other.tags) == {"O", "B-PER", "I-PER", "B-LOC", "I-LOC"}
    assert not any(effect.declared for effect in other.effects)
    with pytest.raises(ArgumentError, match="schemes: expected distinct"):
        compare(corpus, corpus, corpus, SHORT, seeds=(1,), schemes=("BIO", "IOB2"))


def test_an_unknown_variant_is_named(corpus):
    with pytest.raises(ArgumentError, match="also: expected one of crf-greedy"):
        compare(corpus, corpus, corpus, SHORT, seeds=(1,), also=["crf2"])


@pytest.mark.slow
def test_processes_give_the_same_results(corpus, compared):
    comparison, _, _ = compared
    also = ["crf-greedy", "crf-posterior"]
    other, _ = compare(corpus, corpus, corpus, SHORT, seeds=(1, 2), also=also, jobs=2)
    for variant in comparison.variants:
        runs = other.variant(variant.name).runs
        assert [run.test_scores for run in runs] == [run.test_scores for run in variant.runs]
        assert [run.alone for run in runs] == [True, False]  # the first seed's runs are timed
        assert all(run.peak_memory > 10**7 for run in runs)
    assert [e.mean for e in other.effects] == [e.mean for e in comparison.effects]


@pytest.mark.slow
def test_a_run_that_fails_in_its_process_says_which(corpus):
    wild = SHORT.model_copy(
        update={
            "learning_rate": 100.0,
            "weight_decay": 0.9,
            "batch_size": 1,
            "clip": 1e30,
            "optimizer": "sgd",
        }
    )
    with pytest.raises(ChainCRFError, match=r"^BIOES-softmax-1: "):
        compare(corpus, corpus, corpus, wild, seeds=(1,), jobs=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")
def test_a_ray_cluster_gives_the_same_results(corpus, compared, monkeypatch):
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    comparison, _, _ = compared
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        other, tagger = compare(
            corpus, corpus, corpus, SHORT, seeds=(1, 2), also=["crf-greedy", "crf-posterior"],
            ray=cluster.address,
        )  # fmt: skip
    finally:
        ray.shutdown()
        cluster.shutdown()
    for variant in comparison.variants:
        runs = other.variant(variant.name).runs
        assert [run.test_scores for run in runs] == [run.test_scores for run in variant.runs]
        assert not any(run.alone for run in runs)
    assert tagger.tag("Ann").tags


@pytest.mark.slow
def test_the_feature_crf_is_a_baseline(corpus):
    pytest.importorskip("sklearn_crfsuite")
    comparison, _ = compare(corpus, corpus, corpus, SHORT, seeds=(1, 2), also=["feature-crf"])
    (run,) = comparison.variant("feature-crf").runs
    assert run.test_scores["conlleval"] == 1.0  # it learns these few sentences by heart
    assert run.calibration is None
    assert len(comparison.effect("crf", "feature-crf").differences) == 2
