import pytest
import torch

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
