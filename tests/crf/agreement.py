"""How a quantity of a chain is compared with the enumeration's: values and gradients."""

from collections.abc import Callable

import torch
from torch import Tensor

from chaincrf.crf import LinearChain


def rows(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of (chain, row, ...) as one of the whole batch."""
    return lambda chain, *a: torch.stack([function(chain, b, *a) for b in range(len(chain.emissions))])


def size(chain: LinearChain) -> float:
    """How large the score of a path can be."""
    finite = torch.cat([x.detach().flatten() for x in chain._inputs()[:4]])
    finite = finite[finite.isfinite()]
    return max(1.0, float(finite.abs().max()) * 3 * chain.emissions.shape[1]) if len(finite) else 1.0


def close(actual: Tensor, expected: Tensor, chain: LinearChain) -> None:
    """Equal up to the rounding of float64 at the size of the scores; no NaN on either side."""
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-13 * size(chain), equal_nan=False)


def leaves(chain: LinearChain) -> tuple[LinearChain, list[Tensor]]:
    """The same chain on fresh leaves that take a gradient, and those leaves."""
    parts = [x.detach().clone().requires_grad_() for x in chain._inputs()[:4]]
    return LinearChain(*parts, mask=chain.mask), parts


def same_gradients(
    chain: LinearChain, ours: Callable[..., Tensor], theirs: Callable[..., Tensor], scale: float = 1.0
) -> None:
    """The gradients of two functions of a chain, their values weighted unevenly, agree and are finite.

    ``scale`` is the size of the gradient, where it is far from 1.
    """
    gradients = []
    for function in (ours, theirs):
        fresh, parts = leaves(chain)
        values = function(fresh).double().flatten()
        weights = torch.linspace(1, 2, len(values), dtype=torch.float64)
        total = torch.where(values.isfinite(), values, 0.0) @ weights
        if total.requires_grad:
            total.backward()
        gradients.append([torch.zeros_like(x) if x.grad is None else x.grad for x in parts])
    for a, b in zip(*gradients, strict=True):
        assert a.isfinite().all()
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9 * scale)
