import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.errors import ArgumentError
from chaincrf.nn import CharCNN, CharLSTM


def test_equal_to_the_formula():
    torch.manual_seed(0)
    cnn = CharCNN(10, dim=4, filters=3, width=3).eval()
    chars = torch.tensor([[2, 5, 7]])
    vectors = torch.cat([torch.zeros(1, 4), cnn.embedding(chars[0]), torch.zeros(1, 4)])
    weight, bias = cnn.convolution.weight, cnn.convolution.bias
    scores = [
        torch.stack([(weight[f].T * vectors[p : p + 3]).sum() + bias[f] for p in range(3)]).max()
        for f in range(3)
    ]
    torch.testing.assert_close(cnn(chars)[0], torch.stack(scores))


@pytest.mark.parametrize("encoder", [CharCNN(10, dim=4, filters=50), CharLSTM(10, dim=4, size=50)])
def test_other_words_of_the_batch_do_not_matter(encoder):
    encoder.eval()
    alone = encoder(torch.tensor([[3, 4]]))
    assert alone.shape == (1, 50)
    padded = encoder(torch.tensor([[3, 4, 0, 0, 0, 0], [2, 3, 4, 5, 6, 7]]))
    torch.testing.assert_close(alone[0], padded[0])


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    width=st.sampled_from([1, 3, 5]),
    seed=st.integers(0, 99),
)
def test_words_laid_end_to_end_are_the_padded_ones(lengths, width, seed):
    torch.manual_seed(seed)
    cnn = CharCNN(6, dim=4, filters=3, width=width, dropout=0.0).double()
    chars = torch.randint(1, 6, (len(lengths), max(lengths) + 2))
    chars[torch.arange(chars.shape[1]) >= torch.tensor(lengths)[:, None]] = 0
    slopes = torch.randn(len(lengths), 3).double()
    both = []
    for end_to_end in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("chaincrf.nn.chars.eager", lambda: end_to_end)  # noqa: B023
            vectors = cnn(chars)
        both.append([vectors, *torch.autograd.grad((vectors * slopes).sum(), list(cnn.parameters()))])
    for found, expected in zip(*both, strict=True):
        torch.testing.assert_close(found, expected)


def test_words_laid_end_to_end_in_half_precision_and_without_a_word():
    torch.manual_seed(0)
    cnn = CharCNN(6, dim=4, filters=3, dropout=0.0)
    chars = torch.tensor([[3, 4, 5], [2, 0, 0]])
    with torch.autocast("cpu", torch.bfloat16):
        vectors = cnn(chars)
    assert vectors.dtype == torch.bfloat16
    vectors.sum().backward()
    torch.testing.assert_close(vectors.float(), cnn(chars), rtol=0, atol=0.02)
    assert cnn(chars[:0]).shape == (0, 3)


def test_last_states_of_both_directions():
    torch.manual_seed(0)
    encoder = CharLSTM(10, dim=4, size=6).eval()
    word = torch.tensor([[5, 2, 7]])
    vectors = encoder.embedding(word)
    _, (ahead, _) = encoder.lstm.forwards[0](vectors)
    _, (back, _) = encoder.lstm.backwards[0](vectors.flip(1))
    expected = torch.cat([ahead[0], back[0]], dim=1)
    torch.testing.assert_close(encoder(torch.tensor([[5, 2, 7, 0, 0]])), expected)
    with pytest.raises(ArgumentError, match="expected an even number"):
        CharLSTM(10, size=5)
