import pytest
import torch

from chaincrf.nn.dropout import LockedDropout


def test_the_same_components_at_all_positions():
    torch.manual_seed(0)
    dropped = LockedDropout(0.25)(torch.ones(40, 7, 50))
    assert (dropped == dropped[:, :1]).all()
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert not torch.equal(dropped[0], dropped[1])


def test_nothing_is_dropped_where_nothing_should_be():
    states = torch.randn(2, 3, 4)
    assert LockedDropout(0.0)(states) is states
    assert LockedDropout(0.5).eval()(states) is states
