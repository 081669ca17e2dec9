"""Every quantity of LinearChain against the enumeration of all paths, gradients included."""

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from chaincrf.crf import LinearChain
from chaincrf.crf.reference.forward_backward import (
    backward,
    edge_log_marginals,
    forward,
    log_marginals,
    log_partition,
)
from chaincrf.crf.reference.smoothing import smooth
from chaincrf.errors import ArgumentError

from . import oracle
from .agreement import close, leaves, rows, same_gradients, size
from .strategies import UNKNOWN, chains, chains_with_tags, over

pytestmark = pytest.mark.usefixtures("each_backend")


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
    assert (value <= 0).all()
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
    assert (divergence >= 0).all()
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
            assert right[b] == 0
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
    with pytest.raises(ArgumentError, match="n must be at least 0, got -1"):
        chain.sample(-1)
    with pytest.raises(ArgumentError, match=r"other must have shape \(2, 3, 4\), got \(2, 2, 4\)"):
        chain.kl_divergence(LinearChain(torch.zeros(2, 2, 4), torch.zeros(4, 4)))
    with pytest.raises(ArgumentError, match=r"allowed must have shape \(1, 4\), got \(1, 3\)"):
        chain.window_log_probability(0, torch.ones(1, 3, dtype=torch.bool))
    assert repr(chain) == "LinearChain(B=2, T=3, K=4, transitions=(K, K), masked=False)"


@pytest.mark.usefixtures("unchecked")
def test_numbers_that_are_none() -> None:
    chain = LinearChain(torch.zeros(2, 3, 4), torch.zeros(4, 4))
    for k in (2.0, "2", True):
        with pytest.raises(ArgumentError, match=f"k must be an integer, got {k!r}"):
            chain.k_best(k)
    with pytest.raises(ArgumentError, match=r"n must be an integer, got 1\.5"):
        chain.sample(1.5)


ONE = torch.ones(1, 4, dtype=torch.bool)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, ONE), "start must be at least 0, got -1"),
        ((True, ONE), "start must be an integer, got True"),
        ((1.0, ONE), "start must be an integer, got 1.0"),
        ((torch.tensor([0.0, 1.0]), ONE), r"start must be torch.int64, got torch.float32"),
        ((torch.tensor([0]), ONE), r"start must have shape \(2,\), got \(1,\)"),
        ((0, ONE[:0]), r"allowed must be \(W, K\) or \(N, W, K\) with W at least 1, got \(0, 4\)"),
        ((0, ONE[0]), r"allowed must be .* got \(4,\)"),
        ((0, ONE, torch.tensor([[0, 1]])), r"rows must have shape \(2,\), got \(1, 2\)"),
        ((0, ONE, torch.tensor([0.0])), "rows must be torch.int64, got torch.float32"),
        ((0, ONE, torch.tensor([True])), "rows must be torch.int64, got torch.bool"),
        ((0, ONE, None, [1]), r"widths must be 2 numbers from 1 down to 1, never increasing, got \[1\]"),
        ((0, ONE, None, [1, 0]), r"widths must be .*, got \[1, 0\]"),
        ((0, ONE, None, [2, 1]), r"widths must be .*, got \[2, 1\]"),
        ((0, ONE.expand(2, 4), None, [1, 2]), r"widths must be .*, got \[1, 2\]"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_windows(arguments: tuple, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        LinearChain(torch.zeros(2, 3, 4), torch.zeros(4, 4)).window_log_probability(*arguments)


@pytest.mark.parametrize(("start", "row"), [(-1, 0), (0, -1), (0, 2)])
def test_a_window_that_is_nowhere_has_no_probability(start: int, row: int) -> None:
    chain = LinearChain(torch.randn(2, 3, 4), torch.randn(4, 4))
    starts, rows_ = torch.tensor([start, 0]), torch.tensor([row, 1])
    values = chain.window_log_probability(starts, ONE, rows_)
    assert values.isnan().tolist() == [True, False]
    chain.validate = True
    with pytest.raises(ArgumentError, match=f"window 0 .* 2 sequences, got token {start} of sequence {row}"):
        chain.window_log_probability(starts, ONE, rows_)


@over(chains(), st.data())
def test_narrow_windows_are_wide_ones_that_ask_nothing_more(chain: LinearChain, data: st.DataObject) -> None:
    B, T, K = chain.emissions.shape
    widths = sorted(data.draw(st.lists(st.integers(1, T + 1), min_size=1, max_size=4)), reverse=True)
    N, W = len(widths), T + 1
    g = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    allowed = torch.rand(N, W, K, generator=g) < 0.6
    starts, windows = torch.randint(T, (N,), generator=g), torch.randint(B, (N,), generator=g)
    padded = allowed | (torch.arange(W) >= torch.tensor(widths).unsqueeze(1)).unsqueeze(2)
    narrow = chain.window_log_probability(starts, allowed, windows, widths)
    close(narrow, chain.window_log_probability(starts, padded, windows), chain)


@pytest.mark.parametrize("by_token", [True, False])
@pytest.mark.usefixtures("unchecked")
def test_weights_are_checked_and_not_looked_at_where_masked(by_token: bool) -> None:
    mask = torch.tensor([[1, 0, 1], [0, 0, 0]]).bool()
    chain = LinearChain(torch.randn(2, 3, 4), torch.randn(4, 4), mask=mask)
    tags = torch.zeros(2, 3, dtype=torch.int64)
    weights = torch.where(mask, 2.0, torch.nan) if by_token else torch.tensor([2.0, torch.nan])
    for given in (weights, weights.double(), weights.nan_to_num().long()):
        value = chain.log_likelihood(tags, given)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, 2 * chain.log_likelihood(tags))
    for shape in ((1,), (2, 1), (3,), (2, 3, 1), ()):
        with pytest.raises(ArgumentError, match=r"weights must have shape \(2,\) or \(2, 3\), got"):
            chain.log_likelihood(tags, torch.ones(shape))


@over(chains_with_tags())
def test_the_gradient_of_a_forbidden_path_is_zero(drawn: tuple[LinearChain, Tensor]) -> None:
    chain, tags = drawn
    weights = torch.full(tags.shape, 2.0)
    for quantity in (
        lambda c: c.score(tags),
        lambda c: c.log_likelihood(tags),
        lambda c: c.log_likelihood(tags, weights),
        lambda c: c.log_likelihood(tags, weights[:, 0]),
    ):
        fresh, parts = leaves(chain)
        values = quantity(fresh)
        total = values[values == -torch.inf].sum()
        for gradient in torch.autograd.grad(total, parts, allow_unused=True):
            assert gradient is None or (gradient == 0).all()


@over(chains())
def test_smoothing_and_forward_backward_agree(chain: LinearChain) -> None:
    p = chain._potentials()
    alpha = forward(p)
    messages = alpha, backward(p), log_partition(p, alpha)
    log_z, unary, moves = smooth(p)
    edges = edge_log_marginals(p, *messages).exp()
    close(log_z, messages[2], chain)
    bound = {"rtol": 0, "atol": 1e-14 * size(chain)}
    torch.testing.assert_close(unary, log_marginals(p, *messages).exp(), **bound)
    torch.testing.assert_close(moves, edges if p.per_position else edges.sum(1), **bound)


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e8])
def test_probabilities_are_at_most_one_at_any_size_of_the_scores(scale: float) -> None:
    """The rounding of a score of 1e8 is more than the digits of a probability near 1."""
    g = torch.Generator().manual_seed(0)
    chain = LinearChain(scale * torch.randn(64, 60, 3, generator=g), torch.randn(3, 3, generator=g))
    tags, _ = chain.viterbi()
    sets = torch.nn.functional.one_hot(tags, 3).bool()
    assert (chain.log_likelihood(tags) <= 0).all()
    assert (chain.token_log_likelihood(tags) <= 0).all()
    assert (chain.window_log_probability(3, sets[:, 3:6]) <= 0).all()
    assert (chain.entropy() >= 0).all()
    assert (chain.kl_divergence(LinearChain(chain.emissions + 1, chain.transitions)) >= 0).all()
    for p in (chain.marginals(), chain.edge_marginals()):
        assert ((p >= 0) & (p <= 1)).all()
    torch.testing.assert_close(chain.marginals().sum(2), torch.ones(64, 60))


@pytest.mark.parametrize("tags", [[[0, 1, 7]], [[0, UNKNOWN, 7]], [[0, 1, -1]], [[UNKNOWN, 0, -1]]])
def test_a_tag_out_of_range_is_found_on_the_cpu_beside_unknown_ones_too(tags: list) -> None:
    chain = LinearChain(torch.zeros(1, 4, 3), torch.zeros(3, 3), mask=torch.tensor([[1, 0, 1, 1]]).bool())
    gold = torch.tensor(tags)
    gold = torch.cat([gold[:, :1], torch.tensor([[99]]), gold[:, 1:]], dim=1)
    wrong = f"sentence 0, token 3: expected a tag from 0 to 2, or -100, got {tags[0][2]}"
    for quantity in (chain.log_likelihood, chain.score, chain.token_log_likelihood):
        with pytest.raises(ArgumentError) as caught:
            quantity(gold)
        assert str(caught.value) == wrong


def test_more_paths_asked_for_than_there_are() -> None:
    chain = LinearChain(torch.randn(2, 2, 2), torch.randn(2, 2))
    tags, scores, counts = chain.k_best(100_000)
    assert (tags.shape, scores.shape, counts.tolist()) == ((2, 100_000, 2), (2, 100_000), [4, 4])
    assert (tags[:, 4:] == -1).all()
    assert (scores[:, 4:] == -torch.inf).all()


def test_scaled_scores():
    chain = LinearChain(torch.randn(2, 3, 4), torch.randn(4, 4), torch.randn(4), torch.full((4,), -torch.inf))
    hot = chain.scaled(0.5)
    torch.testing.assert_close(hot.emissions, chain.emissions / 2)
    assert (hot.end_transitions == -torch.inf).all()
    with pytest.raises(ArgumentError, match="positive finite"):
        chain.scaled(0.0)
