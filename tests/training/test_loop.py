import math
from statistics import fmean

import numpy as np
import pytest
import torch

from chaincrf.errors import ConfigError, NotFiniteError
from chaincrf.nn import BiLSTMTagger
from chaincrf.tagging import predict_tags
from chaincrf.training import Epoch, Kept, build_model, fit, prepare
from chaincrf.training.finite import FiniteCheck
from chaincrf.training.loop import dev_score
from corpora import SMALL, toy


def run(path, recipe=SMALL, **options):
    corpus = toy(path)
    prepared = prepare(corpus, corpus, recipe)
    model = build_model(prepared, recipe).model
    return fit(model, prepared, recipe, **options), model, prepared


@pytest.mark.parametrize("head", ["crf", "softmax"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_learns_the_toy_corpus(tmp_path, head, optimizer):
    rate = 0.02 if optimizer == "adam" else 0.2
    result, model, prepared = run(
        tmp_path, SMALL.model_copy(update={"head": head, "optimizer": optimizer, "learning_rate": rate})
    )
    (kept,) = result.kept.values()
    assert kept.score == 1
    assert result.epochs[-1].loss < result.epochs[0].loss
    kept.restore(model)
    (tags,) = predict_tags(model, prepared.dev, prepared.vocabulary.tags)
    assert [tuple(path) for path in tags] == [tuple(path) for path in prepared.dev_tags]


def test_a_seed_gives_the_same_run(tmp_path):
    short = SMALL.model_copy(update={"epochs": 3})
    (first, *_), (second, *_) = run(tmp_path, short), run(tmp_path, short)
    other, *_ = run(tmp_path, short.model_copy(update={"seed": 2}))
    losses = [[epoch.loss for epoch in result.epochs] for result in (first, second, other)]
    assert losses[0] == losses[1] != losses[2]


def test_every_decoder_keeps_its_own_best_epoch(tmp_path):
    recipe = SMALL.model_copy(update={"head": "softmax", "epochs": 10, "patience": 10})
    result, model, prepared = run(tmp_path, recipe, decoders={"free": False, "constrained": True})
    for name, way in (("free", False), ("constrained", True)):
        kept = result.kept[name]
        scores = [epoch.scores[name] for epoch in result.epochs]
        assert kept.score == max(scores) > 0
        assert kept.epoch == scores.index(max(scores)) + 1
        kept.restore(model)
        (tags,) = predict_tags(model, prepared.dev, prepared.vocabulary.tags, constrained=[way])
        assert dev_score(prepared.dev_tags, tags, prepared.scheme) == kept.score


def test_stops_when_development_stops_improving(tmp_path):
    recipe = SMALL.model_copy(update={"patience": 2, "epochs": 50})
    result, *_ = run(tmp_path, recipe)
    (kept,) = result.kept.values()
    assert len(result.epochs) == kept.epochs == kept.epoch + 2 < 50


def test_a_decoder_watches_until_its_own_patience_ends():
    model = BiLSTMTagger(num_words=3, num_tags=2, word_dim=2, hidden=2)
    early, late = Kept(patience=2), Kept(patience=2)
    for number, (first, second) in enumerate([(0.5, 0.0), (0.4, 0.0), (0.4, 0.0), (0.9, 0.7)], start=1):
        epoch = Epoch(number, 1.0, {}, train_seconds=1.0)
        early.watch(first, epoch, model)
        late.watch(second, epoch, model)
    assert (early.score, early.epoch, early.epochs, early.train_seconds) == (0.5, 1, 3, 3)
    assert early.finished
    assert (late.score, late.epoch, late.epochs) == (0.7, 4, 4), "zeros do not use the patience up"
    assert not late.finished


def test_a_device_that_is_not_there(tmp_path):
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="device: expected one that this machine has, got 'cuda'"):
            run(tmp_path, SMALL.model_copy(update={"device": "cuda"}))
        with pytest.raises(ConfigError, match="precision: 16-mixed needs a GPU"):
            run(tmp_path, SMALL.model_copy(update={"device": "auto", "precision": "16-mixed"}))


def test_reports_every_step_and_epoch(tmp_path):
    steps, epochs = [], []
    recipe = SMALL.model_copy(update={"epochs": 2, "batch_size": 8})
    run(tmp_path, recipe, on_step=lambda *step: steps.append(step), on_epoch=epochs.append)
    assert [step[:2] for step in steps] == [(i + 1, 6) for i in range(6)]
    assert [epoch.number for epoch in epochs] == [1, 2]
    losses = [loss.item() for *_, loss in steps]
    assert [epoch.loss for epoch in epochs] == pytest.approx([fmean(losses[:3]), fmean(losses[3:])])


def test_interrupt_keeps_what_was_best(tmp_path):
    def stop(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    result, *_ = run(tmp_path, on_epoch=stop)
    assert result.interrupted
    assert next(iter(result.kept.values())).state
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, on_step=lambda *_: stop(type("E", (), {"number": 2})))


def test_a_loss_that_is_not_finite_is_an_error(tmp_path):
    corpus = toy(tmp_path)
    prepared = prepare(corpus, corpus, SMALL)
    model = build_model(prepared, SMALL).model
    with torch.no_grad():
        model.projection.bias[0] = math.nan
    before = model.projection.weight.detach().clone()
    with pytest.raises(
        NotFiniteError, match=r"epoch 1, step 1: the loss is nan; the batch: sentences \d+, \d+, \d+, \d+ of"
    ):
        fit(model, prepared, SMALL)
    assert torch.equal(model.projection.weight, before), "no step was taken"


def test_a_loss_that_is_not_finite_keeps_what_was_best(tmp_path):
    corpus = toy(tmp_path)
    prepared = prepare(corpus, corpus, SMALL)
    model = build_model(prepared, SMALL).model

    def spoil(epoch):
        if epoch.number == 2:
            with torch.no_grad():
                model.projection.bias[0] = math.inf

    result = fit(model, prepared, SMALL, on_epoch=spoil)
    assert "epoch 3, step 1" in str(result.failure)
    assert len(result.epochs) == 2
    result.kept[""].restore(model)
    assert all(value.isfinite().all() for value in model.parameters())


def test_a_gradient_that_is_not_finite_is_found_before_the_step():
    batch = np.array([0, 1])
    check = FiniteCheck(3)
    check.check(1, [batch], torch.tensor(1.0), torch.tensor(2.0))
    with pytest.raises(
        NotFiniteError, match="epoch 3, step 2: the gradient's norm is inf; the batch: sentences 1, 2"
    ):
        check.check(2, [batch], torch.tensor(1.0), torch.tensor(math.inf))
    FiniteCheck(3, gradient=False).check(2, [batch], torch.tensor(1.0), torch.tensor(math.inf))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_weight_decay_keeps_weights_small(tmp_path, optimizer):
    recipe = SMALL.model_copy(update={"optimizer": optimizer, "epochs": 3})
    _, free, _ = run(tmp_path, recipe)
    _, held, _ = run(tmp_path, recipe.model_copy(update={"weight_decay": 0.3}))
    assert held.encoder.forwards[0].weight_hh_l0.norm() < free.encoder.forwards[0].weight_hh_l0.norm()


@pytest.mark.parametrize("head", ["crf", "softmax"])
def test_accumulated_batches_are_one_batch(tmp_path, head):
    """The step of several batches, of different sizes too, is the step of all their sentences."""
    one = SMALL.model_copy(
        update={"head": head, "dropout": 0.0, "word_dropout": 0.0, "epochs": 1, "batch_size": 20}
    )
    one = one.model_copy(update={"optimizer": "sgd", "learning_rate": 0.1})
    several = one.model_copy(update={"batch_size": 6, "accumulate": 4})  # 6, 6, 6 and 2 sentences
    (whole, model, _), (parts, other, _) = run(tmp_path, one), run(tmp_path, several)
    assert parts.epochs[0].loss == pytest.approx(whole.epochs[0].loss, rel=1e-5)
    for name, value in model.named_parameters():
        torch.testing.assert_close(other.get_parameter(name), value, rtol=1e-4, atol=1e-6)


def test_the_average_is_what_is_evaluated_and_kept(tmp_path):
    recipe = SMALL.model_copy(update={"ema": 0.5, "epochs": 4, "patience": 9})
    result, model, prepared = run(tmp_path, recipe)
    last = {name: value.detach().clone() for name, value in model.named_parameters()}
    kept = result.kept[""]
    kept.restore(model)
    assert any(not torch.equal(value, last[name]) for name, value in model.named_parameters())
    (tags,) = predict_tags(model, prepared.dev, prepared.vocabulary.tags)
    assert dev_score(prepared.dev_tags, tags, prepared.scheme) == kept.score
    plain, raw, _ = run(tmp_path, recipe.model_copy(update={"ema": 0.0}))
    assert [epoch.loss for epoch in plain.epochs] == [epoch.loss for epoch in result.epochs]
    assert all(torch.equal(value, last[name]) for name, value in raw.named_parameters())


def test_batches_by_tokens(tmp_path):
    result, *_ = run(tmp_path, SMALL.model_copy(update={"batch_tokens": 28}))
    assert result.kept[""].score == 1
