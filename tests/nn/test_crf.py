"""The CRF module: constraints, reductions, decoding both ways."""

import pytest
import torch
from torch import Tensor

from chaincrf.crf import LinearChain
from chaincrf.errors import ArgumentError
from chaincrf.labels import constraints_from_tags, ill_formed_moves, scheme_tags
from chaincrf.nn.crf import CRF
from chaincrf.nn.head import constraint_masks, reduce_loss

TAGS = scheme_tags(["PER", "LOC"], "BIO")
B, T, K = 4, 6, len(TAGS)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def model(**options: str) -> CRF:
    crf = CRF(K, constraints_from_tags(TAGS, "BIO"), **options)
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf


def batch() -> tuple[Tensor, Tensor, Tensor]:
    """Emissions, well-formed gold tags, and a mask with gaps and an empty row."""
    mask = torch.tensor(
        [[1, 1, 1, 1, 1, 1], [0, 1, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]]
    ).bool()
    tags = torch.tensor([[0, 1, 2, 2, 3, 4], [-7, 3, 99, 4, 0, 1], [1] * 6, [9, 9, 3, 9, 9, 9]])
    return torch.randn(B, T, K) * 2, tags, mask


def test_the_loss_is_the_negative_log_likelihood_of_the_chain() -> None:
    crf, (emissions, tags, mask) = model(), batch()
    chain = LinearChain(
        emissions,
        torch.where(crf.allowed_transitions, crf.transitions, -torch.inf),
        torch.where(crf.allowed_start, crf.start_transitions, -torch.inf),
        torch.where(crf.allowed_end, crf.end_transitions, -torch.inf),
        mask,
    )
    nll = -chain.log_likelihood(tags)
    assert nll[2] == 0
    assert torch.equal(crf(emissions, tags, mask, reduction="none"), nll)
    torch.testing.assert_close(crf(emissions, tags, mask), nll.sum() / 3)
    torch.testing.assert_close(crf(emissions, tags, mask, "sum"), nll.sum())
    torch.testing.assert_close(crf(emissions, tags, mask, "token_mean"), nll.sum() / 10)


def test_weights() -> None:
    crf, (emissions, tags, mask) = model(), batch()
    chain = crf.chain(emissions, mask)
    nll, terms = -chain.log_likelihood(tags), -chain.token_log_likelihood(tags)
    rows = torch.tensor([2.0, 0.5, 7.0, 0.0])
    torch.testing.assert_close(crf(emissions, tags, mask, weights=rows), (rows * nll).sum() / 2.5)
    token_mean = crf(emissions, tags, mask, "token_mean", weights=rows)
    torch.testing.assert_close(token_mean, (rows * nll).sum() / (2 * 6 + 0.5 * 3))
    tokens = torch.where(tags == 0, 0.1, 1.0)  # the class O weighs a tenth
    weighted = (tokens * terms).sum(1)
    torch.testing.assert_close(crf(emissions, tags, mask, "none", weights=tokens), weighted)
    torch.testing.assert_close(crf(emissions, tags, mask, weights=tokens), weighted.sum() / 3)
    token_mean = crf(emissions, tags, mask, "token_mean", weights=tokens)
    torch.testing.assert_close(token_mean, weighted.sum() / (tokens * mask).sum())
    assert crf(emissions, tags, mask, weights=torch.zeros(B)) == 0


def test_means_over_nothing_are_zero() -> None:
    crf = model()
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    for reduction in ("mean", "token_mean", "sum"):
        loss = crf(torch.randn(2, 3, K), torch.zeros(2, 3, dtype=torch.int64), nothing, reduction)
        assert loss == 0
        crf.zero_grad()
        loss.backward()
        assert all((p.grad == 0).all() for p in crf.parameters())


def test_constraints_hold_in_training_and_decoding() -> None:
    crf, (emissions, _, mask) = model(), batch()
    for row in crf.decode(emissions * 5, mask):
        assert not ill_formed_moves([TAGS[i] for i in row[row >= 0]], "BIO")
    forbidden = torch.tensor([[0, TAGS.index("I-PER"), 0, 0, 0, 0]])
    assert crf(emissions[:1], forbidden, reduction="none").item() == torch.inf


def test_constrained_only_in_decoding() -> None:
    crf, (emissions, tags, mask) = model(constrain="decode"), batch()
    free = CRF(K)
    free.load_state_dict(crf.state_dict())
    assert torch.equal(crf(emissions, tags, mask, "none"), free(emissions, tags, mask, "none"))
    always = model()
    always.load_state_dict(crf.state_dict())
    assert torch.equal(crf.decode(emissions, mask), always.decode(emissions, mask))
    assert not torch.equal(crf.decode(emissions, mask), free.decode(emissions, mask))


def test_one_model_decodes_both_ways() -> None:
    emissions, _, mask = batch()
    for crf in (model(), model(constrain="decode")):
        free = CRF(K)
        free.load_state_dict(crf.state_dict())
        assert torch.equal(crf.decode(emissions, mask, constrained=False), free.decode(emissions, mask))
        assert torch.equal(crf.decode(emissions, mask, constrained=True), crf.decode(emissions, mask))
        z = crf.chain(emissions, mask, constrained=False).log_partition()
        assert torch.equal(z, free.chain(emissions, mask).log_partition())


def test_state_dict_has_the_three_parameters_only() -> None:
    assert sorted(model().state_dict()) == ["end_transitions", "start_transitions", "transitions"]


def test_from_labels() -> None:
    crf = CRF.from_labels(["PER", "LOC"], scheme="BIOES")
    assert crf.num_tags == 9
    expected = constraints_from_tags(scheme_tags(["PER", "LOC"], "BIOES"), "BIOES")
    assert crf.allowed_transitions.tolist() == [list(row) for row in expected.transitions]


def test_starts_as_the_softmax() -> None:
    emissions, tags, _ = batch()
    tags = tags.clamp(0, K - 1)
    entropy = torch.nn.functional.cross_entropy(emissions.flatten(0, 1), tags.flatten(), reduction="sum")
    torch.testing.assert_close(CRF(K)(emissions, tags, reduction="sum"), entropy)


def test_wrong_arguments() -> None:
    with pytest.raises(ArgumentError, match="num_tags must be at least 1, got 0"):
        CRF(0)
    with pytest.raises(
        ArgumentError, match=r"constraints must have shapes .* got \(\(5,\), \(5, 5\), \(5,\)\)"
    ):
        CRF(4, constraints_from_tags(TAGS, "BIO"))
    with pytest.raises(ArgumentError, match="constrain must be"):
        constraint_masks(K, None, "sometimes")
    with pytest.raises(ArgumentError, match=r"emissions must be \(B, T, 5\), .* got \(1, 2, 4\)"):
        CRF(K).decode(torch.zeros(1, 2, 4))
    with pytest.raises(ArgumentError, match="reduction must be"):
        reduce_loss(torch.zeros(2), CRF(K).chain(torch.zeros(2, 1, K)), "average")
