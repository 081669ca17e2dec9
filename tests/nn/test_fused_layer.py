import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.crf import backends
from chaincrf.nn import BiLSTM
from chaincrf.nn.fused_layer import Sequences, fused_layer, serves

pytest.importorskip("numba")


def pairs(encoder):
    return list(zip(encoder.forwards, encoder.backwards, strict=True))


def results(encoder, inputs, lengths, weights):
    """The states, zero where padded, and the gradients of the input and of all parameters."""
    inputs = inputs.detach().clone().requires_grad_()
    mask = torch.arange(inputs.shape[1]) < torch.tensor(lengths)[:, None]
    states = encoder(inputs, mask) * mask[..., None]
    gradients = torch.autograd.grad((states * weights).sum(), [inputs, *encoder.parameters()])
    return [states.detach(), *gradients]


def compare(encoder, lengths, size=1.0):
    """Against PyTorch's own LSTM in doubles; each gradient relative to its largest number."""
    inputs = size * torch.randn(len(lengths), max([1, *lengths]), encoder.forwards[0].input_size)
    weights = torch.randn(*inputs.shape[:2], encoder.output_size)
    assert all(serves(pair, inputs) for pair in pairs(encoder))
    exact = copy.deepcopy(encoder).double()
    assert not any(serves(pair, inputs.double()) for pair in pairs(exact))
    expected = results(exact, inputs.double(), lengths, weights.double())
    for value, true in zip(results(encoder, inputs, lengths, weights), expected, strict=True):
        scale = max(1.0, true.abs().max().item())
        torch.testing.assert_close(value.double() / scale, true / scale, rtol=0, atol=3e-6)


@given(
    layers=st.integers(1, 2),
    hidden=st.sampled_from([1, 3, 8, 20]),
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=7),
    size=st.sampled_from([0.1, 1.0, 5.0]),
    seed=st.integers(0, 99),
)
def test_states_and_gradients(layers, hidden, lengths, size, seed):
    torch.manual_seed(seed)
    compare(BiLSTM(5, hidden, layers=layers), lengths, size)


def test_tiles_and_usual_sizes():
    """Full and broken tiles, in any order of lengths; states that fill no register; a long sequence."""
    torch.manual_seed(1)
    shapes = (
        (128, [25, 3] + [26] * 30),
        (4, [300, 0]),
        (100, [4] + [5] * 15),
        (100, [3] * 17),
        (31, [2] * 33),
    )
    for hidden, lengths in shapes:
        compare(BiLSTM(30, hidden), lengths)


def test_gates_that_are_shut():
    torch.manual_seed(2)
    compare(BiLSTM(5, 8), [6, 4], size=1e4)


def test_what_is_no_number_stays_none():
    torch.manual_seed(3)
    inputs = torch.randn(2, 4, 5)
    inputs[0, 1, 2] = torch.nan
    states, gradient, *rest = results(BiLSTM(5, 8), inputs, [4, 4], torch.ones(2, 4, 16))
    assert states[0].isnan().any()
    assert not states[1].isnan().any()
    assert not gradient[1].isnan().any()
    assert all(value.isnan().any() for value in (gradient[0], *rest))


def test_a_graph_can_be_gone_through_again_but_not_differentiated_twice():
    torch.manual_seed(4)
    encoder, inputs, mask = BiLSTM(3, 4), torch.randn(2, 5, 3, requires_grad=True), torch.ones(2, 5).bool()
    total = encoder(inputs, mask).square().sum()
    (first,) = torch.autograd.grad(total, inputs, retain_graph=True)
    (again,) = torch.autograd.grad(total, inputs, create_graph=True)
    assert torch.equal(first, again)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        again.sum().backward()


def test_frozen_parameters_and_inputs_get_no_gradient():
    encoder, mask = BiLSTM(3, 4), torch.ones(2, 5).bool()
    encoder.backwards[0].weight_hh_l0.requires_grad_(False)
    inputs = torch.randn(2, 5, 3)
    encoder(inputs, mask).sum().backward()
    assert inputs.grad is encoder.backwards[0].weight_hh_l0.grad is None
    assert encoder.forwards[0].weight_hh_l0.grad is not None


@pytest.mark.parametrize("what", ["numba", "hook", "autocast", "double", "kind"])
def test_what_it_does_not_serve_pytorch_computes(what, monkeypatch):
    torch.manual_seed(5)
    encoder, inputs = BiLSTM(3, 4), torch.randn(2, 5, 3)
    read = torch.ones(2, 5, dtype=torch.bool)
    expected = fused_layer(
        inputs, Sequences.of(read), *encoder.forwards[0].all_weights[0], *encoder.backwards[0].all_weights[0]
    )
    if what == "numba":
        monkeypatch.setattr(backends, "installed", lambda name: False)
    elif what == "hook":
        encoder.forwards[0].register_forward_hook(lambda *given: None)
    elif what == "double":
        encoder.double()
    elif what == "kind":
        encoder.backwards[0].__class__ = type("Own", (torch.nn.LSTM,), {})
    with torch.autocast("cpu", enabled=what == "autocast"):
        inputs = inputs.double() if what == "double" else inputs
        assert not serves(pairs(encoder)[0], inputs)
        found = encoder(inputs, read)
    tolerance = 0.05 if what == "autocast" else 1e-5
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=tolerance)
