"""LinearChain: potentials in, every quantity out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ..errors import ArgumentError
from . import ops
from .checks import (
    check,
    check_allowed,
    check_number,
    check_tags,
    check_windows,
    checked_weights,
    checked_widths,
)
from .reference.expectation import cross_entropy
from .reference.forward_backward import at_most
from .reference.potentials import Potentials, potentials
from .reference.sampling import sample
from .reference.score import agreeing, complete, path_score, token_log_likelihood
from .reference.smoothing import smooth
from .reference.viterbi import k_best
from .reference.window import window_log_probability
from .windows import by_partition, pays

__all__ = ["LinearChain"]


class LinearChain:
    """A batch of linear-chain conditional random fields with given potentials.

    Over the tag sequences y of a sentence of T tokens::

        score(y) = start[y_1] + sum_t emissions_t[y_t] + sum_t transitions[y_{t-1}, y_t] + end[y_T]
        p(y)     = exp(score(y)) / Z

    A potential of ``-inf`` forbids what it scores, in every quantity alike. Half-precision potentials are
    computed in float32; whatever the dtype, sums are taken in float64 and rounded once. An empty row has one
    path, the empty one. A row whose every path is forbidden has none: its log-partition is ``-inf`` with
    gradient zero, its marginals and expectations are zero, and its tags are -1. A NaN or ``+inf`` at a token
    that counts makes NaN of what depends on it.

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
        dtype = emissions.dtype
        if dtype.itemsize < 4 or not dtype == transitions.dtype == start.dtype == end.dtype:
            dtype = torch.float32
            for x in (emissions, transitions, start, end):
                dtype = torch.promote_types(dtype, x.dtype)
            emissions, transitions, start, end = (x.to(dtype) for x in (emissions, transitions, start, end))
        self.emissions = emissions
        self.transitions = transitions
        self.start_transitions = start
        self.end_transitions = end
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

        Raises:
            ArgumentError: another shape, dtype or device; with ``validate``, a token without any tag.
        """
        return LinearChain(*self._inputs(), allowed, validate=self.validate)

    def scaled(self, factor: float) -> LinearChain:
        """The chain with all scores times a factor: 1 / temperature; what is forbidden stays so.

        Args:
            factor: positive and finite. The best path stays the best; a small factor makes all paths alike.

        Raises:
            ArgumentError: another factor.
        """
        if not 0 < factor < torch.inf:
            raise ArgumentError(f"factor: expected a positive finite number, got {factor}")
        *scores, mask = self._inputs()
        emissions, transitions, start, end = (score * factor for score in scores)
        return LinearChain(emissions, transitions, start, end, mask, validate=self.validate)

    # What the training needs.

    def log_partition(self) -> Float[Tensor, " B"]:
        """Log Z, the log of the summed exp score of all paths; its gradient is the marginals.

        One forward-backward gives value and gradient; O(T K^2).
        """
        return ops.log_partition(*self._inputs())

    def score(self, tags: Int[Tensor, "B T"]) -> Float[Tensor, " B"]:
        """The score of a path; with unknown tags, the log of the summed exp score of all that agree.

        ``-inf``, with gradient zero, for a path that is forbidden. O(T); with unknown tags, and where looking
        for them would wait for a device, O(T K^2).

        Args:
            tags: a tag at each token that counts, or -100: unknown.

        Raises:
            ArgumentError: tags of another shape, dtype or device; where one need not wait for a device, or
                with ``validate``, a tag out of range; with ``validate``, tags that no path agrees with.
        """
        chain = self._checked(tags)
        left = chain.to_left(tags, 0)
        if complete(chain, left):
            return self._rounded(path_score(chain, left))
        return self.restrict(agreeing(tags, self.emissions.shape[2])).log_partition()

    def log_likelihood(
        self, tags: Int[Tensor, "B T"], weights: Num[Tensor, " B *T"] | None = None
    ) -> Float[Tensor, " B"]:
        """Log p(tags); with unknown tags, the log of the mass of all paths that agree.

        ``-inf``, with gradient zero, for a path that is forbidden; 0 for an empty row. One forward-backward
        gives value and gradient; O(T K^2). Token weights take three recursions and automatic differentiation.

        Args:
            tags: a tag at each token that counts, or -100: unknown.
            weights: ``(B,)``, a factor for each sequence; or ``(B, T)``, a factor for each token's term in
                :meth:`token_log_likelihood`: the weighted log-likelihood where classes are uneven. Not
                looked at where masked. A weight of 0 makes 0 of anything.

        Raises:
            ArgumentError: tags of another shape, dtype or device, weights of another shape or device;
                where one need not wait for a device, or with ``validate``, a tag out of range; with
                ``validate``, tags that no path agrees with.
        """
        if weights is not None:
            weights = checked_weights(weights, self.emissions, self.mask)
            by_token = weights.dim() == 2
            value = self.token_log_likelihood(tags) if by_token else self.log_likelihood(tags)
            value = torch.where(weights == 0, 0.0, weights * value)
            value = value.sum(1) if by_token else value
            return torch.where(value == -torch.inf, -torch.inf, value)  # with gradient zero
        self._check_tags(tags)
        return -ops.negative_log_likelihood(*self._inputs(), tags)

    def loss(self, tags: Int[Tensor, "B T"], reduction: ops.Reduction = "mean") -> Float[Tensor, ""]:
        """The negative log-likelihood of a batch; as from ``log_likelihood``, in fewer steps.

        Args:
            tags: a tag at each token that counts, or -100: unknown.
            reduction: ``"sum"``, ``"mean"`` over the sequences that have a token, or ``"token_mean"``. A mean
                over nothing is 0.

        Raises:
            ArgumentError: as ``log_likelihood``, or an unknown reduction.
        """
        if reduction not in ("mean", "sum", "token_mean"):
            raise ArgumentError(f'reduction must be "mean", "sum" or "token_mean", got {reduction!r}')
        self._check_tags(tags)
        return ops.negative_log_likelihood(*self._inputs(), tags, reduction)

    def token_log_likelihood(self, tags: Int[Tensor, "B T"]) -> Float[Tensor, "B T"]:
        """Log p(y_t | y_1 .. y_{t-1}) of the gold tags: the chain rule's terms, 0 where masked.

        They sum to the log-likelihood. O(T K^2).

        Args:
            tags: a tag at each token that counts, or -100: unknown, whose term is 0 if nothing later depends.

        Raises:
            ArgumentError: tags of another shape, dtype or device; where one need not wait for a device, or
                with ``validate``, a tag out of range; with ``validate``, tags that no path agrees with.
        """
        chain = self._checked(tags)
        left = chain.to_left(tags, 0)
        complete(chain, left)  # and in range
        agree = agreeing(left, self.emissions.shape[2])
        return self._rounded(chain.in_place(token_log_likelihood(chain, agree), 0.0))

    # What the model believes.

    def marginals(self) -> Float[Tensor, "B T K"]:
        """p(y_t = j), 0 where masked; differentiable, O(T K^2)."""
        chain = self._potentials()
        return self._rounded(chain.in_place(at_most(smooth(chain)[1], 1.0), 0.0))

    def edge_marginals(self) -> Float[Tensor, "B moves K K"]:
        """p(y_{t-1} = i, y_t = j) at ``[b, t-1, i, j]``, ``(B, T-1, K, K)``; differentiable, O(T K^2).

        Token t-1 is the previous one that counts; 0 where token t is masked or the first.
        """
        B, T, K = self.emissions.shape
        chain = self._potentials()
        chain = chain._replace(transitions=chain.transitions.expand(B, T - 1, K, K))  # so it keeps positions
        return self._rounded(chain.moves_in_place(at_most(smooth(chain)[2], 1.0)))

    def entropy(self) -> Float[Tensor, " B"]:
        """-sum_y p(y) log p(y), in nats; differentiable, O(T K^2)."""
        chain = self._potentials()
        return self._rounded(cross_entropy(chain, chain)[0])

    def cross_entropy(self, other: LinearChain) -> Float[Tensor, " B"]:
        """-sum_y p(y) log q(y), in nats; ``+inf`` where q forbids a path of p; differentiable, O(T K^2).

        Args:
            other: q, a chain of the same shape over the same tokens (the mask of this chain is used).

        Raises:
            ArgumentError: a chain of another shape or device.
        """
        return self._rounded(cross_entropy(self._potentials(), self._other(other))[0])

    def kl_divergence(self, other: LinearChain) -> Float[Tensor, " B"]:
        """KL(p || q) = sum_y p(y) log(p(y) / q(y)), in nats; ``+inf`` where q forbids a path of p.

        Differentiable, O(T K^2).

        Args:
            other: q, a chain of the same shape over the same tokens (the mask of this chain is used).

        Raises:
            ArgumentError: a chain of another shape or device.
        """
        chain = self._potentials()
        entropy, cross = cross_entropy(chain, chain, self._other(other))
        return -at_most(self._rounded(entropy - cross), 0.0)

    def window_log_probability(
        self,
        start: int | Int[Tensor, " N"],
        allowed: Bool[Tensor, "*N W K"],
        rows: Int[Tensor, " N"] | None = None,
        widths: Sequence[int] | None = None,
    ) -> Float[Tensor, " N"]:
        """The log-probability that tokens ``start`` to ``start + W - 1`` carry tags from the given sets.

        Exact, over all paths; single tags, whole spans, with or without their neighbours. Differentiable: one
        forward-backward serves all windows, O(B T K^2 + N W K^2), or, with ``widths``, K^2 for each token of
        a window. Without a gradient, where a kernel serves and the windows are few: O((B + N) T K^2), and
        faster (:mod:`chaincrf.crf.windows`).

        Args:
            start: the first token, counted among those that count; one for all windows, or ``(N,)`` int64.
            allowed: ``(W, K)`` or ``(N, W, K)`` bool, True for the tags of each set; W at least 1. All True
                asks nothing of a token; tokens beyond the end are not looked at.
            rows: ``(N,)`` int64, the sequence of each window; None: one window in each sequence, N = B.
            widths: N numbers from W down to 1, never increasing: how many sets each window has; None: W.

        Returns:
            ``(N,)``; NaN, which is no probability, where a start is negative or there is no such sequence.

        Raises:
            ArgumentError: a shape, dtype or device that does not fit; a negative ``start`` or widths that do
                not fit, where they are no tensors; with ``validate``, a negative start or no such sequence.
        """
        B, _, K = self.emissions.shape
        device = self.emissions.device
        rows = torch.arange(B, device=device) if rows is None else rows
        check("rows", rows, (rows.numel(),), self.emissions, torch.int64)
        N = len(rows)
        if not isinstance(start, Tensor):
            check_number("start", start, 0)
            start = torch.full((N,), start, device=device)
        check("start", start, (N,), self.emissions, torch.int64)
        if allowed.dim() not in (2, 3) or not allowed.shape[-2]:
            shape = tuple(allowed.shape)
            raise ArgumentError(f"allowed must be (W, K) or (N, W, K) with W at least 1, got {shape}")
        W = allowed.shape[-2]
        check("allowed", allowed, (W, K) if allowed.dim() == 2 else (N, W, K), self.emissions, torch.bool)
        widths = [W] * N if widths is None else checked_widths(widths, N, W)
        if self.validate:
            check_windows(start, rows, B)
        chain, sets = self._potentials(), allowed.expand(N, W, K)
        compute = by_partition if pays(chain, N) else window_log_probability
        return self._rounded(compute(chain, rows, start, sets, widths))

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
        would take comes first. No gradient; O(T K^2 k log(K k)), with a k of at most K^T.

        Args:
            k: number of paths, at least 1.

        Raises:
            ArgumentError: k is below 1, or no integer.
        """
        check_number("k", k, 1)
        _, T, K = self.emissions.shape
        most = min(k, K**T)
        chain = self._potentials()
        with torch.no_grad():
            tags, scores = k_best(chain, most)
        tags = F.pad(chain.in_place(tags, -1), (0, k - most), value=-1).transpose(1, 2)
        scores = F.pad(scores, (0, k - most), value=-torch.inf)
        return tags, self._rounded(scores), (scores != -torch.inf).sum(1)

    def sample(self, n: int = 1, generator: torch.Generator | None = None) -> Int[Tensor, "B n T"]:
        """n independent paths of each sequence, drawn from p; no gradient, O(T K (K + n)).

        Args:
            n: number of paths, at least 0.
            generator: source of the random numbers, on the device of the emissions.

        Raises:
            ArgumentError: n is negative, or no integer.
        """  # noqa: D403
        check_number("n", n, 0)
        chain = self._potentials()
        with torch.no_grad():
            return chain.in_place(sample(chain, n, generator), -1).transpose(1, 2)

    def posterior_decode(self) -> tuple[Int[Tensor, "B T"], Float[Tensor, " B"]]:
        """The path with the highest expected number of right tokens, and that number.

        The argmax over the paths that are not forbidden of ``sum_t p(y_t = tag_t)``; ties as in Viterbi. No
        gradient; O(T K^2). Where there is no path the number is 0.
        """
        with torch.no_grad():
            unary = self.marginals()
            emissions, *moves = (torch.where(x == -torch.inf, x, 0.0) for x in self._inputs()[:4])
            tags, right = ops.viterbi(emissions + unary, moves[0], moves[1], moves[2], self.mask)
            return tags, torch.where(right == -torch.inf, 0.0, right)

    # Inside.

    def _inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
        return self.emissions, self.transitions, self.start_transitions, self.end_transitions, self.mask

    def _potentials(self) -> Potentials:
        return potentials(*self._inputs())

    def _check_tags(self, tags: Tensor) -> None:
        check("tags", tags, tuple(self.emissions.shape[:2]), self.emissions, torch.int64)
        if self.validate:
            check_tags(tags, self._potentials())

    def _checked(self, tags: Tensor) -> Potentials:
        """The potentials, once ``tags`` have been checked."""
        self._check_tags(tags)
        return self._potentials()

    def _other(self, other: LinearChain) -> Potentials:
        check("other", other.emissions, tuple(self.emissions.shape), self.emissions)
        return potentials(*other._inputs()[:4], self.mask)

    def _aligned(self, tags: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        order = self._potentials().order
        return tags if order is None else tags.gather(1, order)

    def _rounded(self, values: Tensor) -> Tensor:
        return values.to(self.emissions.dtype)
