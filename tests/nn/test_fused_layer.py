import contextlib
import copy
import inspect

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from chaincrf.crf import backends
from chaincrf.errors import ArgumentError
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


def compare(encoder, lengths, size=1.0, tolerance=3e-6):
    """Against PyTorch's own LSTM in doubles; each gradient relative to its largest number."""
    inputs = size * torch.randn(len(lengths), max([1, *lengths]), encoder.forwards[0].input_size)
    weights = torch.randn(*inputs.shape[:2], encoder.output_size)
    assert all(serves(pair, inputs) for pair in pairs(encoder))
    exact = copy.deepcopy(encoder).double()
    assert not any(serves(pair, inputs.double()) for pair in pairs(exact))
    expected = results(exact, inputs.double(), lengths, weights.double())
    for value, true in zip(results(encoder, inputs, lengths, weights), expected, strict=True):
        scale = max(1.0, true.abs().max().item())
        torch.testing.assert_close(value.double() / scale, true / scale, rtol=0, atol=tolerance)


@given(
    layers=st.integers(1, 2),
    hidden=st.sampled_from([1, 3, 8, 20]),
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=7),
    size=st.sampled_from([0.1, 1.0, 5.0]),
    seed=st.integers(0, 99),
)
@example(layers=1, hidden=1, lengths=[0, 0, 0, 0, 9], size=5.0, seed=57)  # 3.1e-6 of the input weights
def test_states_and_gradients(layers, hidden, lengths, size, seed):
    """The slope of a gate is rounded as 1 is, even where it is nearly 0; large inputs multiply that."""
    torch.manual_seed(seed)
    compare(BiLSTM(5, hidden, layers=layers), lengths, size, tolerance=6e-6 if size > 1 else 3e-6)


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
    for total in (encoder(inputs, mask).square().sum(), encoder(inputs, mask).sum()):
        (first,) = torch.autograd.grad(total, inputs, retain_graph=True)
        (again,) = torch.autograd.grad(total, inputs, retain_graph=True)
        assert torch.equal(first, again)
        with pytest.raises(RuntimeError, match="differentiated once"):
            torch.autograd.grad(total, inputs, create_graph=True)


def test_a_batch_without_a_token_leaves_the_gradient_that_comes_in():
    inputs, slope = torch.randn(2, 5, 3, requires_grad=True), torch.ones(2, 5, 8)
    BiLSTM(3, 4)(inputs, torch.zeros(2, 5).bool()).backward(slope)
    assert (slope == 1).all()
    assert (inputs.grad == 0).all()


def test_a_mask_of_another_shape():
    with pytest.raises(ArgumentError, match=r"mask: expected \(2, 5\).*got \(1, 5\)"):
        inspect.unwrap(BiLSTM.forward)(BiLSTM(3, 4), torch.randn(2, 5, 3), torch.ones(1, 5).bool())
    mask = torch.ones(2, 5).bool()
    with pytest.raises(ArgumentError, match=r"learned: expected \(2, 5\).*got \(5, 2\)"):
        inspect.unwrap(BiLSTM.forward)(BiLSTM(3, 4), torch.randn(2, 5, 3), mask, mask.mT)


@pytest.mark.parametrize("layers", [1, 2])
def test_where_nothing_is_learned_of_the_input_its_gradient_is_zero(layers):
    torch.manual_seed(10)
    encoder, inputs = BiLSTM(3, 4, layers=layers), torch.randn(3, 5, 3, requires_grad=True)
    mask, learned = torch.arange(5) < torch.tensor([5, 3, 0])[:, None], torch.rand(3, 5) < 0.5
    wanted = [inputs, *encoder.parameters()]
    (whole, *expected), (some, *found), (none, *_) = (
        torch.autograd.grad(encoder(inputs, mask, of).square().sum(), wanted)
        for of in (None, learned, torch.zeros(3, 5).bool())
    )
    assert all(map(torch.equal, found, expected))
    torch.testing.assert_close(some, whole * learned[..., None])
    assert (some != 0).any()
    assert (none == 0).all()


def test_recurrent_dropout_is_that_of_the_weights():
    torch.manual_seed(6)
    encoder, inputs = BiLSTM(3, 4, recurrent_dropout=0.5), torch.randn(2, 5, 3)
    exact = copy.deepcopy(encoder)
    exact.forwards[0].register_forward_hook(lambda *given: None)  # then PyTorch computes it
    both = []
    for one in (encoder, exact):
        torch.manual_seed(7)
        both.append(results(one, inputs, [5, 3], torch.ones(2, 5, 8)))
    for value, expected in zip(*both, strict=True):
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-5)


def test_the_number_of_threads_changes_no_state():
    torch.manual_seed(8)
    encoder, inputs, mask = BiLSTM(30, 100), torch.randn(40, 20, 30), torch.ones(40, 20).bool()
    threads, states = torch.get_num_threads(), []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        states.append(encoder(inputs, mask))
    torch.set_num_threads(threads)
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])


def test_backward_within_autocast():
    torch.manual_seed(9)
    encoder, inputs, mask = BiLSTM(3, 4), torch.randn(2, 5, 3, requires_grad=True), torch.ones(2, 5).bool()
    (expected,) = torch.autograd.grad(encoder(inputs, mask).sum(), inputs)
    total = encoder(inputs, mask).sum()
    with torch.autocast("cpu"):
        (found,) = torch.autograd.grad(total, inputs)
    assert torch.equal(found, expected)


def test_frozen_parameters_and_inputs_get_no_gradient():
    encoder, mask = BiLSTM(3, 4), torch.ones(2, 5).bool()
    encoder.backwards[0].weight_hh_l0.requires_grad_(False)
    inputs = torch.randn(2, 5, 3)
    encoder(inputs, mask).sum().backward()
    assert inputs.grad is encoder.backwards[0].weight_hh_l0.grad is None
    assert encoder.forwards[0].weight_hh_l0.grad is not None


@pytest.mark.parametrize(
    "what", ["numba", "hook", "backward hook", "autocast", "double", "kind", "transform", "mode"]
)
def test_what_it_does_not_serve_pytorch_computes(what, monkeypatch):
    torch.manual_seed(5)
    encoder, inputs = BiLSTM(3, 4), torch.randn(2, 5, 3)
    read = torch.ones(2, 5, dtype=torch.bool)
    weights = *encoder.forwards[0].all_weights[0], *encoder.backwards[0].all_weights[0]
    expected = fused_layer(inputs, Sequences.of(read), None, *weights)
    if what == "numba":
        monkeypatch.setattr(backends, "installed", lambda name: False)
    elif what == "hook":
        encoder.forwards[0].register_forward_hook(lambda *given: None)
    elif what == "backward hook":
        encoder.backwards[0].register_full_backward_hook(lambda *given: None)
    elif what == "double":
        encoder.double()
    elif what == "kind":
        encoder.backwards[0].__class__ = type("Own", (torch.nn.LSTM,), {})
    mode = FlopCounterMode(display=False) if what == "mode" else contextlib.nullcontext()
    with torch.autocast("cpu", enabled=what == "autocast"), mode:
        inputs = inputs.double() if what == "double" else inputs
        if what == "transform":
            found = torch.func.grad(lambda given: encoder(given, read).sum())(inputs)
            inputs.requires_grad_()
            (expected,) = torch.autograd.grad(encoder(inputs, read).sum(), inputs)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
            return
        assert not serves(pairs(encoder)[0], inputs)
        found = encoder(inputs, read)
    tolerance = 0.05 if what == "autocast" else 1e-5
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=tolerance)
