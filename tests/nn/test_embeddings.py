import pytest
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


def test_word_dropout_only_in_training_and_never_on_padding():
    torch.manual_seed(0)
    table = WordEmbedding(5, 2, word_dropout=0.5)
    words = torch.full((100, 10), 3)
    words[:, 9] = 0
    unknown = (table(words) == table.weight[1]).all(2)
    assert unknown[:, :9].float().mean().item() == pytest.approx(0.5, abs=0.06)
    assert (table(words)[:, 9] == 0).all()
    table.eval()
    assert (table(words)[:, :9] == table.weight[3]).all()


def test_word_dropout_trains_the_unknown_word_in_the_place_of_others():
    torch.manual_seed(0)
    table = WordEmbedding(5, 2, word_dropout=0.25)
    words = torch.full((100, 10), 3)
    table(words).sum().backward()
    touched = table.weight.grad[:, 0] / words.numel()
    assert touched.tolist() == pytest.approx([0, 0.25, 0, 0.75, 0], abs=0.05)
    table = WordEmbedding(5, 2)
    table(words).sum().backward()
    assert (table.weight.grad[1] == 0).all()
