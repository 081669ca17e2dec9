import torch

from chaincrf.nn import WordEmbedding


def test_pretrained_rows_are_frozen_where_training_never_looks():
    table = WordEmbedding(6, 3, num_trained=4)
    vectors = torch.arange(6.0).reshape(2, 3).half()
    table.load_vectors(torch.tensor([3, 5]), vectors)
    words = torch.tensor([[0, 3, 4, 5]])
    output = table(words)
    assert output[0].tolist() == [[0, 0, 0], [0, 1, 2], [0, 0, 0], [3, 4, 5]]
    output.sum().backward()
    assert table.weight.grad.abs().sum(1).tolist() == [0, 0, 0, 3]
    assert [name for name, _ in table.named_parameters()] == ["weight"]


def test_all_rows_trained_by_default():
    table = WordEmbedding(5, 2)
    assert table.weight.shape == (5, 2)
    assert table(torch.tensor([[4]])).shape == (1, 1, 2)


def test_the_rows_that_words_read():
    table = WordEmbedding(9, 4, num_trained=6)
    assert table.trained_rows(torch.tensor([5, 8, 3, 5, 6])).tolist() == [0, 1, 3, 5]


def test_where_vectors_are_learned():
    words = torch.tensor([[0, 1, 4, 5]])
    assert WordEmbedding(6, 2, num_trained=5).learned(words).tolist() == [[True, True, True, False]]
    assert WordEmbedding(6, 2).learned(words) is None
