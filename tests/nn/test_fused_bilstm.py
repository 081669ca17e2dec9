import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.crf import backends
from chaincrf.errors import ArgumentError
from chaincrf.nn import BiLSTM, FusedBiLSTM

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
    for hidden, lengths in ((128, [26] * 30 + [25, 3]), (4, [5000])):
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
    monkeypatch.setattr(backends, "installed", lambda package: False)
    assert not FusedBiLSTM.serves(encoder)


@pytest.mark.parametrize("lengths", [[1, 2], [4, 1], [2, -1]])
def test_lengths_that_do_not_fit(lengths):
    encoder = BiLSTM(3, 4).eval()
    with pytest.raises(ArgumentError, match="lengths: expected at most 3, the longest first"):
        both(encoder, torch.randn(2, 3), torch.zeros(2, 3, dtype=torch.int64), lengths)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_does_not_matter(threads):
    torch.manual_seed(4)
    encoder, types = BiLSTM(30, 64), torch.randint(0, 50, (100, 20))
    lengths = sorted((torch.arange(100) % 20 + 1).tolist(), reverse=True)
    vectors = torch.randn(50, 30)
    expected, _ = both(encoder, vectors, types, lengths)
    torch.set_num_threads(threads)
    found, _ = both(encoder, vectors, types, lengths)
    assert found.equal(expected)
