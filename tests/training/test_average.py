import pytest
import torch
from torch import nn

from chaincrf.training.average import Average


def test_it_is_the_formula():
    model = nn.Linear(2, 1, bias=False)
    average = Average(model, 0.4)
    expected = model.weight.detach().clone()
    for number in range(1, 6):
        nn.init.constant_(model.weight, number)
        average.update()
        decay = min(0.4, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * number
    with average.in_place():
        torch.testing.assert_close(model.weight.detach(), expected)
    assert (model.weight == 5).all()
    with pytest.raises(KeyboardInterrupt), average.in_place():
        raise KeyboardInterrupt
    assert (model.weight == 5).all(), "the model has its own weights back"


def test_without_decay_nothing_is_done():
    model = nn.Linear(2, 1)
    average = Average(model, 0.0)
    average.update()
    before = model.weight.detach().clone()
    with average.in_place():
        assert torch.equal(model.weight, before)
    assert average.capture()["values"] == {}
