"""The softmax: its direct route is its linear chain's."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from chaincrf.crf import LinearChain
from chaincrf.errors import ArgumentError
from chaincrf.labels import constraints_from_tags, ill_formed_moves, scheme_tags
from chaincrf.nn.crf import CRF
from chaincrf.nn.softmax import Softmax

TAGS = scheme_tags(["PER", "LOC"], "BIO")
B, T, K = 4, 6, len(TAGS)


def batch(mask: bool = True) -> tuple[Tensor, Tensor, Tensor | None]:
    g = torch.Generator().manual_seed(0)
    counts = torch.rand(B, T, generator=g) < 0.6
    counts[2] = False
    tags = torch.randint(K, (B, T), generator=g)
    tags[torch.rand(B, T, generator=g) < 0.2] = -100
    return torch.randn(B, T, K, generator=g) * 3, tags, counts if mask else None


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("reduction", ["mean", "sum", "token_mean", "none"])
def test_loss_and_gradient_are_those_of_the_chain(masked: bool, reduction: str) -> None:
    emissions, tags, mask = batch(masked)
    values = []
    for head in (Softmax(K), CRF(K)):  # a CRF with zero transitions
        leaf = emissions.clone().requires_grad_()
        loss = head(leaf, tags, mask, reduction)
        loss.sum().backward()
        values.append((loss, leaf.grad))
    torch.testing.assert_close(values[0], values[1])
    assert values[0][0].dtype == torch.float32


@pytest.mark.parametrize("shape", [(B,), (B, T)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "token_mean", "none"])
def test_weights_are_those_of_the_chain(shape: tuple[int, ...], reduction: str) -> None:
    emissions, tags, mask = batch()
    weights = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    values = [head(emissions, tags, mask, reduction, weights=weights) for head in (Softmax(K), CRF(K))]
    torch.testing.assert_close(*values)


@pytest.mark.parametrize("masked", [True, False])
def test_decoding_is_that_of_the_chain(masked: bool) -> None:
    emissions, _, mask = batch(masked)
    head = Softmax(K, constraints_from_tags(TAGS, "BIO"))
    assert torch.equal(
        head.decode(emissions, mask, constrained=False), head.chain(emissions, mask).viterbi()[0]
    )
    constrained = head.chain(emissions, mask, constrained=True).viterbi()[0]
    assert torch.equal(head.decode(emissions, mask), constrained)
    assert not torch.equal(head.decode(emissions, mask, constrained=False), constrained)
    for row in constrained:
        assert not ill_formed_moves([TAGS[i] for i in row[row >= 0]], "BIO")


def test_constrained_in_training_too() -> None:
    emissions, _, mask = batch()
    head = Softmax.from_labels(["PER", "LOC"], "BIO", constrain="always")
    gold = head.decode(emissions, mask)
    start, transitions, end = (
        torch.where(torch.tensor(x), 0.0, -torch.inf) for x in constraints_from_tags(TAGS, "BIO")
    )
    chain = LinearChain(emissions, transitions, start, end, mask)
    assert torch.equal(head(emissions, gold, mask, "none"), -chain.log_likelihood(gold))


def test_what_is_masked_may_be_anything() -> None:
    emissions, tags, mask = batch()
    leaf = torch.where(mask.unsqueeze(2), emissions, torch.nan).requires_grad_()
    loss = Softmax(K)(leaf, torch.where(mask, tags, 99), mask)
    torch.testing.assert_close(loss, Softmax(K)(emissions, tags, mask))
    assert torch.autograd.grad(loss, leaf)[0].isfinite().all()
    with pytest.raises(ArgumentError, match=r"emissions must be \(B, T, 4\)"):
        Softmax(4).decode(emissions)


def test_has_no_parameters() -> None:
    head = Softmax(K, constraints_from_tags(TAGS, "BIO"))
    assert not list(head.parameters())
    assert not head.state_dict()


def test_half_precision_emissions_give_a_float32_loss() -> None:
    emissions, tags, mask = batch()
    loss = Softmax(K)(emissions.bfloat16(), tags, mask)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, Softmax(K)(emissions.bfloat16().float(), tags, mask))


@given(st.integers(0, 10_000))
def test_infinite_emissions_are_those_of_the_chain(seed):
    """Forbidden tags and tokens, known and unknown gold: values and gradients of the direct route."""
    generator = torch.Generator().manual_seed(seed)
    emissions = torch.randn(4, 3, 3, dtype=torch.float64, generator=generator)
    emissions[torch.rand(4, 3, 3, generator=generator) < 0.3] = -torch.inf
    mask = torch.rand(4, 3, generator=generator) < 0.8
    tags = torch.randint(0, 3, (4, 3), generator=generator)
    tags[torch.rand(4, 3, generator=generator) < 0.2] = -100
    head, results = Softmax(3), []
    for way in ("short", "chain"):
        leaf = emissions.clone().requires_grad_()
        loss = (
            head(leaf, tags, mask, "none") if way == "short" else -head.chain(leaf, mask).log_likelihood(tags)
        )
        loss.sum().backward()
        results.append((loss.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1])
    assert torch.equal(head.decode(emissions, mask), head.chain(emissions, mask).viterbi()[0])
