"""Triton's kernels against the reference, in Triton's interpreter: small shapes that reach every branch."""

import pytest

from .interpreter import Interpreter

pytestmark = pytest.mark.slow

SHAPES = [(1, 1, 1), (3, 2, 1), (4, 5, 3), (2, 6, 17), (2, 4, 33)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["gold", "unknown", "free"])
def test_loss_and_gradient(interpreted: Interpreter, shape: tuple[int, int, int], kind: str) -> None:
    interpreted("loss", shape, kind)
    interpreted("loss", shape, kind, forbid=0.2, mask=False)


@pytest.mark.parametrize("kind", ["gold", "unknown", "free"])
@pytest.mark.parametrize("forbid", [0.0, 0.3])
def test_transitions_of_each_position(interpreted: Interpreter, kind: str, forbid: float) -> None:
    for shape in [(1, 1, 1), (4, 4, 3), (1, 3, 17)]:
        interpreted("loss", shape, kind, by_position=True, forbid=forbid)


@pytest.mark.parametrize("kind", ["gold", "unknown", "free"])
@pytest.mark.parametrize("scale", [100.0, 1e4])
@pytest.mark.parametrize("by_position", [False, True])
def test_wide_ranges(interpreted: Interpreter, kind: str, scale: float, by_position: bool) -> None:
    interpreted("loss", (4, 8, 4), kind, scale=scale, forbid=0.2, by_position=by_position)


@pytest.mark.parametrize("kind", ["gold", "unknown"])
def test_float32_is_rounded_once(interpreted: Interpreter, kind: str) -> None:
    interpreted("loss", (4, 9, 5), kind, dtype="float32")
    interpreted("loss", (4, 5, 3), kind, dtype="float32", by_position=True)


@pytest.mark.parametrize("kind", ["gold", "unknown", "free"])
@pytest.mark.parametrize("shape", [(1, 1, 65), (3, 4, 70), (18, 2, 129)])
def test_many_tags(interpreted: Interpreter, shape: tuple[int, int, int], kind: str) -> None:
    interpreted("loss", shape, kind)
    interpreted("loss", shape, kind, forbid=0.2, mask=False)


@pytest.mark.parametrize("kind", ["gold", "unknown", "free"])
@pytest.mark.parametrize("chunk", [2, 4])
def test_long_sequences_in_chunks(interpreted: Interpreter, chunk: int, kind: str) -> None:
    """Chunks before the first token, after the last, and one that is not full."""
    for options in ({}, {"forbid": 0.3}, {"mask": False}, {"scale": 100.0, "forbid": 0.2}):
        interpreted("chunked_loss", (4, 9, 3), chunk, kind, **options)


def test_what_underflows_is_found(interpreted: Interpreter) -> None:
    interpreted("a_block_of_tags_that_dies_silently_is_found")
    interpreted("a_score_that_stands_for_forbidden_stays_in_the_fast_recursion")


@pytest.mark.parametrize("seed", range(4))
def test_random_hard_constraints(interpreted: Interpreter, seed: int) -> None:
    """Also where they part the tags."""
    interpreted("loss", (3, 12, 6), scale=60.0, forbid=0.55, seed=seed)
    interpreted("chunked_loss", (3, 12, 6), 4, scale=60.0, forbid=0.55, seed=seed)


@pytest.mark.parametrize("shape", [*SHAPES, (2, 5, 70)])
@pytest.mark.parametrize("by_position", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_viterbi(
    interpreted: Interpreter, shape: tuple[int, int, int], by_position: bool, scale: float
) -> None:
    for forbid in (0.0, 0.4):
        interpreted("viterbi", shape, by_position=by_position, scale=scale, forbid=forbid)
    interpreted("viterbi", shape, by_position=by_position, scale=scale, dtype="float32", mask=False)
