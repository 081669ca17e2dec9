"""Row-wise updates against the dense optimiser, which steps every row every time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import SGD, Adam, AdamW

from chaincrf.nn.embeddings import WordEmbedding
from chaincrf.training import rows, updates
from chaincrf.training.average import Average
from chaincrf.training.rows import RowUpdates
from corpora import SMALL

from .test_checkpoint import outcome
from .test_checkpoint import train as run

ROWS, DIM = 9, 3
steps = st.lists(
    st.tuples(st.lists(st.lists(st.integers(0, ROWS + 1), min_size=1, max_size=4), min_size=1, max_size=2),
              st.floats(0, 1.5)),
    min_size=1, max_size=30,
)  # fmt: skip


class Model(nn.Module):
    """A table and a matrix, so that the norm that is clipped is of both."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.words = WordEmbedding(ROWS + 2, DIM, num_trained=ROWS)
        self.matrix = nn.Linear(DIM, 1)

    def forward(self, words):
        return self.matrix(self.words(words)).pow(3).sum()


def trained(plan, kind, *, ema, by_rows, **options):
    """Parameters, averages and optimiser after a plan of steps: (the words of some batches, a rate)."""
    model = Model().double()
    table = model.words.weight
    lazy = RowUpdates(model.words) if by_rows else None
    parameters = [value for value in model.parameters() if lazy is None or value is not table]
    parameters += [lazy.parameter] if lazy else []
    optimizer = kind(parameters, 1.0, **options)
    average = Average(model, ema, table if lazy else None)
    if lazy:
        lazy.bind(optimizer, average.by_rows)
    for batches, rate in plan:
        words = [torch.tensor([batch]) for batch in batches]
        optimizer.param_groups[0]["lr"] = 0.1 * rate
        if lazy:
            with lazy.lookup(torch.cat(words, dim=1)[0]):
                for batch in words:
                    model(batch).backward()
        else:
            for batch in words:
                model(batch).backward()
        clip_grad_norm_(parameters, 0.5)
        optimizer.step()
        optimizer.zero_grad()
        past = average.update()
        if lazy:
            lazy.store(past)
    if lazy:
        lazy.catch_up()
    own = {name: value.detach().clone() for name, value in model.named_parameters()}
    state = lazy._state if lazy else optimizer.state[table]
    with average.in_place():
        return own, {name: value.detach().clone() for name, value in model.named_parameters()}, state


def compare(plan, kind, *, tolerance, ema=0.9, **options):
    (own, mean, state), (theirs, their_mean, their_state) = (
        trained(plan, kind, ema=ema, by_rows=by_rows, **options) for by_rows in (True, False)
    )
    for ours, dense in ((own, theirs), (mean, their_mean), (state, their_state)):
        for name, value in ours.items():
            torch.testing.assert_close(value, dense[name], rtol=tolerance, atol=tolerance)


@given(steps, st.sampled_from([0.0, 0.9]), st.sampled_from([0.0, 0.1]), st.sampled_from([0.0, 0.95]))
@settings(max_examples=60)
def test_sgd_is_the_dense_one(plan, momentum, decay, ema):
    compare(plan, SGD, tolerance=1e-10, ema=ema, momentum=momentum, weight_decay=decay, fused=True)


@given(steps, st.sampled_from([0.0, 0.1]), st.sampled_from([0.0, 0.95]))
@settings(max_examples=60)
def test_adamw_is_the_dense_one_up_to_epsilon(plan, decay, ema):
    compare(plan, AdamW, tolerance=1e-10, ema=ema, weight_decay=decay, eps=1e-20, fused=True)
    if not decay:
        compare(plan, Adam, tolerance=1e-10, ema=ema, eps=1e-20, fused=True)


def test_rows_are_caught_up_when_the_window_is_full(monkeypatch):
    monkeypatch.setattr(rows, "_WINDOW", 7)
    plan = [([[step % 9]], 1.0 - step / 100) for step in range(60)]
    compare(plan, SGD, tolerance=1e-10, momentum=0.9, weight_decay=0.1)
    compare(plan, AdamW, tolerance=1e-10, weight_decay=0.1, eps=1e-20)


def test_a_row_that_no_batch_reads_is_not_touched():
    table = WordEmbedding(6, 2)
    lazy = RowUpdates(table)
    lazy.bind(SGD([lazy.parameter], 0.1, weight_decay=0.5), None)
    before = table.weight.detach().clone()
    with lazy.lookup(torch.tensor([4])):
        table(torch.tensor([[4]])).sum().backward()
    lazy._optimizer.step()
    lazy.store(0.0)
    changed = (table.weight != before).any(dim=1)
    assert changed.tolist() == [False, True, False, False, True, False], "1, the unknown word, is always read"
    lazy.catch_up()
    torch.testing.assert_close(table.weight[2], before[2] * 0.95)


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 0.01},
        {"optimizer": "adam"},
        {"optimizer": "adamw", "weight_decay": 0.1, "accumulate": 2},
    ],
    ids=["sgd", "adam", "adamw"],
)
def test_a_run_is_the_dense_one(tmp_path, monkeypatch, change):
    recipe = SMALL.model_copy(update={"epochs": 3, "dropout": 0.3, "word_dropout": 0.2, "ema": 0.9} | change)
    dense, _ = run(tmp_path, recipe)
    monkeypatch.setattr(updates, "MIN_ROWS", 0)
    lazy, _ = run(tmp_path, recipe)
    for ours, theirs in zip(lazy.epochs, dense.epochs, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-4)
    for name, value in lazy.kept[""].state.items():
        torch.testing.assert_close(value, dense.kept[""].state[name], rtol=1e-3, atol=1e-4)
    assert outcome(lazy) == outcome(run(tmp_path, recipe)[0])


def test_adam_with_l2_is_dense(tmp_path, monkeypatch):
    monkeypatch.setattr(updates, "MIN_ROWS", 0)
    model = run(tmp_path, SMALL.model_copy(update={"epochs": 1}))[1]
    assert updates.updates_rows(model, SMALL)
    assert not updates.updates_rows(model, SMALL.model_copy(update={"weight_decay": 0.1}))
