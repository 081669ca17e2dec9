"""Every quantity of LinearChain against the enumeration of all paths, gradients included."""

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from chaincrf.crf import LinearChain
from chaincrf.errors import ArgumentError

from . import oracle
from .agreement import close, rows, same_gradients, size
from .strategies import chains, chains_with_tags, over


@over(chains())
def test_log_partition(chain: LinearChain) -> None:
    close(chain.log_partition(), rows(oracle.log_partition)(chain), chain)
    same_gradients(chain, lambda c: c.log_partition(), rows(oracle.log_partition))


@over(chains_with_tags())
def test_score(drawn: tuple[LinearChain, Tensor]) -> None:
    chain, tags = drawn

    def expected(chain: LinearChain, row: int) -> Tensor:
        return oracle.scores(chain, row, tags[row, oracle.positions(chain, row)].unsqueeze(0)).squeeze(0)

    close(chain.score(tags), rows(expected)(chain), chain)
    same_gradients(chain, lambda c: c.score(tags), rows(expected))


@over(chains_with_tags(unknown=True))
def test_score_of_partial_labels(drawn: tuple[LinearChain, Tensor]) -> None:
    chain, tags = drawn
    expected = rows(lambda c, b: oracle.logsumexp(oracle.scores(c, b)[oracle.agreeing(c, b, tags)]))
    close(chain.score(tags), expected(chain), chain)
    same_gradients(chain, lambda c: c.score(tags), expected)


@over(chains_with_tags() | chains_with_tags(unknown=True))
def test_log_likelihood(drawn: tuple[LinearChain, Tensor]) -> None:
    chain, tags = drawn
    value = chain.log_likelihood(tags)
    close(value, rows(oracle.log_likelihood)(chain, tags), chain)
    assert (value <= 1e-6 * chain.lengths).all()
    same_gradients(chain, lambda c: c.log_likelihood(tags), lambda c: rows(oracle.log_likelihood)(c, tags))


@over(chains_with_tags())
def test_gold_given_as_sets_of_tags(drawn: tuple[LinearChain, Tensor]) -> None:
    """What is left of the partition is the mass of the paths that agree."""
    chain, tags = drawn
    K = chain.emissions.shape[2]
    allowed = (torch.arange(K) == tags.unsqueeze(2)) | (torch.arange(K) == (tags + 1).unsqueeze(2) % K)

    def expected(chain: LinearChain, row: int) -> Tensor:
        tokens, every = oracle.positions(chain, row), oracle.paths(chain, row)
        agrees = allowed[row, tokens][torch.arange(len(tokens)), every].all(1)
        return oracle.logsumexp(oracle.scores(chain, row)[agrees])

    close(chain.restrict(allowed).log_partition(), rows(expected)(chain), chain)
    same_gradients(chain, lambda c: c.restrict(allowed).log_partition(), rows(expected))


def chain_rule(chain: LinearChain, row: int, tags: Tensor) -> Tensor:
    """log p(y_t | y_1 .. y_{t-1}) by the definition: the mass that agrees up to t, by that up to t-1."""
    log_p, tokens = oracle.log_probabilities(chain, row), oracle.positions(chain, row)
    agree = (oracle.paths(chain, row) == tags[row, tokens]) | (tags[row, tokens] == oracle.UNKNOWN)
    mass = [oracle.logsumexp(log_p[agree[:, :n].all(1)]) for n in range(len(tokens) + 1)]
    terms = torch.zeros(chain.emissions.shape[1], dtype=torch.float64)
    for n, t in enumerate(tokens):
        terms[t] = -torch.inf if mass[n + 1] == -torch.inf else mass[n + 1] - mass[n]
    return terms


@over(chains_with_tags() | chains_with_tags(unknown=True))
def test_token_log_likelihood(drawn: tuple[LinearChain, Tensor]) -> None:
    chain, tags = drawn
    terms = chain.token_log_likelihood(tags)
    close(terms, rows(chain_rule)(chain, tags), chain)
    close(terms.sum(1), chain.log_likelihood(tags), chain)
    same_gradients(chain, lambda c: c.token_log_likelihood(tags), lambda c: rows(chain_rule)(c, tags))


@over(chains_with_tags(), st.randoms(use_true_random=False))
def test_weights(drawn: tuple[LinearChain, Tensor], random) -> None:
    chain, tags = drawn
    B, T, _ = chain.emissions.shape
    by_row = torch.tensor([random.choice([0.0, 0.5, 2.0]) for _ in range(B)], dtype=torch.float64)
    by_token = torch.tensor([[random.choice([0.0, 1.0, 3.0]) for _ in range(T)] for _ in range(B)]).double()

    def weighted(weights: Tensor, values: Tensor) -> Tensor:
        return torch.where(weights == 0, 0.0, weights * values)

    likelihood = chain.log_likelihood(tags)
    close(chain.log_likelihood(tags, by_row), weighted(by_row, likelihood), chain)
    close(chain.log_likelihood(tags, torch.ones(B, T).double()), likelihood, chain)
    expected = lambda c: weighted(by_token, rows(chain_rule)(c, tags)).sum(1)  # noqa: E731
    close(chain.log_likelihood(tags, by_token), expected(chain), chain)
    same_gradients(chain, lambda c: c.log_likelihood(tags, by_token), expected)


def marginals(chain: LinearChain, row: int) -> Tensor:
    p, every = oracle.log_probabilities(chain, row).exp(), oracle.paths(chain, row)
    result = torch.zeros(chain.emissions.shape[1:], dtype=torch.float64)
    for n, t in enumerate(oracle.positions(chain, row)):
        result[t] = torch.stack([p[every[:, n] == j].sum() for j in range(chain.emissions.shape[2])])
    return result


def edge_marginals(chain: LinearChain, row: int) -> Tensor:
    p, every = oracle.log_probabilities(chain, row).exp(), oracle.paths(chain, row)
    _, T, K = chain.emissions.shape
    result = torch.zeros(T - 1, K, K, dtype=torch.float64)
    for n, t in enumerate(oracle.positions(chain, row)[1:], start=1):
        for i in range(K):
            for j in range(K):
                result[t - 1, i, j] = p[(every[:, n - 1] == i) & (every[:, n] == j)].sum()
    return result


@over(chains())
def test_marginals(chain: LinearChain) -> None:
    # a probability is exp(difference of scores): its relative error is the absolute one of the scores
    torch.testing.assert_close(chain.marginals(), rows(marginals)(chain), rtol=0, atol=1e-14 * size(chain))
    same_gradients(chain, lambda c: c.marginals(), rows(marginals))


@over(chains())
def test_edge_marginals(chain: LinearChain) -> None:
    expected = rows(edge_marginals)(chain)
    torch.testing.assert_close(chain.edge_marginals(), expected, rtol=0, atol=1e-14 * size(chain))
    same_gradients(chain, lambda c: c.edge_marginals(), rows(edge_marginals))


@over(chains())
def test_viterbi(chain: LinearChain) -> None:
    tags, scores = chain.viterbi()
    for b in range(len(tags)):
        totals = oracle.scores(chain, b)
        close(scores[b], totals.max(), chain)
        if totals.max() == -torch.inf:
            assert (tags[b] == -1).all()
            continue
        path = tags[b, oracle.positions(chain, b)]
        assert torch.equal(tags[b], oracle.in_place(chain, b, path))
        close(oracle.scores(chain, b, path.unsqueeze(0)), totals.max().unsqueeze(0), chain)


@over(chains(scales=("ties", "steps")))
def test_viterbi_breaks_ties_from_the_end(chain: LinearChain) -> None:
    """Whole scores have exact sums: of the best paths the one with the lowest last tag, and so on back."""
    tags, _ = chain.viterbi()
    for b in range(len(tags)):
        totals = oracle.scores(chain, b)
        if totals.max() > -torch.inf:
            best = min(oracle.paths(chain, b)[totals == totals.max()].tolist(), key=lambda path: path[::-1])
            assert tags[b, oracle.positions(chain, b)].tolist() == best


@over(chains())
def test_viterbi_compact_aligns_left(chain: LinearChain) -> None:
    tags, compact = chain.viterbi()[0], chain.viterbi(compact=True)[0]
    for row, left in zip(tags, compact, strict=True):
        kept = row[row >= 0].tolist()
        assert left.tolist() == kept + [-1] * (len(row) - len(kept))


@over(chains(), st.integers(1, 5))
def test_k_best(chain: LinearChain, k: int) -> None:
    tags, scores, counts = chain.k_best(k)
    assert tags.shape == (len(chain.emissions), k, chain.emissions.shape[1])
    first, _ = chain.viterbi()
    for b in range(len(tags)):
        totals = oracle.scores(chain, b).sort(descending=True).values
        totals = totals[totals > -torch.inf][:k]
        n = len(totals)
        assert counts[b] == n
        close(scores[b, :n], totals, chain)
        assert (scores[b, n:] == -torch.inf).all()
        assert (tags[b, n:] == -1).all()
        paths = tags[b, :n][:, oracle.positions(chain, b)]
        close(oracle.scores(chain, b, paths), totals, chain)
        assert len({tuple(path) for path in paths.tolist()}) == n
        for path, row in zip(paths, tags[b, :n], strict=True):
            assert torch.equal(row, oracle.in_place(chain, b, path))
        assert torch.equal(tags[b, 0], first[b])


@over(chains())
def test_entropy(chain: LinearChain) -> None:
    def expected(chain: LinearChain, row: int) -> Tensor:
        log_p = oracle.log_probabilities(chain, row)
        return -(log_p[log_p > -torch.inf].exp() * log_p[log_p > -torch.inf]).sum()

    close(chain.entropy(), rows(expected)(chain), chain)
    same_gradients(chain, lambda c: c.entropy(), rows(expected), scale=size(chain))


@over(chains(), st.sampled_from([0.0, 0.1]), st.integers(0, 1000))
def test_cross_entropy_and_kl_divergence(chain: LinearChain, forbid: float, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    forbidden = torch.rand(chain.emissions.shape, generator=g) < forbid
    noise = torch.randn(chain.transitions.shape, generator=g, dtype=torch.float64)

    def other(p: LinearChain) -> LinearChain:
        q = torch.where(forbidden, -torch.inf, p.emissions * 0.5)
        return LinearChain(q, p.transitions + noise, p.end_transitions, p.end_transitions, p.mask)

    def cross(chain: LinearChain, row: int, minus: int = 0) -> Tensor:
        log_p, log_q = oracle.log_probabilities(chain, row), oracle.log_probabilities(other(chain), row)
        log_p, log_q = log_p[log_p > -torch.inf], log_q[log_p > -torch.inf]
        if (log_q == -torch.inf).any():
            return torch.tensor(torch.inf, dtype=torch.float64)
        return (log_p.exp() * (minus * log_p - log_q)).sum()

    def kl(chain: LinearChain, row: int) -> Tensor:
        return cross(chain, row, minus=1)

    close(chain.cross_entropy(other(chain)), rows(cross)(chain), chain)
    divergence = chain.kl_divergence(other(chain))
    close(divergence, rows(kl)(chain), chain)
    assert (divergence >= -1e-13 * size(chain)).all()
    assert (chain.kl_divergence(chain) == 0).all()
    same_gradients(chain, lambda c: c.kl_divergence(other(c)), rows(kl), scale=size(chain))


@over(chains(), st.data())
def test_window_log_probability(chain: LinearChain, data: st.DataObject) -> None:
    B, T, K = chain.emissions.shape
    N, W = data.draw(st.integers(1, 3)), data.draw(st.integers(1, T + 1))
    g = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    allowed = torch.rand(N, W, K, generator=g) < 0.6
    starts = torch.randint(T, (N,), generator=g)
    windows = torch.randint(B, (N,), generator=g)

    def expected(chain: LinearChain) -> Tensor:
        values = []
        for n in range(N):
            row, start = int(windows[n]), int(starts[n])
            log_p, every = oracle.log_probabilities(chain, row), oracle.paths(chain, row)
            inside = every[:, start : start + W]
            agrees = allowed[n][torch.arange(inside.shape[1]), inside].all(1)
            values.append(oracle.logsumexp(log_p[agrees]))
        return torch.stack(values)

    close(chain.window_log_probability(starts, allowed, windows), expected(chain), chain)
    same_gradients(chain, lambda c: c.window_log_probability(starts, allowed, windows), expected)


@over(chains(), st.integers(0, 3))
def test_one_window_for_all_sequences(chain: LinearChain, start: int) -> None:
    B, T, K = chain.emissions.shape
    allowed = torch.eye(K, dtype=torch.bool)
    start = min(start, T - 1)
    expected = chain.window_log_probability(torch.full((B,), start), allowed.expand(B, K, K))
    assert torch.equal(chain.window_log_probability(start, allowed), expected)


@over(chains())
def test_posterior_decode(chain: LinearChain) -> None:
    tags, right = chain.posterior_decode()
    for b in range(len(tags)):
        log_p, every = oracle.log_probabilities(chain, b), oracle.paths(chain, b)
        if log_p.max() == -torch.inf:
            assert (tags[b] == -1).all()
            assert right[b] == -torch.inf
            continue
        tokens = oracle.positions(chain, b)
        expected = marginals(chain, b)[tokens][torch.arange(len(tokens)), every].sum(1)
        torch.testing.assert_close(
            right[b], expected[log_p > -torch.inf].max(), rtol=0, atol=1e-13 * size(chain)
        )
        path = tags[b, tokens]
        assert torch.equal(tags[b], oracle.in_place(chain, b, path))
        same = (every == path).all(1)
        assert log_p[same] > -torch.inf
        torch.testing.assert_close(expected[same][0], right[b], rtol=0, atol=1e-13 * size(chain))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"emissions": torch.zeros(2, 3)}, r"emissions must be \(B, T, K\).*got \(2, 3\)"),
        ({"emissions": torch.zeros(2, 0, 4)}, r"emissions must be .*got \(2, 0, 4\)"),
        ({"transitions": torch.zeros(4, 3)}, r"transitions must have shape \(4, 4\), got \(4, 3\)"),
        ({"transitions": torch.zeros(2, 3, 4, 4)}, r"shape \(2, 2, 4, 4\), got \(2, 3, 4, 4\)"),
        ({"start_transitions": torch.zeros(3)}, r"start_transitions must have shape \(4,\), got \(3,\)"),
        ({"end_transitions": torch.zeros(5)}, r"end_transitions must have shape \(4,\), got \(5,\)"),
        ({"mask": torch.ones(3, 2, dtype=torch.bool)}, r"mask must have shape \(2, 3\), got \(3, 2\)"),
        ({"mask": torch.ones(2, 3, dtype=torch.int64)}, r"mask must be torch.bool, got torch.int64"),
        ({"allowed": torch.ones(2, 3, 5, dtype=torch.bool)}, r"allowed must have shape"),
        (
            {"emissions": torch.zeros(2, 3, 4, dtype=torch.int64)},
            "emissions must be floating, got torch.int64",
        ),
        ({"emissions": torch.zeros(2, 3, 4, device="meta")}, "must be on meta as the emissions are, got cpu"),
    ],
)
def test_wrong_potentials(bad: dict[str, Tensor], message: str) -> None:
    good = {"emissions": torch.zeros(2, 3, 4), "transitions": torch.zeros(4, 4)}
    with pytest.raises(ArgumentError, match=message):
        LinearChain(**(good | bad))


def test_wrong_arguments() -> None:
    chain = LinearChain(torch.zeros(2, 3, 4), torch.zeros(4, 4))
    with pytest.raises(ArgumentError, match=r"tags must have shape \(2, 3\), got \(2, 4\)"):
        chain.log_likelihood(torch.zeros(2, 4, dtype=torch.int64))
    with pytest.raises(ArgumentError, match=r"tags must be torch.int64, got torch.int32"):
        chain.score(torch.zeros(2, 3, dtype=torch.int32))
    with pytest.raises(ArgumentError, match="k must be at least 1, got 0"):
        chain.k_best(0)
    with pytest.raises(ArgumentError, match=r"other must have shape \(2, 3, 4\), got \(2, 2, 4\)"):
        chain.kl_divergence(LinearChain(torch.zeros(2, 2, 4), torch.zeros(4, 4)))
    with pytest.raises(ArgumentError, match=r"allowed must have shape \(1, 4\), got \(1, 3\)"):
        chain.window_log_probability(0, torch.ones(1, 3, dtype=torch.bool))
    assert repr(chain) == "LinearChain(B=2, T=3, K=4, transitions=(K, K), masked=False)"
