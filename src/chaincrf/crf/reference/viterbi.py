"""The Viterbi algorithm: the path of the highest score, or the k highest.

    delta_1[j] = start[j] + u_1[j]
    delta_t[j] = max_i (delta_{t-1}[i] + A[i, j]) + u_t[j]          (and the best i is remembered)

Viterbi (1967); Forney (1973), "The Viterbi algorithm". k best: Seshadri and Sundberg (1994), "List Viterbi".
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .potentials import Potentials

__all__ = ["k_best", "viterbi"]


def viterbi(chain: Potentials) -> tuple[Int[Tensor, "B T"], Float[Tensor, " B"]]:
    """The best path and its score, at the left of its row and -1 beyond; O(T K^2), no gradient.

    Ties: the lowest last tag, and from there back always the lowest previous tag. An empty row scores 0; a
    row whose every path is forbidden scores ``-inf`` and has no path: it is -1 throughout.
    """
    emissions = chain.emissions.unbind(1)
    delta, origins = [chain.start + emissions[0]], []
    for t in range(1, len(emissions)):
        best, origin = (delta[-1].unsqueeze(2) + chain.moves_into(t)).max(dim=1)
        delta.append(best + emissions[t])
        origins.append(origin)
    score, best_last = (chain.at_last(torch.stack(delta, dim=1)) + chain.end).max(dim=1)

    last = chain.last()
    path = [best_last]
    for t in reversed(range(1, len(emissions))):
        previous = origins[t - 1].gather(1, path[-1].unsqueeze(1)).squeeze(1)
        path.append(torch.where(last < t, best_last, previous))
    score = torch.where(chain.lengths > 0, score, 0.0)
    exists = chain.counts() & (score != -torch.inf).unsqueeze(1)
    return torch.where(exists, torch.stack(path[::-1], dim=1), -1), score


def k_best(chain: Potentials, k: int) -> tuple[Int[Tensor, "B T k"], Float[Tensor, "B k"]]:
    """The k best paths, best first, and their scores; O(T K^2 k log(K k)), no gradient.

    As ``viterbi``, with the k best beginnings kept for each tag in place of the one. A sequence with fewer
    than k paths has -1 throughout and ``-inf`` in the place of the others. Of equal paths the one that
    Viterbi would take comes first.
    """
    emissions = chain.emissions.unbind(1)
    B, _, K = chain.emissions.shape
    delta = (chain.start + emissions[0]).unsqueeze(2)
    delta = torch.cat([delta, delta.new_full((B, K, k - 1), -torch.inf)], dim=2)
    kept, origins = [delta], []
    for t in range(1, len(emissions)):
        into = delta.unsqueeze(3) + chain.moves_into(t).unsqueeze(2)  # [from, rank, to]
        best, origin = (x[:, :k] for x in into.flatten(1, 2).sort(dim=1, descending=True, stable=True))
        delta = best.transpose(1, 2) + emissions[t].unsqueeze(2)
        kept.append(delta)
        origins.append(origin.transpose(1, 2).flatten(1))  # at [tag, rank]: the [tag, rank] before
    final = (chain.at_last(torch.stack(kept, dim=1)) + chain.end.unsqueeze(1)).flatten(1)
    score, best_last = (x[:, :k] for x in final.sort(dim=1, descending=True, stable=True))

    last = chain.last().unsqueeze(1)
    path = [best_last]
    for t in reversed(range(1, len(emissions))):
        path.append(torch.where(last < t, best_last, origins[t - 1].gather(1, path[-1])))
    empty_path = torch.where(torch.arange(k, device=score.device) == 0, 0.0, -torch.inf).to(score.dtype)
    score = torch.where((chain.lengths > 0).unsqueeze(1), score, empty_path)
    exists = chain.counts().unsqueeze(2) & (score != -torch.inf).unsqueeze(1)
    return torch.where(exists, torch.stack(path[::-1], dim=1) // k, -1), score
