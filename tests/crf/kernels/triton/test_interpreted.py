"""Triton's kernels against the reference, in Triton's interpreter: small shapes that reach every branch."""

import pytest

from .interpreter import Interpreter

pytestmark = pytest.mark.slow

KINDS = pytest.mark.parametrize("kind", ["gold", "unknown", "free"])


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 1), (4, 4, 3), (2, 3, 17), (1, 18, 33)])
def test_loss_and_gradient(interpreted: Interpreter, shape: tuple[int, int, int]) -> None:
    interpreted("loss", shape)
    interpreted("loss", shape, forbid=0.2, mask=False)


@KINDS
def test_tags_that_are_not_known(interpreted: Interpreter, kind: str) -> None:
    interpreted("loss", (3, 4, 3), kind, forbid=0.2)
    interpreted("loss", (3, 4, 3), kind, forbid=0.2, by_position=True)


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 4, 3), (1, 2, 17)])
def test_transitions_of_each_position(interpreted: Interpreter, shape: tuple[int, int, int]) -> None:
    interpreted("loss", shape, by_position=True)


@KINDS
@pytest.mark.parametrize("scale", [100.0, 1e4])
def test_wide_ranges(interpreted: Interpreter, kind: str, scale: float) -> None:
    interpreted("loss", (3, 5, 4), kind, scale=scale, forbid=0.2, by_position=scale == 100)


def test_reductions(interpreted: Interpreter) -> None:
    interpreted("reductions", (3, 4, 3))


@pytest.mark.parametrize("kind", ["gold", "unknown"])
def test_float32_is_rounded_once(interpreted: Interpreter, kind: str) -> None:
    interpreted("loss", (3, 6, 5), kind, dtype="float32")


@pytest.mark.parametrize(("shape", "kind"), [((1, 1, 65), "free"), ((3, 3, 70), "unknown")])
def test_many_tags(interpreted: Interpreter, shape: tuple[int, int, int], kind: str) -> None:
    interpreted("loss", shape, kind)


@pytest.mark.parametrize(
    ("shape", "kind", "options"),
    [
        ((5, 6, 70), "gold", {}),
        ((4, 3, 70), "unknown", {}),
        ((3, 3, 70), "gold", {"scale": 1e4}),
        ((17, 2, 66), "gold", {}),
        ((3, 2, 130), "free", {}),
    ],
)
def test_tiles_of_several_sequences(
    interpreted: Interpreter, shape: tuple[int, int, int], kind: str, options: dict
) -> None:
    """Gaps that differ within a tile, more tags than are computed together, a tile that is not full."""
    interpreted("tiled_loss", shape, kind, **options)


@pytest.mark.parametrize("chunk", [4])
@pytest.mark.parametrize("options", [{}, {"forbid": 0.3}, {"mask": False}, {"scale": 100.0, "forbid": 0.2}])
def test_long_sequences_in_chunks(interpreted: Interpreter, chunk: int, options: dict) -> None:
    """Chunks before the first token, after the last, and one that is not full."""
    interpreted("chunked_loss", (3, 9, 3), chunk, **options)


@pytest.mark.parametrize(("shape", "chunk"), [((2, 11, 33), 4), ((1, 5, 64), 2)])
def test_moves_of_chunks_by_a_product(
    interpreted: Interpreter, shape: tuple[int, int, int], chunk: int
) -> None:
    interpreted("chunked_loss", shape, chunk, forbid=0.2)


@pytest.mark.parametrize("seed", range(3))
def test_random_hard_constraints(interpreted: Interpreter, seed: int) -> None:
    """Also where they part the tags."""
    interpreted("loss", (3, 9, 6), scale=60.0, forbid=0.55, seed=seed)
    interpreted("chunked_loss", (3, 9, 6), 4, scale=60.0, forbid=0.55, seed=seed)


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 5, 3), (2, 4, 17), (2, 3, 70)])
@pytest.mark.parametrize("by_position", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1e4])
def test_viterbi(
    interpreted: Interpreter, shape: tuple[int, int, int], by_position: bool, scale: float
) -> None:
    interpreted("viterbi", shape, by_position=by_position, scale=scale, forbid=0.3)
    interpreted("viterbi", shape, by_position=by_position, scale=scale, dtype="float32", mask=False)


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
        "a_compiled_step_is_one_graph",
        "the_same_bits_again",
        "what_is_launched",
    ],
)
def test_more(interpreted: Interpreter, check: str) -> None:
    interpreted(check)


def test_every_line_of_every_kernel_runs(interpreted: Interpreter) -> None:
    assert interpreted("every_line_of_every_kernel_runs") > 300
