"""The oracle: every path of every sequence, scored straight from the definition in float64."""

from itertools import product

import torch
from torch import Tensor

from chaincrf.crf import LinearChain

UNKNOWN = -100


def positions(chain: LinearChain, row: int) -> list[int]:
    """The tokens of the row that count."""
    if chain.mask is None:
        return list(range(chain.emissions.shape[1]))
    return chain.mask[row].nonzero().flatten().tolist()


def paths(chain: LinearChain, row: int) -> Tensor:
    """All tag sequences over the tokens of the row that count, (N, L)."""
    K, length = chain.emissions.shape[2], len(positions(chain, row))
    return torch.tensor(list(product(range(K), repeat=length)), dtype=torch.int64).reshape(K**length, length)


def scores(chain: LinearChain, row: int, some: Tensor | None = None) -> Tensor:
    """The scores of paths (N, L), of all without them; differentiable."""
    some = paths(chain, row) if some is None else some
    tokens = positions(chain, row)
    if not tokens:
        return torch.zeros(len(some), dtype=torch.float64)
    emitted = chain.emissions[row, tokens].double()[torch.arange(len(tokens)), some].sum(1)
    if chain.transitions.dim() == 2:
        moved = chain.transitions.double()[some[:, :-1], some[:, 1:]].sum(1)
    else:  # the move into a token stands at that token, whatever lies between it and the one before
        into = torch.tensor(tokens[1:], dtype=torch.int64) - 1
        moved = chain.transitions.double()[row, into, some[:, :-1], some[:, 1:]].sum(1)
    ends = chain.start_transitions.double()[some[:, 0]] + chain.end_transitions.double()[some[:, -1]]
    return emitted + moved + ends


def logsumexp(scores: Tensor) -> Tensor:
    """Over the finite scores only: so the gradient is right where some, or all, are -inf."""
    finite = scores[scores > -torch.inf]
    return torch.logsumexp(finite, 0) if len(finite) else torch.tensor(-torch.inf, dtype=torch.float64)


def log_partition(chain: LinearChain, row: int) -> Tensor:
    return logsumexp(scores(chain, row))


def log_probabilities(chain: LinearChain, row: int) -> Tensor:
    """Of all paths; all -inf if every path is forbidden."""
    every = scores(chain, row)
    log_z = logsumexp(every)
    return every if log_z == -torch.inf else every - log_z


def agreeing(chain: LinearChain, row: int, tags: Tensor) -> Tensor:
    """True for the paths that agree with the gold tags, -100 agreeing with all."""
    gold = tags[row, positions(chain, row)]
    return ((gold == UNKNOWN) | (gold == paths(chain, row))).all(1)


def log_likelihood(chain: LinearChain, row: int, tags: Tensor) -> Tensor:
    return logsumexp(log_probabilities(chain, row)[agreeing(chain, row, tags)])


def in_place(chain: LinearChain, row: int, path: Tensor) -> Tensor:
    """A path (L,) as a row of tags (T,), -1 where masked."""
    tags = torch.full((chain.emissions.shape[1],), -1)
    tags[positions(chain, row)] = path
    return tags
