import pytest
import torch
from torch import nn

from chaincrf.nn import BiLSTM


def packed_twin(encoder: BiLSTM) -> nn.LSTM:
    """PyTorch's own bidirectional LSTM with the same weights."""
    layers = len(encoder.forwards)
    twin = nn.LSTM(
        encoder.forwards[0].input_size,
        encoder.forwards[0].hidden_size,
        layers,
        batch_first=True,
        bidirectional=True,
    )
    state = {}
    for number, (ahead, back) in enumerate(zip(encoder.forwards, encoder.backwards, strict=True)):
        for name, value in ahead.state_dict().items():
            state[name.replace("_l0", f"_l{number}")] = value
        for name, value in back.state_dict().items():
            state[name.replace("_l0", f"_l{number}_reverse")] = value
    twin.load_state_dict(state)
    return twin


@pytest.mark.parametrize("layers", [1, 2])
def test_equal_to_the_packed_lstm(layers):
    torch.manual_seed(0)
    encoder = BiLSTM(5, 4, layers=layers)
    lengths = torch.tensor([7, 1, 4, 6])
    mask = torch.arange(7) < lengths[:, None]
    inputs = torch.randn(4, 7, 5)
    packed = nn.utils.rnn.pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = nn.utils.rnn.pad_packed_sequence(packed_twin(encoder)(packed)[0], batch_first=True)
    states = encoder(inputs, mask)
    torch.testing.assert_close(states[mask], expected[mask])


def test_padding_does_not_matter():
    torch.manual_seed(0)
    encoder = BiLSTM(3, 4)
    inputs = torch.randn(2, 5, 3)
    mask = torch.tensor([[True, True, True, False, False], [True] * 5])
    noisy = torch.where(mask[..., None], inputs, torch.full_like(inputs, 1e3))
    torch.testing.assert_close(encoder(inputs, mask)[mask], encoder(noisy, mask)[mask])


def test_an_empty_row_and_a_gap():
    encoder = BiLSTM(3, 4)
    mask = torch.tensor([[False, False, False], [True, False, True]])
    states = encoder(torch.randn(2, 3, 3), mask)
    assert states.shape == (2, 3, 8)
    assert torch.isfinite(states).all()


def test_forget_gates_start_open():
    lstm = BiLSTM(3, 4).forwards[0]
    assert (lstm.bias_ih_l0[4:8] == 1).all()
    assert (lstm.bias_hh_l0 == 0).all()
    gate = lstm.weight_hh_l0[:4]
    torch.testing.assert_close(gate @ gate.T, torch.eye(4))
