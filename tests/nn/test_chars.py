import torch

from chaincrf.nn import CharCNN


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


def test_other_words_of_the_batch_do_not_matter():
    torch.manual_seed(0)
    cnn = CharCNN(10, dim=4, filters=50).eval()
    alone = cnn(torch.tensor([[3, 4]]))
    padded = cnn(torch.tensor([[3, 4, 0, 0, 0, 0], [2, 3, 4, 5, 6, 7]]))
    torch.testing.assert_close(alone[0], padded[0])
