"""Hypothesis strategies for small chains of every kind."""

import random
from collections.abc import Callable

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from chaincrf.crf import LinearChain

UNKNOWN = -100
SCALES = ("ties", "unit", "tiny", "huge", "steps")


def over(*strategies: st.SearchStrategy, examples: int = 50) -> Callable[[Callable], Callable]:
    """``given``, with the same draws at every run, and as many as the enumeration allows."""
    profile = settings(deadline=None, max_examples=examples, derandomize=True)
    return lambda test: profile(given(*strategies)(test))


def _scores(shape: tuple[int, ...], scale: str, forbid: float, g: torch.Generator) -> Tensor:
    x = torch.randn(shape, generator=g, dtype=torch.float64)
    x = {
        "ties": x.round().clamp(-1, 1),
        "unit": x,
        "tiny": x * 1e-4,
        "huge": (x * 5e3).clamp(-1e4, 1e4),
        "steps": x.sign() * 1e3,
    }[scale]
    return torch.where(torch.rand(shape, generator=g) < forbid, -torch.inf, x)


@st.composite
def chains(
    draw: st.DrawFn,
    scales: tuple[str, ...] = SCALES,
    min_tags: int = 1,
    forbid: tuple[float, ...] = (0.0, 0.0, 0.2, 0.6),
) -> LinearChain:
    """A batch of chains: T = 1, K = 1, empty rows, gaps, -inf, ties, own moves, huge and tiny scores."""
    B = draw(st.integers(1, 3))
    K = draw(st.integers(min_tags, 4))
    T = draw(st.integers(1, [6, 6, 5, 4][K - 1]))  # at most 256 paths
    scale, share = draw(st.sampled_from(scales)), draw(st.sampled_from(forbid))
    per_position, borders = draw(st.booleans()), draw(st.booleans())
    kind = draw(st.sampled_from(["none", "all", "lengths", "gaps"]))
    g = torch.Generator().manual_seed(draw(st.integers(0, 2**31 - 1)))

    masks = {
        "none": None,
        "all": torch.ones(B, T, dtype=torch.bool),
        "lengths": torch.arange(T) < torch.randint(0, T + 1, (B, 1), generator=g),
        "gaps": torch.rand(B, T, generator=g) < 0.6,
    }
    shapes = [(B, T, K), (B, T - 1, K, K) if per_position else (K, K), (K,), (K,)]
    potentials = [_scores(shape, scale, share, g) for shape in shapes]
    state = random.getstate()  # beartype draws from it, and Hypothesis wants to know of every draw
    chain = LinearChain(*potentials[: 4 if borders else 2], mask=masks[kind])
    random.setstate(state)
    return chain


@st.composite
def chains_with_tags(draw: st.DrawFn, unknown: bool = False, **options: object) -> tuple[LinearChain, Tensor]:
    """A chain and gold tags, some of them unknown if asked; masked tags are anything at all."""
    chain = draw(chains(**options))
    B, T, K = chain.emissions.shape
    g = torch.Generator().manual_seed(draw(st.integers(0, 2**31 - 1)))
    tags = torch.randint(K, (B, T), generator=g)
    if unknown:
        tags = torch.where(torch.rand(B, T, generator=g) < 0.4, UNKNOWN, tags)
    if chain.mask is not None:
        tags = torch.where(chain.mask, tags, torch.randint(-200, 200, (B, T), generator=g))
    return chain, tags
