"""The drop-in against pytorch-crf itself."""

import inspect
import math

import pytest
import torch
import torchcrf
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from chaincrf.crf import LinearChain
from chaincrf.torchcrf import CRF

pytestmark = pytest.mark.filterwarnings("ignore:where received a uint8 condition tensor")
REDUCTIONS = ["none", "sum", "mean", "token_mean"]


def pair(num_tags: int, batch_first: bool = False) -> tuple[CRF, torchcrf.CRF]:
    """Ours and theirs with the same parameters, through the state dict."""
    torch.manual_seed(0)
    theirs = torchcrf.CRF(num_tags, batch_first)
    ours = CRF(num_tags, batch_first)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@st.composite
def batches(draw: st.DrawFn) -> tuple[bool, Tensor, Tensor, Tensor | None]:
    """(batch_first, emissions, tags, mask), the mask contiguous and never empty."""
    B, T, K = draw(st.integers(1, 4)), draw(st.integers(1, 7)), draw(st.integers(1, 5))
    g = torch.Generator().manual_seed(draw(st.integers(0, 2**31 - 1)))
    emissions = torch.randn(T, B, K, generator=g) * draw(st.sampled_from([0.1, 1.0, 10.0]))
    tags = torch.randint(K, (T, B), generator=g)
    kind = draw(st.sampled_from([None, torch.bool, torch.uint8]))
    mask = None
    if kind is not None:
        mask = (torch.arange(T).unsqueeze(1) < torch.randint(1, T + 1, (B,), generator=g)).to(kind)
    batch_first = draw(st.booleans())
    if batch_first:
        emissions, tags = emissions.transpose(0, 1), tags.transpose(0, 1)
        mask = None if mask is None else mask.transpose(0, 1)
    return batch_first, emissions, tags, mask


@settings(max_examples=60, derandomize=True, deadline=None)
@given(batches(), st.sampled_from(REDUCTIONS))
def test_values_gradients_and_paths(batch: tuple, reduction: str) -> None:
    batch_first, emissions, tags, mask = batch
    results = []
    for crf in pair(emissions.shape[2], batch_first):
        leaf = emissions.detach().clone().requires_grad_()
        value = crf(leaf, tags, mask=mask, reduction=reduction)
        value.sum().backward()
        # theirs has no gradient for transitions that no move was made with
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in crf.parameters()]
        results.append([value, leaf.grad, *gradients])
    ours, theirs = pair(emissions.shape[2], batch_first)
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-5)
    assert ours.decode(emissions, mask) == theirs.decode(emissions, mask)


def test_the_same_face() -> None:
    ours, theirs = pair(5, True)
    assert repr(ours) == repr(theirs)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    theirs.load_state_dict(ours.state_dict())
    assert (ours.num_tags, ours.batch_first) == (theirs.num_tags, theirs.batch_first)
    for method in ("__init__", "forward", "decode", "reset_parameters"):
        mine, other = (inspect.signature(getattr(c, method)).parameters for c in (CRF, torchcrf.CRF))
        assert [(p.name, p.default) for p in mine.values()] == [(p.name, p.default) for p in other.values()]
    torch.manual_seed(0)
    ours.reset_parameters()
    torch.manual_seed(0)
    theirs.reset_parameters()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


def wrong_calls() -> dict[str, tuple]:
    x, y, m = torch.zeros(3, 2, 4), torch.zeros(3, 2, dtype=torch.int64), torch.ones(3, 2, dtype=torch.bool)
    late = m.clone()
    late[0, 1] = False
    return {
        "dimensions": (x[0], y, m),
        "tags": (x[:, :, :3], y, m),
        "shape of the gold": (x, y[:2], m),
        "shape of the mask": (x, y, m[:2]),
        "first token masked": (x, y, late),
        "reduction": (x, y, m, "average"),
        "tag too high": (x, y + 4, m),
        "tag too low": (x, y - 5, m),
    }


@pytest.mark.parametrize("case", wrong_calls())
@pytest.mark.parametrize("batch_first", [False, True])
def test_the_same_exceptions_in_the_same_cases(case: str, batch_first: bool) -> None:
    arguments = wrong_calls()[case]
    if batch_first:
        arguments = [x.transpose(0, 1) if isinstance(x, Tensor) else x for x in arguments]
    raised = []
    for crf in pair(4, batch_first):
        with pytest.raises((ValueError, IndexError)) as caught:
            crf(*arguments)
        raised.append(caught)
    ours, theirs = raised
    assert isinstance(ours.value, theirs.type)
    assert str(ours.value) == str(theirs.value)
    with pytest.raises(ValueError, match="invalid number of tags: 0"):
        CRF(0)


def test_negative_tags_index_as_they_do_there() -> None:
    ours, theirs = pair(3)
    emissions, tags = torch.randn(4, 2, 3), torch.randint(-3, 3, (4, 2))
    torch.testing.assert_close(ours(emissions, tags), theirs(emissions, tags))


def test_a_gap_in_the_mask_is_deliberately_another_result() -> None:
    """There the loss depends on the masked tag; here it is that of the sentence without the token."""
    ours, theirs = pair(3, batch_first=True)
    emissions, mask = torch.randn(1, 4, 3), torch.tensor([[True, False, True, True]])
    gold = [torch.tensor([[0, masked, 1, 2]]) for masked in range(3)]
    assert len({round(theirs(emissions, y, mask).item(), 4) for y in gold}) > 1
    short = ours(emissions[:, [0, 2, 3]], gold[0][:, [0, 2, 3]])
    for y in [*gold, torch.tensor([[0, -100, 1, 2]])]:
        torch.testing.assert_close(ours(emissions, y, mask), short)
    assert ours.decode(emissions, mask) == ours.decode(emissions[:, [0, 2, 3]])


def test_it_is_the_linear_chain() -> None:
    crf = CRF(4, batch_first=True).double()
    emissions = torch.randn(2, 5, 4, dtype=torch.float64)
    tags = torch.randint(4, (2, 5))
    chain = LinearChain(emissions, crf.transitions, crf.start_transitions, crf.end_transitions)
    assert torch.equal(crf(emissions, tags, reduction="none"), chain.log_likelihood(tags))
    assert all(math.isfinite(x) for x in crf(emissions, tags, reduction="none").tolist())


def test_a_dead_token_decodes_to_tags_that_exist() -> None:
    ours, theirs = pair(3, batch_first=True)
    emissions = torch.zeros(1, 4, 3)
    emissions[0, 2] = -torch.inf
    assert ours.decode(emissions) == [[0, 0, 0, 0]]
    assert len(theirs.decode(emissions)[0]) == 4, "some path: all are forbidden"


def test_integer_emissions_and_wrong_tags_are_taken_alike() -> None:
    ours, theirs = pair(3, batch_first=True)
    emissions, tags = torch.randint(0, 5, (2, 4, 3)), torch.randint(0, 3, (2, 4))
    torch.testing.assert_close(ours(emissions, tags), theirs(emissions, tags))
    tags[0, 2], tags[1, 1] = 7, 5
    messages = []
    for layer in (ours, theirs):
        with pytest.raises(IndexError) as error:
            layer(emissions.float(), tags)
        messages.append(str(error.value).split(" for ")[0])
        with pytest.raises(IndexError):
            layer(emissions.float(), torch.zeros(2, 4))
    assert messages[0] == messages[1]
