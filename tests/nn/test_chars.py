import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import prune

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
            patch.setattr("chaincrf.nn.chars.eager", lambda *_: end_to_end)  # noqa: B023
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


def twice_as_large(cnn):
    cnn.convolution.register_forward_hook(lambda _, given, result: 2 * result)


def without_weights(cnn):
    prune.l1_unstructured(cnn.convolution, "weight", 1.0)
    cnn.convolution.bias.data.fill_(1)


def of_a_kind_of_its_own(cnn):
    cnn.convolution.__class__ = type("Own", (nn.Conv1d,), {"forward": lambda self, given: given[:, :3]})


@pytest.mark.parametrize("change", [twice_as_large, without_weights, of_a_kind_of_its_own])
def test_what_is_done_to_the_convolution_is_heeded(change):
    torch.manual_seed(0)
    cnn = CharCNN(6, dim=4, filters=3, dropout=0.0)
    chars = torch.tensor([[3, 4, 5], [2, 0, 0]])
    before = cnn(chars)
    change(cnn)
    expected = {twice_as_large: 2 * before, without_weights: torch.ones(2, 3)}
    expected[of_a_kind_of_its_own] = torch.stack(
        [cnn.embedding(chars[0]).amax(0), cnn.embedding(chars[1, 0])]
    )[:, :3]
    for _ in range(2):
        found = cnn(chars)
        torch.testing.assert_close(found, expected[change])
        found.sum().backward()


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # PyTorch's own use of it
def test_what_is_traced_or_differentiated_forwards_holds_for_other_words():
    torch.manual_seed(0)
    cnn = CharCNN(6, dim=4, filters=3, dropout=0.0)
    chars, others = torch.tensor([[3, 4, 5], [2, 0, 0]]), torch.tensor([[3, 0, 0], [2, 4, 3]])
    torch.testing.assert_close(make_fx(cnn)(chars)(others), cnn(others))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert cnn(mode.from_tensor(chars)).shape == (2, 3)
    with forward_ad.dual_level():
        bias = forward_ad.make_dual(cnn.convolution.bias.detach(), torch.ones(3))
        found = torch.func.functional_call(cnn, {"convolution.bias": bias}, (chars,))
        assert (forward_ad.unpack_dual(found).tangent == 1).all()


def test_a_filter_without_a_middle():
    with pytest.raises(ArgumentError, match=r"width: expected an odd number, .*, got 2"):
        CharCNN(6, width=2)


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
