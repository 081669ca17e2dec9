"""The kernels for CPUs against the reference, at sizes that reach every branch of theirs."""

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
import torch
from numba.core.dispatcher import Dispatcher
from torch import Tensor

from chaincrf.crf import LinearChain
from chaincrf.crf.backends import backend
from chaincrf.crf.kernels import numba_cpu
from chaincrf.crf.kernels.numba_cpu import forward_backward, log_space, threads, weigh
from chaincrf.crf.kernels.numba_cpu.problem import BY_SEQUENCE
from chaincrf.crf.kernels.numba_cpu.tiles import DONE, REDO
from chaincrf.crf.reference.counts import no_counts

SHAPES = [
    (1, 1, 1), (3, 2, 1), (2, 7, 2), (9, 5, 3), (7, 12, 4), (8, 30, 5), (20, 40, 9), (17, 11, 16),
    (33, 9, 17), (5, 20, 25), (3, 10, 33), (2, 6, 100), (3, 600, 3), (2, 1100, 5),
]  # fmt: skip


def chain_of(
    B: int,
    T: int,
    K: int,
    *,
    scale: float = 1.0,
    forbid: float = 0.0,
    by_position: bool = False,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> tuple[LinearChain, Tensor]:
    """A chain with gaps, an empty row if there are three, and gold tags that it allows where it can."""
    g = torch.Generator().manual_seed(seed)
    shapes = [(B, T, K), (B, T - 1, K, K) if by_position else (K, K), (K,), (K,)]
    parts = [
        torch.randn(shape, generator=g, dtype=torch.float64).mul(scale).clamp(-1e4, 1e4) for shape in shapes
    ]
    parts = [torch.where(torch.rand(x.shape, generator=g) < forbid, -torch.inf, x).to(dtype) for x in parts]
    mask = torch.rand(B, T, generator=g) < 0.8
    mask[2:3] = False
    chain = LinearChain(*(x.requires_grad_() for x in parts), mask)
    best = chain.viterbi()[0].clamp(min=0)
    return chain, torch.where(
        torch.rand(B, T, generator=g) < 0.5, best, torch.randint(K, (B, T), generator=g)
    )


def loss_and_gradient(chain: LinearChain, tags: Tensor, name: str) -> list[Tensor]:
    parts = [x.detach().requires_grad_() for x in chain._inputs()[:4]]
    with backend(name):
        values = LinearChain(*parts, chain.mask).log_likelihood(tags)
        weights = torch.linspace(1, 2, len(values), dtype=values.dtype)
        gradients = torch.autograd.grad(torch.where(values.isfinite(), values, 0.0) @ weights, parts)
    return [values.detach(), *gradients]


def assert_same(chain: LinearChain, tags: Tensor, rtol: float = 1e-9, atol: float = 1e-10) -> None:
    both = zip(*(loss_and_gradient(chain, tags, name) for name in ("numba", "reference")), strict=True)
    for ours, theirs in both:
        torch.testing.assert_close(ours, theirs, rtol=rtol, atol=atol, equal_nan=True)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("by_position", [False, True])
@pytest.mark.parametrize("forbid", [0.0, 0.3])
def test_loss_and_gradient(shape: tuple[int, int, int], by_position: bool, forbid: float) -> None:
    chain, tags = chain_of(*shape, by_position=by_position, forbid=forbid)
    assert_same(chain, tags)
    unknown = torch.where(
        torch.rand(tags.shape, generator=torch.Generator().manual_seed(1)) < 0.4, -100, tags
    )
    assert_same(chain, unknown)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("by_position", [False, True])
@pytest.mark.parametrize("forbid", [0.0, 0.3])
@pytest.mark.parametrize("scale", [0.0, 0.1, 10.0])
def test_viterbi(shape: tuple[int, int, int], by_position: bool, forbid: float, scale: float) -> None:
    """The very same path, ties included, and the very same score."""
    chain, _ = chain_of(*shape, by_position=by_position, forbid=forbid, scale=scale)
    with backend("numba"):
        ours = chain.viterbi()
    with backend("reference"):
        theirs = chain.viterbi()
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])


def test_viterbi_of_ties_with_many_tags() -> None:
    """Whole numbers: nearly every step is a tie, and only some tags are looked at."""
    g = torch.Generator().manual_seed(0)
    emissions = torch.randint(-2, 3, (20, 50, 40), generator=g).double()
    chain = LinearChain(emissions, torch.randint(-1, 2, (40, 40), generator=g).double())
    with backend("reference"):
        theirs = chain.viterbi()
    assert torch.equal(chain.viterbi()[0], theirs[0])


@pytest.mark.parametrize("shape", [(20, 40, 9), (3, 600, 3), (5, 20, 25)])
def test_float32_is_rounded_once(shape: tuple[int, int, int]) -> None:
    chain, tags = chain_of(*shape, dtype=torch.float32)
    exact = LinearChain(*(x.detach().double() for x in chain._inputs()[:4]), chain.mask)
    for ours, theirs in zip(
        loss_and_gradient(chain, tags, "numba"), loss_and_gradient(exact, tags, "reference"), strict=True
    ):
        torch.testing.assert_close(ours.double(), theirs, rtol=3e-7, atol=3e-6)


def statuses(chain: LinearChain) -> list[int]:
    """What the kernel in scaled probabilities says of each sequence."""
    value = torch.empty(len(chain.emissions), dtype=chain.emissions.dtype)
    inputs, nothing = (*chain._inputs(), None), no_counts(chain.emissions)
    return numba_cpu._forward_backward(inputs, value, nothing, False, BY_SEQUENCE)[1].tolist()


def two_blocks(T: int, step: float) -> LinearChain:
    """Two tags that never meet; the one that is better in the first half is worse over all."""
    emissions = torch.zeros(1, T, 2, dtype=torch.float64)
    emissions[0, : T // 2, 1] = -step
    emissions[0, T // 2 :, 0] = -2 * step
    transitions = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]], dtype=torch.float64)
    return LinearChain(emissions, transitions)


@pytest.mark.parametrize("T", [40, 400, 2000])
def test_a_block_of_tags_that_dies_silently_is_found(T: int) -> None:
    """The scale never comes near zero, yet in scaled probabilities one block is lost."""
    chain = two_blocks(T, 1.5)
    assert statuses(chain) == [DONE if T < 2000 else REDO]
    exact = torch.logsumexp(torch.tensor([-3.0 * T / 2, -1.5 * T / 2], dtype=torch.float64), 0)
    torch.testing.assert_close(chain.log_partition(), exact.unsqueeze(0), rtol=1e-12, atol=1e-9)
    assert_same(chain, torch.ones(1, T, dtype=torch.int64))


@pytest.mark.parametrize("by_position", [False, True])
@pytest.mark.parametrize("scale", [100.0, 1e3, 1e4])
@pytest.mark.parametrize("forbid", [0.0, 0.4])
@pytest.mark.parametrize("shape", [(9, 12, 4), (4, 60, 9), (3, 600, 3)])
def test_wide_ranges(shape: tuple[int, int, int], forbid: float, scale: float, by_position: bool) -> None:
    chain, tags = chain_of(*shape, scale=scale, forbid=forbid, by_position=by_position)
    size = scale * 5 * shape[1]
    assert_same(chain, tags, rtol=1e-9, atol=1e-12 * size)


@pytest.mark.parametrize("seed", range(20))
def test_random_hard_constraints(seed: int) -> None:
    """Also where they part the tags: what is given back and what is not both agree."""
    chain, tags = chain_of(12, 300, 6, scale=3.0, forbid=0.55, seed=seed)
    assert_same(chain, tags)


def test_wide_ranges_and_hard_constraints_reach_both_recursions() -> None:
    given_back = [
        statuses(chain_of(12, 300, 6, scale=s, forbid=f)[0]).count(REDO) for s, f in ((1, 0), (1e3, 0.4))
    ]
    assert given_back[0] == 0
    assert given_back[1] > 0


def test_a_score_that_stands_for_forbidden_does_not_leave_the_fast_recursion() -> None:
    """-10000 in the place of -inf, as many do."""
    chain, _ = chain_of(8, 60, 9)
    transitions = torch.where(torch.rand(9, 9, generator=torch.Generator().manual_seed(0)) < 0.3, -1e4, 0.0)
    chain = LinearChain(chain.emissions, transitions.double(), mask=chain.mask)
    assert statuses(chain) == [DONE] * 8
    assert_same(chain, chain.viterbi()[0].clamp(min=0), atol=1e-8)


def test_no_gradient_gives_the_same_value() -> None:
    for by_position in (False, True):
        chain, tags = chain_of(9, 30, 5, by_position=by_position)
        with torch.no_grad():
            value = chain.log_likelihood(tags)
        assert torch.equal(value, chain.log_likelihood(tags).detach())


# Threads and processes.


@pytest.fixture
def many_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share everything out."""
    monkeypatch.setattr(threads, "ENOUGH", 1)


def result(chain: LinearChain, tags: Tensor) -> list[Tensor]:
    return [*loss_and_gradient(chain, tags, "numba"), *chain.viterbi()]


@pytest.mark.parametrize("options", [{}, {"by_position": True}, {"scale": 1e3, "forbid": 0.3}])
def test_results_do_not_depend_on_the_number_of_threads(many_workers: None, options: dict) -> None:
    chain, tags = chain_of(50, 20, 5, **options)
    before = torch.get_num_threads()
    results = []
    for number in (1, 2, 3, 7):
        torch.set_num_threads(number)
        assert threads.workers(10, 7) == number
        results.append(result(chain, tags))
    torch.set_num_threads(before)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


def test_little_work_is_not_shared() -> None:
    assert threads.workers(threads.ENOUGH, 100) == 1
    assert threads.workers(100 * threads.ENOUGH, 1) == 1


def test_sixteen_threads_at_once(many_workers: None) -> None:
    given = [chain_of(20, 15, 5, seed=seed) for seed in range(16)]
    expected = [result(*one) for one in given]
    with ThreadPoolExecutor(16) as pool:
        for _ in range(5):
            for ours, right in zip(pool.map(lambda one: result(*one), given), expected, strict=True):
                assert all(map(torch.equal, ours, right))


def in_child(queue: "multiprocessing.Queue[list]", chain: LinearChain, tags: Tensor) -> None:
    torch.set_num_threads(1)
    with torch.no_grad():
        loss, (path, _) = chain.log_likelihood(tags), chain.viterbi()
    queue.put([loss.tolist(), path.tolist(), threads.workers(10**9, 100)])


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_a_forked_child_computes_serially(many_workers: None) -> None:
    chain, tags = chain_of(50, 20, 5)
    expected = result(chain, tags)  # threads have been started
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=in_child, args=(queue, chain, tags))
    child.start()
    loss, path, workers = queue.get(timeout=100)
    child.join(10)
    assert (loss, path, workers) == (expected[0].tolist(), expected[-2].tolist(), 1)


# Compiled code on disk.


def test_where_no_folder_can_be_written_it_works(tmp_path: pytest.TempPathFactory) -> None:
    code = """
from numba.core import caching
caching.CompileResultCacheImpl._locator_classes = []  # none can write
import torch
from chaincrf.crf import LinearChain
print(LinearChain(torch.zeros(1, 3, 2), torch.zeros(2, 2)).viterbi()[0].tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[[0, 0, 0]]\n", done.stderr[-2000:]


def test_a_change_in_any_file_makes_compiled_code_stale() -> None:
    """Numba itself looks at the file of the entry alone."""
    for kernel in (forward_backward, weigh, log_space, numba_cpu.viterbi_):
        code = kernel.run.of(torch.float64)
        assert len(code.owner._cache._cache_file._source_stamp) == 64


def test_what_lies_compiled_is_called_without_all_that_compiling_needs() -> None:
    code = """
import sys, torch
from chaincrf.crf import LinearChain
emissions = torch.randn(2, 3, 4, requires_grad=True)
LinearChain(emissions, torch.zeros(4, 4)).loss(torch.zeros(2, 3, dtype=torch.int64)).backward()
print("numba.np.arraymath" in sys.modules, emissions.grad.abs().sum().item() > 0)
"""
    for _ in range(2):  # the first may have to compile
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "False True\n", done.stderr[-2000:]


ALL = """
import sys, torch
from chaincrf.crf import LinearChain
from chaincrf.crf.backends import backend
torch.manual_seed(0)
for dtype in sys.argv[1:]:
    for B in (1, 6):
        parts = [torch.randn(s, dtype=getattr(torch, dtype)) for s in ((B, 9, 5), (5, 5), (5,), (5,))]
        tags = torch.randint(5, (B, 9))
        found = []
        for name in ("numba", "reference"):
            leaves = [x.clone().requires_grad_() for x in parts]
            with backend(name):
                loss = LinearChain(*leaves).loss(tags)
                found.append([loss, *torch.autograd.grad(loss, leaves)])
                found[-1] += LinearChain(*parts).viterbi()
        for ours, theirs in zip(*found):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_compiled_code_of_several_processes_goes_together(tmp_path: Path) -> None:
    """It is linked by names, which must mean the same whoever compiled first."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    types = [["float32"], ["float64"], ["float32", "float64"], ["float64", "float32"]]
    for pair in (types[:2], types[2:]):  # at the same time
        processes = [
            subprocess.Popen([sys.executable, "-c", ALL, *one], env=environment, stderr=subprocess.PIPE)
            for one in pair
        ]
        for process in processes:
            _, problems = process.communicate()
            assert process.returncode == 0, problems.decode()[-2000:]


def test_compiled_functions_have_names_of_their_own() -> None:
    """Also where type checks are wrapped around them, as here; the code on disk is linked by these names."""
    names: dict[str, set[int]] = {}
    for name, module in list(sys.modules.items()):
        for value in vars(module).values() if name.startswith("chaincrf.") else ():
            if isinstance(value, Dispatcher):
                function = value.py_func
                names.setdefault(f"{function.__module__}.{function.__qualname__}", set()).add(id(value))
    assert f"{numba_cpu.__name__}.product.choose_4_float64_maximum" in names
    assert [name for name, found in names.items() if len(found) > 1 or "<locals>" in name] == []


@pytest.mark.parametrize("kernel", [forward_backward, log_space, weigh])
def test_code_for_each_type_has_a_file_of_its_own(kernel: ModuleType) -> None:
    """Two processes that wrote to one file at the same time read each other's code, and decoded wrongly."""
    files = [kernel.run.of(dtype).owner._cache._cache_file for dtype in (torch.float32, torch.float64)]
    assert files[0]._index_name != files[1]._index_name


@pytest.mark.slow
def test_a_million_tokens_in_bounded_memory() -> None:
    code = """
import resource, torch
from chaincrf.crf import LinearChain
torch.manual_seed(0)
T, K = 1_000_000, 9
LinearChain(torch.zeros(1, 9, K), torch.zeros(K, K)).viterbi()
emissions, transitions = torch.randn(1, T, K).requires_grad_(), torch.randn(K, K).requires_grad_()
tags = torch.randint(K, (1, T))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
chain = LinearChain(emissions, transitions)
loss = chain.loss(tags)
loss.backward()
path, score = chain.viterbi()
torch.testing.assert_close(emissions.grad.sum(2), torch.zeros(1, T), atol=1e-5, rtol=0)
assert float(chain.score(path)) >= float(chain.score(tags))
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
assert grown < 250, grown  # MiB; the emissions are 34, their gradient as much
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


# A loss that is reduced in the kernel.


def reduced(chain: LinearChain, tags: Tensor, reduction: str, name: str) -> list[Tensor]:
    parts = [x.detach().requires_grad_() for x in chain._inputs()[:4]]
    with backend(name):
        loss = LinearChain(*parts, chain.mask).loss(tags, reduction)
        return [loss.detach(), *torch.autograd.grad(loss, parts)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", ["sum", "mean", "token_mean"])
@pytest.mark.parametrize("forbid", [0.0, 0.3])
def test_reduced_losses(shape: tuple[int, int, int], reduction: str, forbid: float) -> None:
    chain, tags = chain_of(*shape, forbid=forbid)
    for ours, theirs in zip(
        *(reduced(chain, tags, reduction, n) for n in ("numba", "reference")), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("change", ["unknown", "wide", "nan"])
def test_what_cannot_be_reduced_in_the_kernel_is_found_by_sequence(change: str) -> None:
    chain, tags = chain_of(9, 20, 5, scale=1e3 if change == "wide" else 1.0, forbid=0.3)
    if change == "unknown":
        tags[0, 3:5] = -100
    if change == "nan":
        chain.emissions.data[1] = torch.nan
    for ours, theirs in zip(*(reduced(chain, tags, "mean", n) for n in ("numba", "reference")), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-8, equal_nan=True)


def test_the_gradient_of_a_reduced_loss_is_not_handed_out_twice() -> None:
    chain, tags = chain_of(5, 9, 4)
    loss = chain.loss(tags)
    loss.backward(retain_graph=True)
    once = chain.emissions.grad.clone()
    loss.backward(retain_graph=True)
    torch.testing.assert_close(chain.emissions.grad, 2 * once)
    (3 * loss).backward()
    torch.testing.assert_close(chain.emissions.grad, 5 * once)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_a_batch_of_nothing_has_a_gradient_of_zero() -> None:
    chain = LinearChain(torch.zeros(0, 2, 2), torch.ones(2, 2).requires_grad_())
    chain.loss(torch.zeros(0, 2, dtype=torch.int64), "sum").backward()
    assert chain.transitions.grad.tolist() == [[0, 0], [0, 0]]


def test_a_move_that_nobody_makes_may_be_anything() -> None:
    for odd in (torch.inf, torch.nan):
        transitions = torch.tensor([[0.0, 0.0], [0.0, odd]]).requires_grad_()
        chain = LinearChain(torch.zeros(1, 2, 2), transitions, mask=torch.tensor([[True, False]]))
        loss = chain.loss(torch.zeros(1, 2, dtype=torch.int64))
        loss.backward()
        assert loss.item() == pytest.approx(0.6931472)
        assert transitions.grad.tolist() == [[0, 0], [0, 0]]


def test_what_is_negated_lazily_is_read_negated() -> None:
    emissions = torch.randn(2, 3, 2)
    chain = LinearChain(torch._neg_view(emissions), torch.zeros(2, 2))
    torch.testing.assert_close(
        chain.log_partition(), LinearChain(-emissions, torch.zeros(2, 2)).log_partition()
    )


def test_a_reduced_loss_has_a_second_derivative() -> None:
    chain, tags = chain_of(3, 4, 3)
    parts = [x.detach().requires_grad_() for x in chain._inputs()[:4]]
    assert torch.autograd.gradgradcheck(lambda *x: LinearChain(*x, chain.mask).loss(tags), parts)


def test_threads_of_python_where_pytorch_brings_no_openmp(
    many_workers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, tags = chain_of(50, 20, 5)
    expected = result(chain, tags)
    monkeypatch.setattr(threads, "_openmp", lambda: None)
    assert all(map(torch.equal, result(chain, tags), expected))
