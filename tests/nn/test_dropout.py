import pytest
import torch

from chaincrf.nn.dropout import Dropout, LockedDropout, WordDropout, dropout_mask


def test_every_number_is_dropped_by_itself():
    torch.manual_seed(0)
    ones = torch.ones(40, 7, 50, requires_grad=True)
    dropped = Dropout(0.25)(ones)
    assert dropped.detach().unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert not torch.equal(dropped[:, 0], dropped[:, 1])
    (gradient,) = torch.autograd.grad(dropped.sum(), ones)
    assert torch.equal(gradient, dropped)


def test_the_same_components_at_all_positions():
    torch.manual_seed(0)
    dropped = LockedDropout(0.25)(torch.ones(40, 7, 50))
    assert (dropped == dropped[:, :1]).all()
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert not torch.equal(dropped[0], dropped[1])


@pytest.mark.parametrize("kind", [Dropout, LockedDropout])
def test_nothing_is_dropped_where_nothing_should_be(kind):
    states = torch.randn(2, 3, 4)
    assert kind(0.0)(states) is states
    assert kind(0.5).eval()(states) is states


@pytest.mark.parametrize("p", [1e-9, 0.1, 0.5, 0.999, 1 - 1e-9])
def test_a_mask_keeps_the_mean(p):
    torch.manual_seed(0)
    mask = dropout_mask(torch.Size((1001, 999)), p, torch.empty(0, dtype=torch.float64))
    assert mask.dtype == torch.float64
    kept = (mask > 0).double()
    assert kept.mean().item() == pytest.approx(1 - p, abs=0.002)
    assert mask.max() * kept.mean() == pytest.approx(1, rel=0.6 if p > 0.999 else 0.05)
    assert ((mask == 0) | (mask == mask.max())).all()
    # neighbours, and numbers of one draw, are independent
    for step in (1, 2, 3, 4):
        together = (kept.flatten()[step:] * kept.flatten()[:-step]).mean().item()
        assert together == pytest.approx((1 - p) ** 2, abs=0.003)


def test_a_mask_of_any_size_follows_the_seed():
    for size in range(9):
        torch.manual_seed(3)
        first = dropout_mask(torch.Size((size,)), 0.5, torch.empty(0))
        torch.manual_seed(3)
        assert first.shape == (size,)
        assert torch.equal(first, dropout_mask(torch.Size((size,)), 0.5, torch.empty(0)))


def test_words_are_dropped_only_in_training_and_padding_never():
    torch.manual_seed(0)
    drop = WordDropout(0.25)
    words = torch.full((100, 10), 3)
    words[:, 9] = 0
    dropped = drop(words)
    assert set(dropped[:, :9].flatten().tolist()) == {1, 3}
    assert (dropped == 1)[:, :9].float().mean().item() == pytest.approx(0.25, abs=0.05)
    assert (dropped[:, 9] == 0).all()
    assert drop.eval()(words) is words
    assert WordDropout(0.0)(words) is words
