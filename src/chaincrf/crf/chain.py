"""LinearChain: potentials in, every quantity out."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..errors import ArgumentError
from . import ops
from .checks import check, check_allowed, check_tags
from .reference.expectation import cross_entropy
from .reference.forward_backward import (
    backward,
    edge_log_marginals,
    forward,
    log_marginals,
    log_partition,
)
from .reference.potentials import Potentials, potentials
from .reference.sampling import sample
from .reference.score import UNKNOWN, agreeing, path_score, token_log_likelihood
from .reference.viterbi import k_best
from .reference.window import window_log_probability

__all__ = ["LinearChain"]


class LinearChain:
    """A batch of linear-chain conditional random fields with given potentials.

    Over the tag sequences y of a sentence of T tokens::

        score(y) = start[y_1] + sum_t emissions_t[y_t] + sum_t transitions[y_{t-1}, y_t] + end[y_T]
        p(y)     = exp(score(y)) / Z

    A potential of ``-inf`` forbids what it scores, in every quantity alike. Half-precision potentials are
    computed in float32; whatever the dtype, sums are taken in float64 and rounded once. An empty row has one
    path, the empty one. A row whose every path is forbidden has none: its log-partition is ``-inf`` with
    gradient zero, its marginals and expectations are zero, and its tags are -1.

    Args:
        emissions: ``(B, T, K)`` floating, T and K at least 1.
        transitions: ``(K, K)``, from tag i to tag j; or ``(B, T-1, K, K)``, where ``[b, t-1]`` is the move
            into token t from the previous token that counts.
        start_transitions: ``(K,)``, score of starting in a tag; None: 0.
        end_transitions: ``(K,)``, score of ending in a tag; None: 0.
        mask: ``(B, T)`` bool, True where a token counts; gaps anywhere, empty rows too; None: all count.
        allowed: ``(B, T, K)`` bool, the tags allowed at each token; None: all.
        validate: check what only the values can tell (it waits for the device): tokens without any allowed
            tag, gold tags out of range, gold paths that are forbidden.

    Raises:
        ArgumentError: a shape, dtype or device that does not fit; with ``validate``, also a value.
    """

    def __init__(
        self,
        emissions: Tensor,
        transitions: Tensor,
        start_transitions: Tensor | None = None,
        end_transitions: Tensor | None = None,
        mask: Tensor | None = None,
        allowed: Tensor | None = None,
        *,
        validate: bool = False,
    ) -> None:
        if emissions.dim() != 3 or 0 in emissions.shape[1:]:
            shape = tuple(emissions.shape)
            raise ArgumentError(f"emissions must be (B, T, K) with T and K at least 1, got {shape}")
        B, T, K = emissions.shape
        start = emissions.new_zeros(K) if start_transitions is None else start_transitions
        end = emissions.new_zeros(K) if end_transitions is None else end_transitions
        check("emissions", emissions, (B, T, K), emissions)
        check("transitions", transitions, (K, K) if transitions.dim() == 2 else (B, T - 1, K, K), emissions)
        check("start_transitions", start, (K,), emissions)
        check("end_transitions", end, (K,), emissions)
        if mask is not None:
            check("mask", mask, (B, T), emissions, torch.bool)
        if allowed is not None:
            check("allowed", allowed, (B, T, K), emissions, torch.bool)
            if validate:
                check_allowed(allowed, mask)
            emissions = torch.where(allowed, emissions, -torch.inf)
        dtype = torch.float32
        for x in (emissions, transitions, start, end):
            dtype = torch.promote_types(dtype, x.dtype)
        self.emissions = emissions.to(dtype)
        self.transitions = transitions.to(dtype)
        self.start_transitions = start.to(dtype)
        self.end_transitions = end.to(dtype)
        self.mask = mask
        self.validate = validate

    def __repr__(self) -> str:
        B, T, K = self.emissions.shape
        moves = "(K, K)" if self.transitions.dim() == 2 else "(B, T-1, K, K)"
        return f"LinearChain(B={B}, T={T}, K={K}, transitions={moves}, masked={self.mask is not None})"

    @property
    def lengths(self) -> Int[Tensor, " B"]:
        """Number of tokens that count in each sequence."""
        B, T, _ = self.emissions.shape
        if self.mask is None:
            return torch.full((B,), T, device=self.emissions.device)
        return self.mask.sum(1)

    def restrict(self, allowed: Bool[Tensor, "B T K"]) -> LinearChain:
        """The chain with only some tags at each token; what is left of Z is the mass of the paths left.

        Args:
            allowed: True for the tags that stay.
        """
        return LinearChain(*self._inputs(), allowed, validate=self.validate)

    # What the training needs.

    def log_partition(self) -> Float[Tensor, " B"]:
        """Log Z, the log of the summed exp score of all paths; its gradient is the marginals.

        One forward-backward gives value and gradient; O(T K^2).
        """
        return ops.log_partition(*self._inputs())

    def score(self, tags: Int[Tensor, "B T"]) -> Float[Tensor, " B"]:
        """The score of a path; with unknown tags, the log of the summed exp score of all that agree.

        O(T); with unknown tags, and where looking for them would wait for a device, O(T K^2).

        Args:
            tags: a tag at each token that counts, or -100: unknown.
        """
        chain = self._checked(tags)
        left = chain.to_left(tags, 0)
        can_look = tags.device.type == "cpu" and not torch.compiler.is_compiling()
        if can_look and not bool((left == UNKNOWN).any()):
            return self._rounded(path_score(chain, left))
        return self.restrict(agreeing(tags, self.emissions.shape[2])).log_partition()

    def log_likelihood(
        self, tags: Int[Tensor, "B T"], weights: Float[Tensor, " B *T"] | None = None
    ) -> Float[Tensor, " B"]:
        """Log p(tags); with unknown tags, the log of the mass of all paths that agree.

        ``-inf``, with gradient zero, for a path that is forbidden; 0 for an empty row. One forward-backward
        gives value and gradient; O(T K^2). Token weights take three recursions and automatic differentiation.

        Args:
            tags: a tag at each token that counts, or -100: unknown.
            weights: ``(B,)``, a factor for each sequence; or ``(B, T)``, a factor for each token's term in
                :meth:`token_log_likelihood`: the weighted log-likelihood where classes are uneven.
        """
        if weights is not None and weights.dim() == 2:
            terms = self.token_log_likelihood(tags)
            return torch.where(weights == 0, 0.0, weights * terms).sum(1)
        if self.validate:
            self._checked(tags)
        check("tags", tags, tuple(self.emissions.shape[:2]), self.emissions, torch.int64)
        value = -ops.negative_log_likelihood(*self._inputs(), tags)
        return value if weights is None else torch.where(weights == 0, 0.0, weights * value)

    def token_log_likelihood(self, tags: Int[Tensor, "B T"]) -> Float[Tensor, "B T"]:
        """Log p(y_t | y_1 .. y_{t-1}) of the gold tags: the chain rule's terms, 0 where masked.

        They sum to the log-likelihood. O(T K^2).

        Args:
            tags: a tag at each token that counts, or -100: unknown, whose term is 0 if nothing later depends.
        """
        chain = self._checked(tags)
        agree = agreeing(chain.to_left(tags, 0), self.emissions.shape[2])
        return self._rounded(chain.in_place(token_log_likelihood(chain, agree), 0.0))

    # What the model believes.

    def marginals(self) -> Float[Tensor, "B T K"]:
        """p(y_t = j), 0 where masked; differentiable, O(T K^2)."""
        chain, *messages = self._messages()
        return self._rounded(chain.in_place(log_marginals(chain, *messages).exp(), 0.0))

    def edge_marginals(self) -> Float[Tensor, "B moves K K"]:
        """p(y_{t-1} = i, y_t = j) at ``[b, t-1, i, j]``, ``(B, T-1, K, K)``; differentiable, O(T K^2).

        Token t-1 is the previous one that counts; 0 where token t is masked or the first.
        """
        chain, *messages = self._messages()
        return self._rounded(chain.moves_in_place(edge_log_marginals(chain, *messages).exp()))

    def entropy(self) -> Float[Tensor, " B"]:
        """-sum_y p(y) log p(y), in nats; differentiable, O(T K^2)."""
        chain = self._potentials()
        return self._rounded(cross_entropy(chain, chain)[0])

    def cross_entropy(self, other: LinearChain) -> Float[Tensor, " B"]:
        """-sum_y p(y) log q(y), in nats; ``+inf`` where q forbids a path of p; differentiable, O(T K^2).

        Args:
            other: q, a chain of the same shape over the same tokens (the mask of this chain is used).
        """
        return self._rounded(cross_entropy(self._potentials(), self._other(other))[0])

    def kl_divergence(self, other: LinearChain) -> Float[Tensor, " B"]:
        """KL(p || q) = sum_y p(y) log(p(y) / q(y)), in nats; ``+inf`` where q forbids a path of p.

        Differentiable, O(T K^2).

        Args:
            other: q, a chain of the same shape over the same tokens (the mask of this chain is used).
        """
        chain = self._potentials()
        entropy, cross = cross_entropy(chain, chain, self._other(other))
        return self._rounded(cross - entropy)

    def window_log_probability(
        self,
        start: int | Int[Tensor, " N"],
        allowed: Bool[Tensor, "*N W K"],
        rows: Int[Tensor, " N"] | None = None,
    ) -> Float[Tensor, " N"]:
        """The log-probability that tokens ``start`` to ``start + W - 1`` carry tags from the given sets.

        Exact, over all paths; single tags, whole spans, with or without their neighbours. One
        forward-backward serves all windows: O(B T K^2 + N W K^2). Differentiable.

        Args:
            start: the first token, counted among the tokens that count; one for all windows, or ``(N,)``.
            allowed: ``(W, K)`` or ``(N, W, K)``, True for the tags of each set. All True asks nothing of a
                token, so shorter windows are padded with that; tokens beyond the end are not looked at.
            rows: the sequence of each window; None: one window in each sequence, N = B.
        """
        B, _, K = self.emissions.shape
        device = self.emissions.device
        rows = torch.arange(B, device=device) if rows is None else rows
        N, W = len(rows), allowed.shape[-2]
        starts = torch.full((N,), start, device=device) if isinstance(start, int) else start
        check("start", starts, (N,), self.emissions, torch.int64)
        check("allowed", allowed, (W, K) if allowed.dim() == 2 else (N, W, K), self.emissions, torch.bool)
        sets = allowed.expand(N, W, K)
        return self._rounded(window_log_probability(self._potentials(), rows, starts, sets))

    # Paths: tags are -1 where masked, and where there is no path.

    def viterbi(self, *, compact: bool = False) -> tuple[Int[Tensor, "B T"], Float[Tensor, " B"]]:
        """The path of the highest score, and its score; no gradient, O(T K^2).

        Ties are broken alike everywhere: the lowest last tag, and from there back the lowest previous tag.

        Args:
            compact: align the tags to the left instead of leaving them at their tokens.
        """
        tags, scores = ops.viterbi(*self._inputs())
        return self._aligned(tags) if compact else tags, scores

    def k_best(self, k: int) -> tuple[Int[Tensor, "B k T"], Float[Tensor, "B k"], Int[Tensor, " B"]]:
        """The k paths of the highest scores, best first, their scores, and how many there are.

        Where there are fewer than k, the rest is -1 with score ``-inf``. Of equal paths the one that Viterbi
        would take comes first. No gradient; O(T K^2 k log(K k)).

        Args:
            k: number of paths, at least 1.
        """
        if k < 1:
            raise ArgumentError(f"k must be at least 1, got {k}")
        chain = self._potentials()
        with torch.no_grad():
            tags, scores = k_best(chain, k)
        tags = chain.in_place(tags, -1).transpose(1, 2)
        return tags, self._rounded(scores), (scores > -torch.inf).sum(1)

    def sample(self, n: int = 1, generator: torch.Generator | None = None) -> Int[Tensor, "B n T"]:
        """n independent paths of each sequence, drawn from p; no gradient, O(T K (K + n)).

        Args:
            n: number of paths.
            generator: source of the random numbers, on the device of the emissions.
        """  # noqa: D403
        chain = self._potentials()
        with torch.no_grad():
            return chain.in_place(sample(chain, n, generator), -1).transpose(1, 2)

    def posterior_decode(self) -> tuple[Int[Tensor, "B T"], Float[Tensor, " B"]]:
        """The path with the highest expected number of right tokens, and that number.

        The argmax over the paths that are not forbidden of ``sum_t p(y_t = tag_t)``; ties as in Viterbi. No
        gradient; O(T K^2).
        """
        with torch.no_grad():
            unary = self.marginals()
            emissions, *moves = (torch.where(x == -torch.inf, x, 0.0) for x in self._inputs()[:4])
            return ops.viterbi(emissions + unary, moves[0], moves[1], moves[2], self.mask)

    # Inside.

    def _inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
        return self.emissions, self.transitions, self.start_transitions, self.end_transitions, self.mask

    def _potentials(self) -> Potentials:
        return potentials(*self._inputs())

    def _messages(self) -> tuple[Potentials, Tensor, Tensor, Tensor]:
        chain = self._potentials()
        alpha = forward(chain)
        return chain, alpha, backward(chain), log_partition(chain, alpha)

    def _checked(self, tags: Tensor) -> Potentials:
        """The potentials, once ``tags`` have been checked."""
        check("tags", tags, tuple(self.emissions.shape[:2]), self.emissions, torch.int64)
        chain = self._potentials()
        if self.validate:
            check_tags(tags, chain)
        return chain

    def _other(self, other: LinearChain) -> Potentials:
        check("other", other.emissions, tuple(self.emissions.shape), self.emissions)
        return potentials(*other._inputs()[:4], self.mask)

    def _aligned(self, tags: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        order = self._potentials().order
        return tags if order is None else tags.gather(1, order)

    def _rounded(self, values: Tensor) -> Tensor:
        return values.to(self.emissions.dtype)
