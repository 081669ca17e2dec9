"""What holds of every chain, at any size: long, wide, hard-constrained; and what samples say."""

import math

import pytest
import torch
from hypothesis import example
from torch import Tensor

from chaincrf.crf import LinearChain
from chaincrf.errors import ArgumentError

from . import oracle
from .agreement import size
from .strategies import chains, over


def large(B: int = 3, T: int = 300, K: int = 7, forbid: float = 0.2, seed: int = 0) -> LinearChain:
    """Longer than a byte counts, with gaps and forbidden moves, yet with a path."""
    g = torch.Generator().manual_seed(seed)
    transitions = torch.randn(K, K, generator=g, dtype=torch.float64) * 2
    transitions[torch.rand(K, K, generator=g) < forbid] = -torch.inf
    transitions.fill_diagonal_(0.0)
    mask = torch.rand(B, T, generator=g) < 0.95
    mask[0] = True
    emissions = torch.randn(B, T, K, generator=g, dtype=torch.float64) * 3
    return LinearChain(emissions, transitions, mask=mask)


def has_path(chain: LinearChain) -> Tensor:
    return chain.log_partition() > -torch.inf


@over(chains())
@example(large())
def test_marginals_sum_to_one_at_each_token_and_agree_with_those_of_the_edges(chain: LinearChain) -> None:
    B, T, _ = chain.emissions.shape
    mask = torch.ones(B, T, dtype=torch.bool) if chain.mask is None else chain.mask
    counts = mask & has_path(chain).unsqueeze(1)
    unary, edges = chain.marginals(), chain.edge_marginals()
    bound = {"rtol": 0, "atol": 1e-13 * size(chain)}
    torch.testing.assert_close(unary.sum(2), counts.double(), **bound)
    # the token before the one that a move leads into: the last one that counts, if there is one
    before = torch.where(mask, torch.arange(T), -1).cummax(1).values[:, :-1]
    moved = counts[:, 1:] & (before >= 0)
    torch.testing.assert_close(edges.sum((2, 3)), moved.double(), **bound)
    source = unary.gather(1, before.clamp(min=0).unsqueeze(2).expand_as(unary[:, 1:]))
    torch.testing.assert_close(edges.sum(3)[moved], source[moved], **bound)
    torch.testing.assert_close(edges.sum(2)[moved], unary[:, 1:][moved], **bound)


@over(chains())
@example(large())
def test_the_gradient_of_the_log_partition_is_the_marginals(chain: LinearChain) -> None:
    emissions = chain.emissions.clone().requires_grad_()
    fresh = LinearChain(emissions, *chain._inputs()[1:])
    (gradient,) = torch.autograd.grad(fresh.log_partition().sum(), emissions)
    torch.testing.assert_close(gradient, chain.marginals(), rtol=0, atol=1e-13 * size(chain))


@over(chains())
@example(large())
def test_the_best_path_scores_the_maximum_and_k_best_are_sorted_and_distinct(chain: LinearChain) -> None:
    best, score = chain.viterbi()
    tags, scores, counts = chain.k_best(4)
    assert (scores[:, :-1] >= scores[:, 1:]).all()
    torch.testing.assert_close(scores[:, 0], score)
    assert torch.equal(tags[:, 0], best)
    for row, n in zip(tags.tolist(), counts.tolist(), strict=True):
        assert len({tuple(path) for path in row[:n]}) == n
    for b in range(len(best)):
        if counts[b]:
            gold = torch.where(best == -1, 0, best)
            torch.testing.assert_close(chain.score(gold)[b], score[b])
    assert (score[has_path(chain)] <= chain.log_partition()[has_path(chain)] + 1e-12 * size(chain)).all()


@over(chains())
@example(large())
def test_kl_divergence_is_zero_on_itself_and_never_negative(chain: LinearChain) -> None:
    flat = LinearChain(
        chain.emissions * 0.5,
        torch.where(chain.transitions == -torch.inf, 0, chain.transitions),
        mask=chain.mask,
    )
    assert (chain.kl_divergence(chain) == 0).all()
    assert (chain.kl_divergence(flat) >= 0).all()


@over(chains())
@example(large())
def test_window_probabilities_of_a_partition_sum_to_one(chain: LinearChain) -> None:
    """The pairs of tags of tokens 1 and 2 are disjoint and complete."""
    B, _, K = chain.emissions.shape
    one = torch.eye(K, dtype=torch.bool)
    pairs = torch.stack([one.repeat_interleave(K, 0), one.repeat(K, 1)], dim=1)  # (K^2, 2, K)
    for b in range(B):
        n = min(int(chain.lengths[b]), 2)
        windows = pairs if n == 2 else one.unsqueeze(1)
        rows = torch.full((len(windows),), b)
        start = max(int(chain.lengths[b]) // 2 - 1, 0)
        total = chain.window_log_probability(start, windows, rows).exp().sum()
        expected = has_path(chain)[b].double() if n else has_path(chain)[b].double() * len(windows)
        torch.testing.assert_close(total, expected, rtol=0, atol=1e-12 * size(chain))


@over(chains(forbid=(0.0,)))
@example(large())
def test_with_zero_transitions_it_is_the_softmax(chain: LinearChain) -> None:
    B, T, K = chain.emissions.shape
    tags = torch.randint(K, (B, T), generator=torch.Generator().manual_seed(0))
    results = []
    for route in ("chain", "softmax"):
        emissions = chain.emissions.clone().requires_grad_()
        if route == "chain":
            loss = -LinearChain(emissions, torch.zeros(K, K), mask=chain.mask).log_likelihood(tags).sum()
        else:
            each = torch.nn.functional.cross_entropy(emissions.transpose(1, 2), tags, reduction="none")
            loss = (each if chain.mask is None else torch.where(chain.mask, each, 0.0)).sum()
        results.append((loss, torch.autograd.grad(loss, emissions)[0]))
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-13 * size(chain) * T)


def test_a_mask_with_gaps_is_the_sentence_without_them() -> None:
    chain = large()
    for b in range(len(chain.emissions)):
        kept = LinearChain(chain.emissions[b][chain.mask[b]].unsqueeze(0), chain.transitions)
        torch.testing.assert_close(chain.log_partition()[b], kept.log_partition()[0])
        assert torch.equal(chain.viterbi()[0][b][chain.mask[b]], kept.viterbi()[0][0])
        torch.testing.assert_close(chain.marginals()[b][chain.mask[b]], kept.marginals()[0])
        torch.testing.assert_close(chain.entropy()[b], kept.entropy()[0])


def test_transitions_per_position_are_the_shared_ones_repeated() -> None:
    chain = large()
    B, T, K = chain.emissions.shape
    wide = LinearChain(chain.emissions, chain.transitions.expand(B, T - 1, K, K), mask=chain.mask)
    for name in ("log_partition", "marginals", "edge_marginals", "entropy"):
        torch.testing.assert_close(getattr(wide, name)(), getattr(chain, name)())
    assert torch.equal(wide.viterbi()[0], chain.viterbi()[0])


def test_two_blocks_of_tags_that_never_meet() -> None:
    """One block is 1,500 behind the other at half-time and 500 ahead at the end.

    A recursion on scaled probabilities loses the block that is behind: it underflows, though no scale is ever
    small, and the result is -1,500 in place of -1,000.
    """
    T = 2000
    transitions = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]], dtype=torch.float64)
    emissions = torch.zeros(1, T, 2, dtype=torch.float64)
    emissions[
        :, : T // 2, 1
    ] = -1.5  # the second block is 1,500 behind in the middle, the first at the end 3,000
    emissions[:, T // 2 :, 0] = -1.5
    emissions[:, T // 2 :, 1] = 0.5
    chain = LinearChain(emissions.requires_grad_(), transitions)
    torch.testing.assert_close(chain.log_partition(), torch.tensor([-1000.0]).double())
    (gradient,) = torch.autograd.grad(chain.log_partition().sum(), emissions)
    assert (gradient[0, :, 1] == 1).all()
    assert (chain.viterbi()[0] == 1).all()
    assert chain.viterbi()[1].item() == -1000
    assert (chain.sample(3) == 1).all()


def test_sampled_frequencies_agree_with_the_marginals() -> None:
    """Hoeffding: a frequency of n samples is off by more than e with probability 2 exp(-2 n e^2) at most.

    For all 60 frequencies together and a false alarm once in a million, e = sqrt(log(2 * 60 / 1e-6) / (2 n)).
    """
    g = torch.Generator().manual_seed(0)
    B, T, K, n = 2, 4, 3, 20_000
    chain = LinearChain(
        torch.randn(B, T, K, generator=g),
        torch.randn(K, K, generator=g).masked_fill(torch.eye(K).bool(), -torch.inf),
        mask=torch.tensor([[1, 1, 1, 1], [1, 0, 1, 1]]).bool(),
    )
    samples = chain.sample(n, generator=g)
    assert samples.shape == (B, n, T)
    bound = math.sqrt(math.log(2 * 60 / 1e-6) / (2 * n))
    frequencies = torch.stack([(samples == j).float().mean(1) for j in range(K)], dim=2)
    assert ((frequencies - chain.marginals()).abs() < bound).all()
    edges = chain.edge_marginals()
    for i in range(K):
        for j in range(K):
            pairs = ((samples[0, :, :-1] == i) & (samples[0, :, 1:] == j)).float().mean(0)
            assert ((pairs - edges[0, :, i, j]).abs() < bound).all()


def test_entropy_is_minus_the_mean_log_likelihood_of_samples_within_its_error() -> None:
    chain = large(B=1, T=40)
    n = 4000
    samples = chain.sample(n, generator=torch.Generator().manual_seed(0))[0]
    many = LinearChain(chain.emissions.expand(n, -1, -1), chain.transitions, mask=chain.mask.expand(n, -1))
    likelihoods = many.log_likelihood(samples.clamp(min=0))
    error = likelihoods.std() / math.sqrt(n)
    assert (chain.entropy()[0] + likelihoods.mean()).abs() < 5 * error


@over(chains(scales=("unit", "ties")))
def test_samples_are_paths_and_repeat_with_the_generator(chain: LinearChain) -> None:
    samples = chain.sample(5, generator=torch.Generator().manual_seed(3))
    assert torch.equal(samples, chain.sample(5, generator=torch.Generator().manual_seed(3)))
    for b, exists in enumerate(has_path(chain).tolist()):
        tokens = oracle.positions(chain, b)
        if exists:
            assert (oracle.scores(chain, b, samples[b][:, tokens]) > -torch.inf).all()
            assert torch.equal(
                samples[b] >= 0, oracle.in_place(chain, b, samples[b, 0, tokens]).ge(0).expand(5, -1)
            )
        else:
            assert (samples[b] == -1).all()


def test_a_row_whose_every_path_is_forbidden() -> None:
    emissions = torch.randn(2, 3, 2)
    emissions[0, 1] = -torch.inf
    leaf = emissions.clone().requires_grad_()
    chain = LinearChain(leaf, torch.zeros(2, 2))
    tags = torch.zeros(2, 3, dtype=torch.int64)
    assert chain.log_partition()[0] == -torch.inf
    assert chain.log_likelihood(tags)[0] == -torch.inf
    other = LinearChain(torch.zeros(2, 3, 2), torch.zeros(2, 2))
    quantities = [
        chain.log_partition(), chain.log_likelihood(tags), chain.token_log_likelihood(tags),
        chain.marginals(),
        chain.edge_marginals(), chain.entropy(), chain.kl_divergence(other),
        chain.window_log_probability(0, torch.ones(1, 2, dtype=torch.bool)),
    ]  # fmt: skip
    for values in quantities:
        assert not values.isnan().any()
        (gradient,) = torch.autograd.grad(values[0].sum(), leaf, retain_graph=True, allow_unused=True)
        assert (gradient == 0).all()
    for tags in (chain.viterbi()[0], chain.posterior_decode()[0], chain.sample(2), chain.k_best(2)[0]):
        assert (tags[0] == -1).all()
        assert (tags[1].reshape(-1, 3)[0] >= 0).all()
    assert chain.k_best(2)[2].tolist() == [0, 2]


def test_empty_rows() -> None:
    chain = LinearChain(torch.randn(2, 3, 2), torch.randn(2, 2), mask=torch.zeros(2, 3, dtype=torch.bool))
    zeros = torch.zeros(2)
    for values in (
        chain.log_partition(),
        chain.log_likelihood(torch.full((2, 3), -7)),
        chain.entropy(),
        chain.viterbi()[1],
    ):
        assert torch.equal(values, zeros)
    assert chain.k_best(3)[1].tolist() == [[0.0, -math.inf, -math.inf]] * 2
    assert chain.k_best(3)[2].tolist() == [1, 1]
    assert (chain.sample(2) == -1).all()
    assert torch.equal(chain.lengths, torch.zeros(2, dtype=torch.int64))


def test_an_empty_batch() -> None:
    chain = LinearChain(torch.zeros(0, 3, 2), torch.zeros(2, 2), mask=torch.ones(0, 3, dtype=torch.bool))
    assert chain.log_partition().shape == (0,)
    assert chain.viterbi()[0].shape == (0, 3)
    assert chain.marginals().shape == (0, 3, 2)


VALID = {"emissions": torch.zeros(2, 3, 3), "transitions": torch.zeros(3, 3)}
FORBIDDEN = torch.tensor([[0.0, -torch.inf, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
CLOSED = torch.tensor([0.0, 0.0, -torch.inf])


@pytest.mark.parametrize(
    ("change", "tags", "message"),
    [
        ({}, [[0, 0, 0], [0, 3, 0]], "sentence 1, token 1: expected a tag from 0 to 2, or -100, got 3"),
        ({}, [[0, 0, -1], [0, 0, 0]], "sentence 0, token 2: expected a tag from 0 to 2, or -100, got -1"),
        (
            {"transitions": FORBIDDEN},
            [[0, 0, 0], [2, 0, 1]],
            "sentence 1, token 2: tag 1 cannot follow tag 0",
        ),
        (
            {"start_transitions": CLOSED},
            [[1, 1, 1], [2, 1, 1]],
            "sentence 1, token 0: a sentence cannot start in tag 2",
        ),
        (
            {"end_transitions": CLOSED},
            [[1, 1, 2], [0, 0, 0]],
            "sentence 0, token 2: a sentence cannot end in tag 2",
        ),
        (
            {"allowed": torch.tensor([[[1, 1, 1]] * 3, [[1, 1, 1], [0, 1, 1], [1, 1, 1]]]).bool()},
            [[0, 0, 0], [0, 0, 0]],
            "sentence 1, token 1: tag 0 is forbidden",
        ),
        (
            {"allowed": torch.tensor([[[1, 1, 1]] * 3, [[1, 1, 1], [1, 1, 1], [0, 0, 0]]]).bool()},
            [[0, 0, 0], [0, 0, 0]],
            "sentence 1, token 2: no tag is allowed",
        ),
        (
            {"transitions": torch.where(torch.eye(3).bool(), 0.0, -torch.inf)},
            [[0, 0, 0], [0, -100, 1]],
            "sentence 1: no allowed path agrees with its tags",
        ),
        (
            {"mask": torch.tensor([[1, 1, 1], [0, 1, 1]]).bool(), "transitions": FORBIDDEN},
            [[0, 0, 0], [0, 0, 1]],
            "sentence 1, token 2: tag 1 cannot follow tag 0",
        ),
    ],
)
def test_validate_names_sentence_position_and_tags(change: dict, tags: list, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        LinearChain(**(VALID | change), validate=True).log_likelihood(torch.tensor(tags))
    assert str(caught.value) == message


def test_validate_lets_good_values_pass() -> None:
    mask = torch.tensor([[1, 0, 1], [0, 0, 0]]).bool()
    chain = LinearChain(torch.zeros(2, 3, 3), FORBIDDEN, mask=mask, validate=True)
    tags = torch.tensor([[0, 1, -100], [9, 9, 9]])
    assert chain.log_likelihood(tags).isfinite().all()
    assert chain.score(tags).isfinite().all()
