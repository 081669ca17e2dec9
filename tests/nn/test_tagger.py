from itertools import pairwise

import pytest
import torch

from chaincrf.errors import ArgumentError
from chaincrf.labels import constraints_from_tags
from chaincrf.nn import BiLSTMTagger

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def small(head="crf", **options):
    torch.manual_seed(3)
    sizes = {
        "num_words": 20,
        "num_tags": 5,
        "num_chars": 9,
        "word_dim": 6,
        "char_dim": 3,
        "char_filters": 4,
        "hidden": 5,
    }
    return BiLSTMTagger(**(sizes | options), head=head)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    mask = torch.arange(6) < torch.tensor([6, 3, 1])[:, None]
    words = torch.randint(2, 20, (3, 6), generator=generator) * mask
    chars = torch.randint(1, 9, (4, 5), generator=generator)
    types = torch.randint(0, 4, (3, 6), generator=generator)
    tags = torch.randint(0, 5, (3, 6), generator=generator).masked_fill(~mask, -100)
    shapes = torch.tensor([0, 3, 3, 6])
    return {"words": words, "mask": mask, "chars": chars, "shapes": shapes, "types": types}, tags


@pytest.mark.parametrize("options", [{}, {"char_encoder": "lstm", "num_shapes": 7, "shape_dim": 2}])
@pytest.mark.parametrize("head", ["crf", "softmax"])
def test_loss_and_decoding(head, options, batch):
    inputs, tags = batch
    model = small(head, **options)
    loss = model(tags=tags, **inputs)
    assert loss.shape == ()
    assert loss.item() > 0
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    decoded = model.eval().decode(**inputs)
    assert ((decoded == -1) == ~inputs["mask"]).all()
    assert model(**inputs).shape == (3, 6, 5)


def test_heads_share_their_initial_weights():
    crf, softmax = small("crf").state_dict(), small("softmax").state_dict()
    shared = [name for name in softmax if not name.startswith("head.")]
    assert len(shared) > 10
    assert all(torch.equal(crf[name], softmax[name]) for name in shared)


@pytest.mark.parametrize("head", ["crf", "softmax"])
def test_constraints_hold_in_decoding(head, batch):
    inputs, _ = batch
    constraints = constraints_from_tags(TAGS, "BIO")
    model = small(head, constraints=constraints).eval()
    with torch.no_grad():
        model.projection.bias.copy_(torch.tensor([0.0, 0, 5, 0, 5]))  # I- everywhere, if nothing forbids it
    free = model.decode(**inputs, constrained=False)
    assert set(free[inputs["mask"]].tolist()) <= {2, 4}
    for row, length in zip(model.decode(**inputs).tolist(), (6, 3, 1), strict=True):
        path = row[:length]
        assert constraints.start[path[0]]
        assert constraints.end[path[-1]]
        assert all(constraints.transitions[i][j] for i, j in pairwise(path))


def test_words_alone(batch):
    inputs, _ = batch
    model = small(num_chars=0).eval()
    assert torch.equal(model(**inputs), model(inputs["words"], inputs["mask"]))
    with pytest.raises(ArgumentError, match="reads chars"):
        small()(inputs["words"], inputs["mask"])


def test_of_words_alone_those_that_are_learned_get_their_gradient(batch):
    """Frozen words are left out on the way back; the unknown word that takes their place is not."""
    inputs, tags = batch
    gradients = []
    for kind in (torch.float32, torch.float64):  # compiled, and PyTorch's
        model = small(num_chars=0, num_trained=9, word_dropout=0.3).to(kind)
        torch.manual_seed(4)
        model(inputs["words"], inputs["mask"], tags).backward()
        gradients.append([p.grad.double() for p in model.parameters()])
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    words = gradients[0][0]
    assert (words[1] != 0).any()
    assert (words[2:] != 0).any()


def test_modules_are_called_as_modules(batch):
    """A hook sees them; while evaluating, an encoder of one's own need not know which words are learned."""
    inputs, _ = batch
    seen = []
    model = small(num_chars=0, num_trained=9)
    model.words.register_forward_hook(lambda *given: seen.append("words"))
    model(inputs["words"], inputs["mask"])
    assert seen == ["words"]
    model.encoder.forward = lambda vectors, mask: vectors.new_ones(*mask.shape, model.encoder.output_size)
    assert model.eval()(inputs["words"], inputs["mask"]).shape[:2] == inputs["mask"].shape


@pytest.mark.usefixtures("unchecked")
def test_unknown_head():
    with pytest.raises(ArgumentError, match="expected 'crf' or 'softmax', got 'hmm'"):
        small("hmm")


def test_shapes_tell_words_apart(batch):
    inputs, _ = batch
    model = small(num_shapes=7, shape_dim=3, num_chars=0).eval()
    other = inputs | {"shapes": torch.tensor([1, 3, 3, 6])}
    changed = (model(**inputs) != model(**other)).any(dim=2)
    assert (changed & inputs["mask"]).any()
    assert not changed[~(inputs["types"] == 0).any(dim=1)].any()
    with pytest.raises(ArgumentError, match="reads shapes"):
        model(inputs["words"], inputs["mask"])
