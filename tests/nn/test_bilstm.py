import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from chaincrf.nn import BiLSTM
from chaincrf.nn.dropout import dropout_mask


def packed_twin(encoder: BiLSTM) -> nn.LSTM:
    """PyTorch's own bidirectional LSTM with the same weights."""
    layers = len(encoder.forwards)
    twin = nn.LSTM(
        encoder.forwards[0].input_size,
        encoder.forwards[0].hidden_size,
        layers,
        batch_first=True,
        bidirectional=True,
        dtype=encoder.forwards[0].weight_hh_l0.dtype,
    )
    state = {}
    for number, (ahead, back) in enumerate(zip(encoder.forwards, encoder.backwards, strict=True)):
        for name, value in ahead.state_dict().items():
            state[name.replace("_l0", f"_l{number}")] = value
        for name, value in back.state_dict().items():
            state[name.replace("_l0", f"_l{number}_reverse")] = value
    twin.load_state_dict(state)
    return twin


def ends(mask):
    """The length of each sequence: its last token that counts is its end."""
    return torch.tensor([max((t + 1 for t, counts in enumerate(row) if counts), default=0) for row in mask])


def close(value, expected):
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)


@given(
    st.integers(1, 3),
    st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=5),
    st.integers(1, 6),
    st.sampled_from([torch.float32, torch.float64]),  # on a CPU an LSTM of its own each
)
def test_states_and_gradients_of_the_packed_lstm(layers, rows, T, dtype):
    """Any mask: gaps are read, and rows may be empty (the packed LSTM cannot take those)."""
    torch.manual_seed(0)
    mask = torch.tensor(rows)[:, :T]
    lengths = ends(mask.tolist())
    full = lengths > 0
    encoder = BiLSTM(3, 4, layers=layers).to(dtype)
    twin = packed_twin(encoder)
    inputs = torch.randn(len(rows), T, 3, dtype=dtype)
    within = torch.arange(T) < lengths[:, None]
    weights = torch.randn(len(rows), T, 8, dtype=dtype) * within[..., None]
    ours = inputs.clone().requires_grad_()
    states = encoder(ours, mask)
    (states * weights).sum().backward()
    assert torch.isfinite(states).all()
    assert (ours.grad[~within] == 0).all()
    if not full.any():
        return
    theirs = inputs[full].requires_grad_()
    packed = nn.utils.rnn.pack_padded_sequence(theirs, lengths[full], batch_first=True, enforce_sorted=False)
    expected, _ = nn.utils.rnn.pad_packed_sequence(twin(packed)[0], batch_first=True, total_length=T)
    (expected * weights[full]).sum().backward()
    close(states[within], expected[within[full]])
    close(ours.grad[full], theirs.grad)
    for number, (ahead, back) in enumerate(zip(encoder.forwards, encoder.backwards, strict=True)):
        for name, parameter in ahead.named_parameters():
            close(parameter.grad, twin.get_parameter(name.replace("_l0", f"_l{number}")).grad)
        for name, parameter in back.named_parameters():
            close(parameter.grad, twin.get_parameter(name.replace("_l0", f"_l{number}_reverse")).grad)


def test_padding_does_not_matter():
    torch.manual_seed(0)
    encoder = BiLSTM(3, 4)
    inputs = torch.randn(2, 5, 3)
    mask = torch.tensor([[True, True, True, False, False], [True] * 5])
    noisy = torch.where(mask[..., None], inputs, torch.full_like(inputs, 1e3))
    torch.testing.assert_close(encoder(inputs, mask)[mask], encoder(noisy, mask)[mask])


def test_forget_gates_start_open():
    lstm = BiLSTM(3, 4).forwards[0]
    assert (lstm.bias_ih_l0[4:8] == 1).all()
    assert (lstm.bias_hh_l0 == 0).all()
    gate = lstm.weight_hh_l0[:4]
    torch.testing.assert_close(gate @ gate.T, torch.eye(4))


def test_recurrent_dropout_is_one_draw_of_weights_for_all_steps():
    torch.manual_seed(0)
    encoder = BiLSTM(3, 4, recurrent_dropout=0.5)
    inputs, mask = torch.randn(2, 5, 3), torch.ones(2, 5, dtype=torch.bool)
    torch.manual_seed(1)
    states = encoder(inputs, mask)
    dropped = BiLSTM(3, 4)
    dropped.load_state_dict(encoder.state_dict())
    torch.manual_seed(1)
    for lstm in (dropped.forwards[0], dropped.backwards[0]):
        weights = lstm.weight_hh_l0.data
        weights *= dropout_mask(weights.shape, 0.5, weights)
    torch.testing.assert_close(states, dropped(inputs, mask))
    states.sum().backward()
    gradient = encoder.forwards[0].weight_hh_l0.grad
    assert ((gradient == 0) == (dropped.forwards[0].weight_hh_l0 == 0)).all()
    encoder.eval()
    torch.testing.assert_close(encoder(inputs, mask), encoder(inputs, mask))


def test_locked_dropout_between_layers():
    torch.manual_seed(0)
    encoder = BiLSTM(3, 50, layers=2, dropout=0.5, locked=True)
    seen = []
    encoder.forwards[1].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    encoder(torch.randn(2, 5, 3), torch.ones(2, 5, dtype=torch.bool))
    assert ((seen[0] == 0) == (seen[0] == 0)[:, :1]).all()
    assert 0.3 < (seen[0] == 0).float().mean() < 0.7
