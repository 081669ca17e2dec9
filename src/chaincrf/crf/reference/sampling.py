"""Forward filtering, backward sampling: exact samples from the chain."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from .forward_backward import forward, log_partition
from .potentials import Potentials

__all__ = ["sample"]


def sample(chain: Potentials, n: int, generator: torch.Generator | None) -> Int[Tensor, "B T n"]:
    """Draw n paths a sequence, at the left of their rows and -1 beyond; O(T K (K + n)).

    The last tag from exp(alpha_T + end), and from there back y_{t-1} from exp(alpha_{t-1}[i] + A[i, y_t]).
    Each is drawn as the highest of the log weights plus Gumbel noise, which takes no normalisation. -1
    throughout where there is no path.

    Source: Scott (2002), "Bayesian methods for hidden Markov models".
    """
    B, T, K = chain.emissions.shape
    alpha = forward(chain)

    def noise() -> Tensor:
        return alpha.new_empty(B, n, K).exponential_(generator=generator).log().neg()

    last = chain.last().unsqueeze(1)
    final = ((chain.at_last(alpha) + chain.end).unsqueeze(1) + noise()).argmax(dim=2)
    path = [final]
    for t in reversed(range(1, T)):
        moves = chain.moves_into(t).expand(B, K, K).transpose(1, 2)  # [to, from]
        into = moves.gather(1, path[-1].unsqueeze(2).expand(B, n, K))
        previous = (alpha[:, t - 1].unsqueeze(1) + into + noise()).argmax(dim=2)
        path.append(torch.where(last < t, final, previous))
    exists = chain.counts() & (log_partition(chain, alpha) != -torch.inf).unsqueeze(1)
    return torch.where(exists.unsqueeze(2), torch.stack(path[::-1], dim=1), -1)
