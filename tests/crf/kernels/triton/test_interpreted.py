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


@pytest.mark.parametrize("shape", [*SHAPES, (2, 5, 70)])
@pytest.mark.parametrize("by_position", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_viterbi(
    interpreted: Interpreter, shape: tuple[int, int, int], by_position: bool, scale: float
) -> None:
    for forbid in (0.0, 0.4):
        interpreted("viterbi", shape, by_position=by_position, scale=scale, forbid=forbid)
    interpreted("viterbi", shape, by_position=by_position, scale=scale, dtype="float32", mask=False)
