"""The article's example in our form: words in, `model(input_seq, mask)` and `model.decode(input_seq, mask)`.

"How effective is a CRF layer on top of a BiLSTM?" shows a BiLSTM-CRF of 100-dimensional embeddings, trained
with Adam and evaluated by decoding.
"""

import pytest
import torch

from chaincrf import BiLSTMTagger
from chaincrf.labels import constraints_from_tags, ill_formed_moves

TAGS = ["O", "B-Person", "I-Person", "B-Location", "I-Location"]
SENTENCES = [
    ("John Smith lives in New York", "B-Person I-Person O O B-Location I-Location"),
    ("Mary met John in Paris", "B-Person O B-Person O B-Location"),
    ("New York is big", "B-Location I-Location O O"),
    ("Paris", "B-Location"),
]


@pytest.fixture
def data():
    words = sorted({word for text, _ in SENTENCES for word in text.split()})
    index = {word: number for number, word in enumerate(words, start=2)}
    input_seq, tags = torch.zeros(4, 6, dtype=torch.long), torch.full((4, 6), -100)
    for row, (text, names) in enumerate(SENTENCES):
        for column, (word, name) in enumerate(zip(text.split(), names.split(), strict=True)):
            input_seq[row, column], tags[row, column] = index[word], TAGS.index(name)
    return input_seq, input_seq != 0, tags


@pytest.mark.parametrize("head", ["crf", "softmax"])
def test_the_article(data, head):
    input_seq, mask, tags = data
    torch.manual_seed(0)
    model = BiLSTMTagger(
        num_words=int(input_seq.max()) + 1,
        num_tags=len(TAGS),
        word_dim=100,
        hidden=64,
        head=head,
        constraints=constraints_from_tags(TAGS, "BIO"),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        loss = model(input_seq, mask, tags)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses) >= 0, "a loss is a negative log-likelihood"
    assert losses[-1] < 0.2 * losses[0]

    model.eval()
    assert torch.equal(model(input_seq, mask), model(input_seq, mask)), "nothing is random but dropout"
    decoded = model.decode(input_seq, mask)
    assert torch.equal(decoded, torch.where(mask, tags, -1)), "gold tags found; padding is not decoded"


def test_no_i_person_after_b_location(data):
    """The article's promise holds for any emissions, trained or not."""
    input_seq, mask, _ = data
    for seed in range(20):
        torch.manual_seed(seed)
        model = BiLSTMTagger(
            num_words=20, num_tags=len(TAGS), constraints=constraints_from_tags(TAGS, "BIO")
        ).eval()
        for row, length in zip(model.decode(input_seq, mask).tolist(), mask.sum(1).tolist(), strict=True):
            assert not ill_formed_moves([TAGS[tag] for tag in row[:length]], "BIO")
