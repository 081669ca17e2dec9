import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from chaincrf.crf import backends
from chaincrf.errors import ArgumentError
from chaincrf.nn import BiLSTM
from chaincrf.nn.fused_bilstm import FusedBiLSTM

pytest.importorskip("numba")


def both(encoder, vectors, types, lengths):
    """Ours and the encoder's states, zero beyond the ends."""
    mask = torch.arange(types.shape[1]) < torch.tensor(lengths)[:, None]
    fused = FusedBiLSTM(encoder.eval())
    with torch.inference_mode():
        expected = encoder(vectors[types], mask) * mask.unsqueeze(2)
        return fused.read(fused.project(vectors), types, np.array(lengths, dtype=np.int64)), expected


@given(
    layers=st.integers(1, 3),
    hidden=st.sampled_from([1, 3, 8, 20]),
    lengths=st.lists(st.integers(0, 9), max_size=7),
    size=st.sampled_from([0.1, 1, 5]),  # still larger weights make much of any rounding
    seed=st.integers(0, 99),
)
def test_states_are_those_of_the_encoder(layers, hidden, lengths, size, seed):
    torch.manual_seed(seed)
    encoder = BiLSTM(5, hidden, layers=layers, dropout=0.5, recurrent_dropout=0.5)
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.add_(torch.randn_like(weight) * size / 10)
    lengths = sorted(lengths, reverse=True)
    types, vectors = torch.randint(0, 11, (len(lengths), max([1, *lengths]))), torch.randn(11, 5) * size
    found, expected = both(encoder, vectors, types, lengths)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_a_long_sequence_and_one_of_usual_size():
    torch.manual_seed(1)
    shapes = ((128, [26] * 30 + [25, 3]), (4, [5000]), (100, [5] * 15 + [4]), (100, [3] * 17), (31, [2] * 33))
    for hidden, lengths in shapes:
        types = torch.randint(0, 50, (len(lengths), lengths[0]))
        found, expected = both(BiLSTM(30, hidden), torch.randn(50, 30), types, lengths)
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_the_gates_saturate_and_what_is_no_number_stays_none():
    torch.manual_seed(2)
    vectors = torch.randn(3, 5) * torch.tensor([[1e4], [1.0], [torch.nan]])
    found, expected = both(BiLSTM(5, 8), vectors, torch.tensor([[0, 1, 0], [0, 1, 2]]), [3, 3])
    assert found[1].isnan().equal(expected[1].isnan())
    assert found[1].isnan().any()
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=2e-6)


def test_a_cell_is_held_for_ever():
    """Gates that are open or shut are so exactly: else a little is lost at every step."""
    encoder = BiLSTM(1, 1)
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.zero_()
        for lstm in (*encoder.forwards, *encoder.backwards):
            lstm.weight_ih_l0[:, 0] = torch.tensor([40.0, 0, 40, 0])
            lstm.bias_ih_l0.copy_(torch.tensor([-20.0, 20, 0, 20]))
    types = torch.zeros(1, 3000, dtype=torch.int64)
    types[0, 0] = types[0, -1] = 1
    found, expected = both(encoder, torch.tensor([[0.0], [1.0]]), types, [3000])
    assert found[0, :, 0].min() > 0.7
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_autocast_and_gradients_do_not_reach_it():
    torch.manual_seed(5)
    encoder, types = BiLSTM(5, 8, layers=2), torch.randint(0, 3, (2, 4))
    vectors = torch.randn(3, 5, requires_grad=True)
    expected, _ = both(encoder, vectors, types, [4, 2])
    fused = FusedBiLSTM(encoder)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = fused.read(fused.project(vectors), types, np.array([4, 2]))
    assert found.equal(expected)
    assert not found.requires_grad


def test_a_sequence_does_not_see_the_others():
    torch.manual_seed(3)
    encoder = BiLSTM(5, 16)
    vectors, types = torch.randn(20, 5), torch.randint(0, 20, (9, 12))
    lengths = [12, 12, 9, 9, 9, 4, 2, 1, 0]
    whole, _ = both(encoder, vectors, types, lengths)
    for row, length in enumerate(lengths):
        alone, _ = both(encoder, vectors, types[row : row + 1], [length])
        torch.testing.assert_close(alone[0], whole[row], rtol=0, atol=1e-6)


def test_which_encoders_it_serves(monkeypatch):
    encoder = BiLSTM(3, 4)
    assert not FusedBiLSTM.serves(encoder.train())
    assert FusedBiLSTM.serves(encoder.eval())
    assert not FusedBiLSTM.serves(BiLSTM(3, 4).double().eval())
    assert not FusedBiLSTM.serves(BiLSTM(3, 4).to("meta").eval())
    other = BiLSTM(3, 4).eval()
    other.backwards[0] = nn.GRU(3, 4, batch_first=True)
    assert not FusedBiLSTM.serves(other)
    monkeypatch.setattr(backends, "installed", lambda package: False)
    assert not FusedBiLSTM.serves(encoder)
    with pytest.raises(ArgumentError, match="encoder: expected one of float32 on a CPU"):
        FusedBiLSTM(encoder)


WRONG = {
    "lengths ascend": (
        {"lengths": np.array([1, 2])},
        "lengths: expected 2 numbers up to 3, the longest first",
    ),
    "a length too large": ({"lengths": np.array([4, 1])}, "lengths"),
    "a length below 0": ({"lengths": np.array([2, -1])}, "lengths"),
    "too few lengths": ({"lengths": np.array([2])}, "lengths"),
    "a type too large": ({"types": torch.full((2, 3), 2)}, "types: expected int64 rows of a table of 2"),
    "a type below 0": ({"types": torch.full((2, 3), -1)}, "types"),
    "types of 32 bits": ({"types": torch.zeros(2, 3, dtype=torch.int32)}, "types"),
    "a table too narrow": ({"table": torch.zeros(2, 31)}, "table: expected float32 on a CPU, rows of 32"),
    "a table of 64 bits": ({"table": torch.zeros(2, 32).double()}, "table"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_go_together(case):
    given, message = WRONG[case]
    right = {
        "table": torch.zeros(2, 32),
        "types": torch.zeros(2, 3, dtype=torch.int64),
        "lengths": np.array([2, 1]),
    }
    with pytest.raises(ArgumentError, match=message):
        FusedBiLSTM(BiLSTM(3, 4).eval()).read(**right | given)


def test_the_number_of_threads_does_not_matter():
    torch.manual_seed(4)
    encoder, types = BiLSTM(30, 64), torch.randint(0, 50, (100, 20))
    lengths = sorted((torch.arange(100) % 20 + 1).tolist(), reverse=True)
    vectors = torch.randn(50, 30)
    expected, _ = both(encoder, vectors, types, lengths)
    torch.set_num_threads(2)
    found, _ = both(encoder, vectors, types, lengths)
    assert found.equal(expected)
