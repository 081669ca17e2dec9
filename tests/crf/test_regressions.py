"""Defects that other implementations had, or have."""

import pytest
import torch

from chaincrf.crf import LinearChain, backend
from chaincrf.errors import ArgumentError

from . import oracle
from .agreement import rows

UNKNOWN = -100


def chain(B: int, T: int, K: int, mask: torch.Tensor | None = None) -> LinearChain:
    g = torch.Generator().manual_seed(0)
    emissions = torch.randn(B, T, K, generator=g, dtype=torch.float64)
    return LinearChain(emissions, torch.randn(K, K, generator=g, dtype=torch.float64), mask=mask)


def test_a_gap_in_the_mask_does_not_bring_in_the_masked_neighbour() -> None:
    """pytorch-crf and AllenNLP score the move from the masked token's tag."""
    gap = chain(1, 3, 3, torch.tensor([[True, False, True]]))
    values = [gap.log_likelihood(torch.tensor([[0, masked, 2]])) for masked in (0, 1, 2, 77, UNKNOWN)]
    without = LinearChain(gap.emissions[:, [0, 2]], gap.transitions).log_likelihood(torch.tensor([[0, 2]]))
    for value in values:
        torch.testing.assert_close(value, without)


@pytest.mark.parametrize(("B", "T"), [(1, 4), (3, 1), (1, 1)])
def test_partial_labels_leave_the_emissions_alone(B: int, T: int) -> None:
    """pytorch-partial-crf writes into the caller's emissions where B or T is 1."""
    partial = chain(B, T, 3)
    before = partial.emissions.clone()
    tags = torch.full((B, T), UNKNOWN)
    tags[0, 0] = 1
    expected = rows(oracle.log_likelihood)(partial, tags)
    torch.testing.assert_close(partial.log_likelihood(tags), expected)
    assert torch.equal(partial.emissions, before)


def test_one_token_and_no_sequence_that_fills_the_padded_length() -> None:
    """torch-struct fails at T = 1, and where every sequence is shorter than the batch is wide."""
    mask = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0]]).bool()
    for some in (chain(2, 1, 3), chain(2, 4, 3, mask)):
        torch.testing.assert_close(some.log_partition(), rows(oracle.log_partition)(some))
        torch.testing.assert_close(some.marginals().sum((1, 2)), some.lengths.double())


@pytest.mark.parametrize("length", [127, 128, 255, 256, 257, 300])
def test_lengths_that_overflow_a_byte(length: int) -> None:
    """tfa and NCRF++ summed the mask in a byte."""
    mask = torch.arange(300) < torch.tensor([[length]])
    long = chain(1, 300, 2, mask)
    short = LinearChain(long.emissions[:, :length], long.transitions)
    assert long.lengths.tolist() == [length]
    torch.testing.assert_close(long.log_partition(), short.log_partition())
    assert torch.equal(long.viterbi()[0][:, :length], short.viterbi()[0])
    tags = long.viterbi()[0]
    torch.testing.assert_close(long.log_likelihood(tags), short.log_likelihood(tags[:, :length]))


def test_a_mask_of_integers_is_refused() -> None:
    """AllenNLP took one and gave a loss of 1e29."""
    with pytest.raises(ArgumentError, match=r"mask must be torch.bool, got torch.uint8"):
        chain(1, 3, 2, torch.ones(1, 3, dtype=torch.uint8))


def test_more_best_paths_than_tags_or_than_paths() -> None:
    """NCRF++ crashes where k exceeds the number of tags."""
    tags, scores, counts = chain(1, 3, 2).k_best(20)
    assert counts.tolist() == [8]
    assert len({tuple(path) for path in tags[0, :8].tolist()}) == 8
    assert (scores[0, 8:] == -torch.inf).all()


def test_the_confidence_is_that_of_the_decoded_tag() -> None:
    """Flair's could belong to another tag: the best path need not pass through the most probable tags."""
    K = 3
    some = chain(4, 5, K)
    tags, _ = some.viterbi()
    assert not torch.equal(tags, some.marginals().argmax(2))
    confidence = some.marginals().gather(2, tags.unsqueeze(2)).squeeze(2)
    for t in range(5):
        window = torch.nn.functional.one_hot(tags[:, t], K).bool().unsqueeze(1)
        asked = some.window_log_probability(torch.full((4,), t), window).exp()
        torch.testing.assert_close(confidence[:, t], asked)


def test_an_unreachable_tag_does_not_poison_the_gradient() -> None:
    """A plain log-sum-exp over a slice that is all -inf has a NaN gradient; one such tag is enough."""
    transitions = torch.zeros(3, 3)
    transitions[:, 2] = -torch.inf
    emissions = torch.randn(2, 4, 3, requires_grad=True)
    start = torch.tensor([0.0, 0.0, -torch.inf])
    some = LinearChain(emissions, transitions, start)
    for values in (some.log_partition(), some.marginals(), some.entropy(), some.edge_marginals()):
        (gradient,) = torch.autograd.grad(values.square().sum(), emissions)
        assert gradient.isfinite().all()
        assert (gradient[:, :, 2] == 0).all()


def test_what_is_masked_may_be_anything() -> None:
    """A multiplication by the mask would make NaN of it."""
    mask = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0]]).bool()
    clean = chain(2, 4, 3, mask)
    leaf = torch.where(mask.unsqueeze(2), clean.emissions, torch.nan).requires_grad_()
    moves = clean.transitions.expand(2, 3, 3, 3).clone()
    moves[0, [0, 2]] = moves[1] = torch.nan
    dirty = LinearChain(leaf, moves.requires_grad_(), mask=mask)
    tags = torch.tensor([[0, 99, 2, -7], [5, 5, 5, 5]])
    for name, arguments in {
        "log_partition": (), "log_likelihood": (tags,), "score": (tags,), "token_log_likelihood": (tags,),
        "marginals": (), "edge_marginals": (), "entropy": (),
    }.items():  # fmt: skip
        values = getattr(dirty, name)(*arguments)
        torch.testing.assert_close(values, getattr(clean, name)(*arguments))
        for gradient in torch.autograd.grad(values.sum(), [leaf, moves]):
            assert gradient.isfinite().all()
    assert torch.equal(dirty.viterbi()[0], clean.viterbi()[0])


def test_windows_past_the_end_ask_nothing_whatever_computes_them() -> None:
    """Also of a sentence with a NaN; and a transform gets the reference's numbers."""
    emissions = torch.zeros(2, 4, 3)
    emissions[0, 0, 0] = torch.nan
    chain = LinearChain(emissions, torch.zeros(3, 3))
    allowed = torch.tensor([[True, False, False]])
    for name in ("auto", "reference"):
        with backend(name):
            assert chain.window_log_probability(5, allowed).tolist() == [0, 0]
    fine = LinearChain(torch.zeros(2, 4, 3), torch.zeros(3, 3))
    starts = torch.tensor([0, 1])
    each = torch.func.vmap(lambda start: fine.window_log_probability(start.expand(2), allowed))(starts)
    torch.testing.assert_close(each, torch.full((2, 2), 1 / 3).log())
