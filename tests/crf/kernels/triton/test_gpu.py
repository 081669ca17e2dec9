"""Triton's kernels on a CUDA device, at sizes of real use, and what only a device can show."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from chaincrf import CRF
from chaincrf.crf import LinearChain
from chaincrf.crf.backends import backend, kernels_for

from ... import oracle
from ...agreement import close, rows, same_gradients
from ...strategies import chains_with_tags, over

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

SHAPES = [
    (1, 1, 1), (3, 7, 2), (32, 128, 9), (5, 300, 17), (64, 50, 33), (16, 40, 64), (20, 30, 65), (9, 20, 256),
    (3, 5, 512), (2, 2, 1000), (2, 5000, 9),
]  # fmt: skip
KINDS = pytest.mark.parametrize("kind", ["gold", "unknown", "free"])


@pytest.fixture(autouse=True)
def _fresh_memory_is_nan(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", os.environ.get("CUBLAS_WORKSPACE_CONFIG", ":4096:8"))
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(autouse=True)
def _kernels_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imported without the hook that executes annotations: it would wrap what Triton is to read."""
    others = [finder for finder in sys.meta_path if "jaxtyping" not in type(finder).__module__]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "meta_path", others)
        import chaincrf.crf.kernels.triton_gpu  # noqa: F401


@pytest.fixture
def checks():
    """Imported where there is a device: it imports Triton."""
    from . import checks

    return checks


@KINDS
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_loss_and_gradient(checks, shape: tuple[int, int, int], kind: str, dtype: str) -> None:
    checks.loss(shape, kind, dtype=dtype, device="cuda")
    checks.loss(shape, kind, dtype=dtype, forbid=0.2, mask=False, device="cuda")


@pytest.mark.parametrize("kind", ["gold", "unknown"])
@pytest.mark.parametrize("shape", [(3, 7, 2), (300, 20, 9), (4, 20, 33), (20, 9, 70), (2, 3000, 5)])
def test_reductions(checks, shape: tuple[int, int, int], kind: str) -> None:
    for options in ({}, {"mask": False}, {"scale": 1e3, "forbid": 0.3}):
        checks.reductions(shape, kind, device="cuda", **options)


@KINDS
@pytest.mark.parametrize("shape", [(3, 7, 2), (5, 40, 9), (4, 20, 33), (2, 9, 70)])
def test_transitions_of_each_position(checks, shape: tuple[int, int, int], kind: str) -> None:
    for forbid in (0.0, 0.3):
        checks.loss(shape, kind, by_position=True, forbid=forbid, device="cuda")


@KINDS
@pytest.mark.parametrize("scale", [100.0, 1e3, 1e4])
@pytest.mark.parametrize("shape", [(9, 12, 4), (4, 60, 9), (3, 600, 3), (5, 20, 70)])
def test_wide_ranges(checks, shape: tuple[int, int, int], kind: str, scale: float) -> None:
    checks.loss(shape, kind, scale=scale, forbid=0.3, device="cuda")


@KINDS
def test_tiles_of_several_sequences(checks, kind: str) -> None:
    shape = (144, 12, 70)
    assert checks.forward_backward.tile_of(shape[0]) > 1
    for options in ({}, {"mask": False}, {"scale": 1e3, "forbid": 0.3}, {"dtype": "float32"}):
        checks.loss(shape, kind, device="cuda", **options)


@pytest.mark.parametrize("shape", [(3, 20, 70), (144, 12, 70), (2, 3000, 9)])
def test_the_same_bits_again_in_tiles_and_chunks(checks, shape: tuple[int, int, int]) -> None:
    checks.the_same_bits_again("cuda", shape)


@KINDS
@pytest.mark.parametrize("shape", [(2, 3000, 3), (3, 5000, 17), (1, 4097, 33), (1, 2500, 64)])
def test_long_sequences_in_chunks(checks, shape: tuple[int, int, int], kind: str) -> None:
    assert checks.forward_backward.chunk_of(*shape) < shape[1]
    for options in ({}, {"forbid": 0.3}, {"mask": False}, {"scale": 60.0, "forbid": 0.5}):
        checks.loss(shape, kind, device="cuda", **options)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [0.0, 0.1, 1e4])
def test_viterbi(checks, shape: tuple[int, int, int], scale: float) -> None:
    for forbid in (0.0, 0.3):
        checks.viterbi(shape, scale=scale, forbid=forbid, device="cuda")
    if shape[0] * shape[1] * shape[2] ** 2 < 10**7:
        checks.viterbi(shape, scale=scale, by_position=True, device="cuda")


@pytest.mark.parametrize(
    "check",
    [
        "a_block_of_tags_that_dies_silently_is_found",
        "a_chunk_may_be_the_only_one_to_find_it",
        "the_token_before_stands_in_another_block",
        "a_score_that_stands_for_forbidden_stays_in_the_fast_recursion",
        "what_is_no_number_stays_none",
        "a_tag_out_of_range_is_an_impossible_path",
        "unknown_tags_that_no_path_agrees_with",
        "forms_of_inputs",
        "second_derivatives",
        "other_reductions",
        "autocast_changes_nothing",
        "the_same_bits_again",
        "what_is_launched",
    ],
)
def test_more(checks, check: str) -> None:
    getattr(checks, check)("cuda")


def test_the_last_program_sees_what_all_others_wrote(checks) -> None:
    """Thousands of sequences, half of them redone by the programs that are counted; the same bits again."""
    chain, tags = checks.chain_of((5000, 4, 9), device="cuda")
    tags = checks.some_unknown(tags)
    with torch.no_grad(), backend("triton"):
        found = {chain.loss(tags, "mean").item() for _ in range(50)}
    with torch.no_grad(), backend("reference"):
        expected = chain.loss(tags, "mean").item()
    assert len(found) == 1
    assert found.pop() == pytest.approx(expected, rel=1e-12)


def test_auto_takes_them(checks) -> None:
    assert kernels_for(torch.zeros(2, 3, 9, device="cuda")).__name__.endswith("triton_gpu")
    assert kernels_for(torch.zeros(2, 3, 2000, device="cuda")) is None


def on_device(chain: LinearChain) -> LinearChain:
    return LinearChain(*(x if x is None else x.cuda() for x in chain._inputs()))


@over(chains_with_tags(unknown=True), examples=200)
def test_properties_of_the_layer(drawn: tuple[LinearChain, Tensor]) -> None:
    """Values and gradients are those of the enumeration of all paths."""
    chain, tags = drawn
    close(on_device(chain).log_partition().cpu(), rows(oracle.log_partition)(chain), chain)
    same_gradients(chain, lambda c: on_device(c).log_partition().cpu(), rows(oracle.log_partition))
    ours = on_device(chain).log_likelihood(tags.cuda()).cpu()
    close(ours, rows(lambda c, b: oracle.log_likelihood(c, b, tags))(chain), chain)
    with backend("reference"):
        path, score = chain.viterbi()
    there = on_device(chain).viterbi()
    assert torch.equal(there[0].cpu(), path)
    assert torch.equal(there[1].cpu(), score)
    # what the reference computes, there too
    for name in ("marginals", "edge_marginals", "entropy"):
        torch.testing.assert_close(
            getattr(on_device(chain), name)().cpu(), getattr(chain, name)(), rtol=1e-9, atol=1e-9
        )


def test_the_error_of_single_precision_over_4096_tokens() -> None:
    """Inputs of float32, 64 tags: what is rounded is the result alone."""
    g = torch.Generator().manual_seed(0)
    shapes = (2, 4096, 64), (64, 64)
    emissions, transitions = (torch.randn(s, generator=g).cuda().requires_grad_() for s in shapes)
    tags = torch.randint(64, (2, 4096), generator=g).cuda()
    loss = -LinearChain(emissions, transitions).log_likelihood(tags)
    gradients = torch.autograd.grad(loss.sum(), (emissions, transitions))
    exact = [x.detach().double().requires_grad_() for x in (emissions, transitions)]
    with backend("reference"):
        expected = -LinearChain(*exact).log_likelihood(tags)
        theirs = torch.autograd.grad(expected.sum(), exact)
    torch.testing.assert_close(loss.double(), expected, rtol=1.2e-7, atol=0)
    for a, b in zip(gradients, theirs, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-6, atol=1e-7)


def training_step() -> Callable[[], tuple[Tensor, Tensor]]:
    """Steps of a small tagger: each gives its loss, and what is decoded after it."""
    torch.manual_seed(0)
    linear, crf = nn.Linear(32, 9, device="cuda"), CRF(9).to("cuda")
    optimizer = torch.optim.SGD([*linear.parameters(), *crf.parameters()], lr=0.01)
    inputs, tags = torch.randn(8, 40, 32, device="cuda"), torch.randint(9, (8, 40), device="cuda")
    mask = torch.rand(8, 40, device="cuda") < 0.8

    def step() -> tuple[Tensor, Tensor]:
        optimizer.zero_grad(set_to_none=False)
        loss = crf(linear(inputs), tags, mask)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            return loss.detach(), crf.decode(linear(inputs), mask)

    return step


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_nothing_waits_for_the_device() -> None:
    step = training_step()
    step()  # compiled
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_training_step_in_a_cuda_graph() -> None:
    """Replayed, it trains as it does without."""
    step = training_step()
    expected = [step() for _ in range(6)]
    step = training_step()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = step()
    for loss, path in expected[3:]:
        graph.replay()
        torch.testing.assert_close(found[0], loss)
        assert torch.equal(found[1], path)


def test_a_compiled_step_is_one_graph() -> None:
    """In a process of its own: the compiler cannot look through what executes annotations of shapes."""
    call = "from crf.kernels.triton import checks; checks.a_compiled_step_is_one_graph('cuda')"
    paths = [str(Path(__file__).parents[3]), *filter(None, sys.path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    subprocess.run([sys.executable, "-c", call], env=environment, check=True)


@pytest.mark.skipif(
    torch.cuda.is_available() and torch.cuda.get_device_properties(0).total_memory < 40 * 2**30,
    reason="more than 2^31 numbers, and what is computed from them, need 40 GiB on the device",
)
def test_offsets_beyond_32_bits() -> None:
    """More than 2^31 numbers; what stands last is computed like what stands first.

    Skipped where the device has less than the 40 GiB that these numbers, and what is computed of them, take.
    """
    B, T, K = 2050, 2048, 512
    torch.use_deterministic_algorithms(False)
    emissions = torch.zeros(B, T, K, device="cuda")
    emissions[:, :, 3] = 1
    path, score = LinearChain(emissions, torch.zeros(K, K, device="cuda")).viterbi()
    assert (path == 3).all()
    assert (score == T).all()
