"""NaN and +inf at a token that counts: no quantity hides them."""

import pytest
import torch

from chaincrf.crf import LinearChain

from .strategies import UNKNOWN

pytestmark = pytest.mark.usefixtures("each_backend")

REAL_VALUED = {
    "log_partition": lambda c, tags: c.log_partition(),
    "score": lambda c, tags: c.score(tags),
    "score of partial labels": lambda c, tags: c.score(torch.where(tags == 1, UNKNOWN, tags)),
    "log_likelihood": lambda c, tags: c.log_likelihood(tags),
    "of partial labels": lambda c, tags: c.log_likelihood(torch.where(tags == 1, UNKNOWN, tags)),
    "weighted": lambda c, tags: c.log_likelihood(tags, torch.ones(tags.shape)),
    "token_log_likelihood": lambda c, tags: c.token_log_likelihood(tags).sum(1),
    "marginals": lambda c, tags: c.marginals().sum((1, 2)),
    "edge_marginals": lambda c, tags: c.edge_marginals().sum((1, 2, 3)),
    "entropy": lambda c, tags: c.entropy(),
    "cross_entropy": lambda c, tags: c.cross_entropy(LinearChain(torch.zeros(2, 3, 3), torch.zeros(3, 3))),
    "kl_divergence": lambda c, tags: c.kl_divergence(LinearChain(torch.zeros(2, 3, 3), torch.zeros(3, 3))),
    "kl_divergence from": lambda c, tags: LinearChain(torch.zeros(2, 3, 3), torch.zeros(3, 3)).kl_divergence(
        c
    ),
    "window": lambda c, tags: c.window_log_probability(0, torch.ones(1, 3, dtype=torch.bool)),
    "viterbi": lambda c, tags: c.viterbi()[1],
    "k_best": lambda c, tags: c.k_best(2)[1][:, 0],
    "posterior_decode": lambda c, tags: c.posterior_decode()[1],
}


@pytest.mark.parametrize("quantity", REAL_VALUED)
@pytest.mark.parametrize("token", [0, 1, 2])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_no_number_stays_none(quantity: str, token: int, bad: float) -> None:
    """Neither a finite value, nor the -inf of what is forbidden; and in its own sequence alone."""
    emissions = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
    emissions[0, token, 0] = bad
    leaf = emissions.requires_grad_()
    tags = torch.tensor([[0, 0, 0], [1, 0, 2]])
    for chain in (LinearChain(leaf, torch.zeros(3, 3)), LinearChain(leaf, torch.zeros(2, 2, 3, 3))):
        values = REAL_VALUED[quantity](chain, tags)
        assert values.isnan().tolist() == [True, False]
        if quantity == "log_likelihood":
            assert torch.autograd.grad(values.sum(), leaf)[0][0].isnan().any()


def test_decoding_does_not_stumble_over_what_is_no_number() -> None:
    emissions = torch.zeros(1, 3, 3)
    emissions[0, 1, 0] = torch.nan
    chain = LinearChain(emissions, torch.zeros(3, 3))
    for tags in (chain.viterbi()[0], chain.k_best(2)[0], chain.sample(2)):
        assert ((tags >= 0) & (tags < 3)).all()
