"""The operators: registrations, second derivatives, autocast, vmap, the compiler and export."""

import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from chaincrf.crf import LinearChain, ops
from chaincrf.crf.reference.counts import negative_log_likelihood
from chaincrf.crf.reference.potentials import potentials
from chaincrf.crf.reference.viterbi import viterbi
from chaincrf.nn.crf import CRF

from .agreement import leaves
from .strategies import chains, chains_with_tags, over

B, T, K = 3, 4, 3
KINDS = ["plain", "per-position", "forbidden"]


def example(
    kind: str = "plain", mask: bool = True, dtype: torch.dtype = torch.float64
) -> list[Tensor | None]:
    """The inputs of an operator, with a gap and an empty row."""
    g = torch.Generator().manual_seed(0)
    shapes = [(B, T, K), (B, T - 1, K, K) if kind == "per-position" else (K, K), (K,), (K,)]
    parts = [torch.randn(shape, generator=g, dtype=torch.float64).to(dtype) for shape in shapes]
    if kind == "forbidden":
        parts[1][0, 1] = parts[2][2] = parts[0][1, 1, 0] = -torch.inf
    counts = torch.tensor([[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]]).bool()
    return [*(x.requires_grad_() for x in parts), counts if mask else None]


TAGS = torch.tensor([[0, 2, 1, 1], [0, 1, 0, -100], [0, 0, 0, 0]])


@pytest.mark.parametrize("kind", ["plain", "per-position"])
@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # PyTorch 2.14's own
def test_opcheck(kind: str, mask: bool) -> None:
    inputs = example(kind, mask)
    torch.library.opcheck(torch.ops.chaincrf.log_partition.default, (*inputs, True))
    torch.library.opcheck(torch.ops.chaincrf.negative_log_likelihood.default, (*inputs, TAGS, True))
    torch.library.opcheck(torch.ops.chaincrf.viterbi.default, tuple(inputs))


def finite_parameters(chain: LinearChain) -> tuple[list[Tensor], list[Tensor]]:
    """The potentials, and of each its finite entries as a leaf: only these may be perturbed."""
    parts = [x.detach() for x in chain._inputs()[:4]]
    return parts, [x[x.isfinite()].clone().requires_grad_() for x in parts]


def assembled(parts: list[Tensor], entries: tuple[Tensor, ...]) -> list[Tensor]:
    return [x.masked_scatter(x.isfinite(), e) for x, e in zip(parts, entries, strict=True)]


QUANTITIES = {
    "log_partition": lambda c, _: c.log_partition(),
    "log_likelihood": lambda c, tags: c.log_likelihood(tags),
    "weighted": lambda c, tags: c.log_likelihood(tags, torch.full(tags.shape, 0.5, dtype=torch.float64)),
    "marginals": lambda c, _: c.marginals(),
    "edge_marginals": lambda c, _: c.edge_marginals(),
    "entropy": lambda c, _: c.entropy(),
    "kl_divergence": lambda c, _: c.kl_divergence(LinearChain(c.emissions * 0.5, c.transitions, mask=c.mask)),
    "window": lambda c, _: c.window_log_probability(1, torch.eye(K, dtype=torch.bool)[:2]),
}


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck_and_gradgradcheck(quantity: str, kind: str) -> None:
    *parts, mask = example(kind)
    chain = LinearChain(*parts, mask)
    parts, entries = finite_parameters(chain)

    def function(*entries: Tensor) -> Tensor:
        values = QUANTITIES[quantity](LinearChain(*assembled(parts, entries), mask), TAGS)
        return torch.where(values.isfinite(), values, 0.0)

    assert torch.autograd.gradcheck(function, entries, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, entries, fast_mode=True)


@over(chains_with_tags(unknown=True, scales=("unit", "tiny")))
def test_second_derivatives_are_those_of_the_enumeration(drawn: tuple[LinearChain, Tensor]) -> None:
    """The Hessian of log Z is the covariance of the counts: here its trace in the emissions, p (1 - p)."""
    chain, tags = drawn
    fresh, (emissions, *_) = leaves(chain)
    (first,) = torch.autograd.grad(fresh.log_partition().sum(), emissions, create_graph=True)
    p = fresh.marginals().detach()
    torch.testing.assert_close(first.detach(), p, rtol=0, atol=1e-12)
    for index in [(0, 0, 0), (-1, -1, -1)]:
        (second,) = torch.autograd.grad(first[index], emissions, retain_graph=True)
        torch.testing.assert_close(second[index], (p * (1 - p))[index], rtol=1e-9, atol=1e-12)
    (loss,) = torch.autograd.grad(fresh.log_likelihood(tags).sum(), emissions, create_graph=True)
    assert torch.autograd.grad(loss.sum(), emissions)[0].isfinite().all()


def test_the_saved_gradient_carries_no_graph_and_says_so() -> None:
    outputs = torch.ops.chaincrf.log_partition(*example(), True)
    assert outputs[0].requires_grad
    assert not any(x.requires_grad for x in outputs[1:])


def test_marginals_are_not_the_saved_tensors() -> None:
    """Whoever changes the marginals in place does not change the gradient."""
    *parts, mask = example()
    chain = LinearChain(*parts, mask)
    loss = chain.log_partition().sum()
    expected = chain.marginals().detach().clone()
    chain.marginals().detach().mul_(5)
    torch.testing.assert_close(torch.autograd.grad(loss, parts[0])[0], expected)


@over(chains())
def test_an_operator_does_not_write_to_its_inputs(chain: LinearChain) -> None:
    copies = [None if x is None else x.clone() for x in chain._inputs()]
    tags = torch.zeros(chain.emissions.shape[:2], dtype=torch.int64)
    chain.log_partition(), chain.log_likelihood(tags), chain.viterbi()
    for x, copy in zip(chain._inputs(), copies, strict=True):
        assert x is None or torch.equal(x, copy)


@pytest.mark.parametrize("kind", KINDS)
def test_non_contiguous_inputs(kind: str) -> None:
    *parts, mask = example(kind)
    strided = [x.detach().t().contiguous().t() if x.dim() == 2 else x.detach() for x in parts]
    strided[0] = parts[0].detach().permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert not strided[0].is_contiguous()
    for operator in (ops.log_partition, lambda *a: ops.viterbi(*a)[0]):
        assert torch.equal(operator(*strided, mask), operator(*parts, mask))


@pytest.mark.parametrize("kind", KINDS)
def test_vmap_over_emissions_and_over_parameters(kind: str) -> None:
    *parts, mask = example(kind)
    parts = [x.detach() for x in parts]
    many = torch.stack([parts[0], parts[0] * 2])

    def value(emissions: Tensor, transitions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inputs = emissions, transitions, parts[2], parts[3], mask
        tags, score = ops.viterbi(*inputs)
        return ops.log_partition(*inputs), ops.negative_log_likelihood(*inputs, TAGS), tags, score

    by_emissions = torch.vmap(value, in_dims=(0, None))(many, parts[1])
    by_both = torch.vmap(value)(many, torch.stack([parts[1], parts[1]]))
    for n in range(2):
        for batched, both, single in zip(by_emissions, by_both, value(many[n], parts[1]), strict=True):
            torch.testing.assert_close(batched[n], single)
            torch.testing.assert_close(both[n], single)


@pytest.mark.filterwarnings("ignore:`torch.jit.script`")  # PyTorch's own
def test_forward_mode_is_refused() -> None:
    """Without a rule PyTorch takes the tangent of an operator for zero, and says nothing."""
    *parts, mask = (x if x is None else x.detach() for x in example())
    quantities = [lambda c: c.log_partition(), lambda c: c.log_likelihood(TAGS), lambda c: c.viterbi()[1]]
    for quantity in quantities:
        for n in range(4):

            def value(x: Tensor, n: int = n, quantity: Callable = quantity) -> Tensor:
                return quantity(LinearChain(*parts[:n], x, *parts[n + 1 :], mask))

            with pytest.raises(NotImplementedError, match="use reverse mode"):
                torch.func.jvp(value, (parts[n],), (torch.ones_like(parts[n]),))


def test_gradient_of_each_sample_in_one_backward_pass() -> None:
    *parts, mask = example()
    losses = -LinearChain(*parts, mask).log_likelihood(TAGS)
    rows = torch.eye(B, dtype=losses.dtype)
    together = torch.autograd.grad(losses, parts, rows, is_grads_batched=True, retain_graph=True)
    for b in range(B):
        for many, one in zip(together, torch.autograd.grad(losses[b], parts, retain_graph=True), strict=True):
            torch.testing.assert_close(many[b], one)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_emissions(dtype: torch.dtype) -> None:
    """The potentials are promoted as they are: the loss is that of float64 up to float32's rounding."""
    g = torch.Generator().manual_seed(1)
    emissions = (torch.randn(4, 64, 9, generator=g) * 3).to(dtype)
    transitions = torch.randn(9, 9, generator=g).to(dtype)
    tags = torch.randint(9, (4, 64), generator=g)
    tags[3] = LinearChain(emissions, transitions).viterbi()[0][3]
    loss = -LinearChain(emissions, transitions).log_likelihood(tags)
    exact = -LinearChain(emissions.double(), transitions.double()).log_likelihood(tags)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), exact, rtol=1e-7, atol=1e-7)
    assert (loss >= 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_nothing(dtype: torch.dtype) -> None:
    *parts, mask = example(dtype=torch.float32)
    tags = TAGS.clamp(min=0)
    values = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype, enabled=enabled):
            chain = LinearChain(*parts, mask)
            loss = -chain.log_likelihood(tags)
            gradients = torch.autograd.grad(loss.sum(), parts)  # in the region: no matrix product is rounded
            values.append([loss, *gradients, chain.marginals(), chain.entropy(), *chain.viterbi()])
    for plain, cast in zip(*values, strict=True):
        assert torch.equal(plain, cast)


def test_autocast_brings_half_precision_operands_to_float32() -> None:
    inputs = [x.detach().bfloat16() if x is not None and x.is_floating_point() else x for x in example()]
    with torch.autocast("cpu", torch.bfloat16):
        assert ops.log_partition(*inputs).dtype == torch.float32


def test_a_loss_is_never_negative_in_float32() -> None:
    """The gold path carries nearly all the mass of a long sentence: log Z less its score is about 0."""
    g = torch.Generator().manual_seed(0)
    for scale in (1.0, 10.0, 100.0):
        tags = torch.randint(9, (4, 512), generator=g)
        emissions = torch.randn(4, 512, 9, generator=g) + scale * torch.nn.functional.one_hot(tags, 9)
        loss = -LinearChain(emissions, torch.randn(9, 9, generator=g)).log_likelihood(tags)
        assert loss.dtype == torch.float32
        assert (loss >= 0).all()


COMPILED = """
    import torch
    from chaincrf.crf import LinearChain
    from chaincrf.nn.crf import CRF

    torch.manual_seed(0)
    crf, linear = CRF(5), torch.nn.Linear(7, 5)
    inputs, tags = torch.randn(3, 6, 7), torch.randint(5, (3, 6))
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]]).bool()

    def loss(inputs, tags, mask):
        return crf(linear(inputs), tags, mask)

    def decode(inputs, mask):
        return crf.decode(linear(inputs), mask)
"""


def run(code: str) -> None:
    """In a process of its own: the type checker of the tests is not for the compiler to trace."""
    code = textwrap.dedent(COMPILED) + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=250
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_compile_of_a_training_step_and_of_decoding() -> None:
    run("""
        parameters = [*crf.parameters(), *linear.parameters()]
        plain = torch.autograd.grad(loss(inputs, tags, mask), parameters)
        compiled = torch.compile(loss, fullgraph=True)
        value = compiled(inputs, tags, mask)
        torch.testing.assert_close(value, loss(inputs, tags, mask))
        for a, b in zip(torch.autograd.grad(value, parameters), plain):
            torch.testing.assert_close(a, b)
        with torch.no_grad():
            assert torch.equal(torch.compile(decode, fullgraph=True)(inputs, mask), decode(inputs, mask))
    """)


@pytest.mark.slow
def test_compile_with_dynamic_shapes() -> None:
    run("""
        compiled = torch.compile(loss, fullgraph=True, dynamic=True, backend="aot_eager")
        for B, T in ((3, 6), (2, 5), (4, 9)):
            x, y, m = torch.randn(B, T, 7), torch.randint(5, (B, T)), torch.rand(B, T) < 0.7
            value = compiled(x, y, m)
            torch.testing.assert_close(value, loss(x, y, m))
            value.backward()
    """)


@pytest.mark.slow
def test_export() -> None:
    run("""
        class Decoder(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.linear, self.crf = linear, crf

            def forward(self, inputs, mask):
                return self.crf.decode(self.linear(inputs), mask)

        batch, length = torch.export.Dim("batch"), torch.export.Dim("length", min=2)
        shapes = {"inputs": {0: batch, 1: length}, "mask": {0: batch, 1: length}}
        program = torch.export.export(Decoder(), (inputs, mask), dynamic_shapes=shapes)
        assert any(node.target == torch.ops.chaincrf.viterbi.default for node in program.graph.nodes)
        for B, T in ((3, 6), (5, 2), (2, 11)):
            x, m = torch.randn(B, T, 7), torch.rand(B, T) < 0.7
            assert torch.equal(program.module()(x, m), decode(x, m))
    """)


@pytest.mark.parametrize("kind", ["plain", "per-position"])
def test_no_quantity_waits_for_a_device(kind: str) -> None:
    """Tensors on the meta device have no values: whatever looks at one of them fails."""
    *parts, mask = (None if x is None else x.detach().to("meta") for x in example(kind))
    chain = potentials(*parts, mask)
    negative_log_likelihood(chain, TAGS.to("meta"))
    viterbi(chain)
    # the operators are opaque here; what else the methods do is not
    chain = LinearChain(*parts, mask)
    tags = TAGS.to("meta")
    (
        chain.log_likelihood(tags),
        chain.score(tags),
        chain.token_log_likelihood(tags),
        chain.viterbi(compact=True),
    )
    chain.marginals(), chain.edge_marginals(), chain.entropy(), chain.kl_divergence(chain), chain.sample(2)
    chain.k_best(3), chain.posterior_decode()
    chain.window_log_probability(1, torch.ones(2, K, dtype=torch.bool, device="meta"))
    crf = CRF(K).to("meta")
    crf(parts[0], tags, mask), crf.decode(parts[0], mask)
