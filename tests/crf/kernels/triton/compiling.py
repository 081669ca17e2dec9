"""Every kernel, compiled for a device that is not there: the interpreter lets pass what the compiler may not.

    python compiling.py [--quick]      (in a process without TRITON_INTERPRET)

prints a line for each: its name, the capability, the bytes of shared memory, the constants.
"""

import itertools
import sys
from collections.abc import Iterator
from typing import Any

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from chaincrf.crf.kernels.triton_gpu import counts, launch, scaled, scan, tiled, tiles, weigh
from chaincrf.crf.kernels.triton_gpu.viterbi import best_paths, columns_of, warps_of

SHARED_MEMORY = 99 * 1024
"""Bytes that a program may have on devices of capability 8.6, 8.9 and 12: the fewest of those served."""

DOUBLES = {
    "deltas",
    "into",
    "before",
    "factors",
    "blocks",
    "entry",
    "exit",
    "alphas",
    "products",
}
TYPES = {"mask": "*u8", "tags": "*i64", "status": "*i32", "observed": "*i32"} | dict.fromkeys(
    DOUBLES, "*fp64"
)
NUMBERS = {"T", "K", "B", "stride", "count", "chunk", "chunks", "rows", "step", "tokens", "pairs"}
NUMBERS |= {"by_token", "by_pair", "by_tag", "apart"}


def variants(**options: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    """All combinations of the options."""
    for values in itertools.product(*options.values()):
        yield dict(zip(options, values, strict=True))


def cases(tags: tuple[int, ...]) -> Iterator[tuple[Any, dict[str, Any], int, dict[str, str]]]:
    """Kernel, constants, warps, and types that are not the usual ones."""
    both = (False, True)
    for K in tags:
        width, warps = {"WIDTH": tiles.width_of(K)}, tiles.warps_of(K)
        small = K <= tiles.IN_REGISTERS
        for v in variants(MASKED=both, GOLDEN=both, SHARED=both):
            observe = v["GOLDEN"] and v["SHARED"]
            yield weigh.weigh, v | width | {"OBSERVE": observe, "TOKENS": tiles.tokens_of(K, 4)}, 4, {}
        if small:
            for v in variants(MASKED=both, GOLDEN=both, GRADIENT=both, CHUNKED=(True, False)):
                tokens = {"TOKENS": tiles.tokens_of(K, warps)}
                yield scaled.forward_backward, v | width | tokens, warps, {}
            for v in variants(MASKED=both):
                yield scan.products, v | width, 2 * warps, {"exponents": "*i64"}
            for v in variants(GOLDEN=both, GRADIENT=both):
                yield scan.boundaries, v | width, warps, {"exponents": "*i64"}
        columns = {"COLUMNS": tiles.block_of_columns(K)}
        for v in variants(SHARED=both, MASKED=both, GOLDEN=both, GRADIENT=both, REDUCTION=(0, 1, 2, 3)):
            sizes = columns | {"BLOCK": 1024, "LANES": 8 if small else 1}
            yield counts.finish, v | width | sizes, 4 if K <= 32 else 8, {}
        for v in variants(MASKED=both, SHARED=both):
            constants = {"IN_REGISTERS": small, "COLUMNS": columns_of(K)}
            yield best_paths, v | width | constants, warps_of(K), {}
    tile = {"COLUMNS": tiled.COLUMNS, "INNER": tiled.INNER}
    for v in variants(MASKED=both, GOLDEN=both, GRADIENT=both, TILE=(1, 16)):
        yield tiled.forward_backward_tile, v | tile, 8, {"exponents": "*i32"}
    for v in variants(SHARED=both, DIVIDED=both):
        yield counts.weighted, v | {"BLOCK": 1024, "COLUMNS": 32}, 4, {}


def compiled(
    case: tuple[Any, dict[str, Any], int, dict[str, str]], capability: int, dtype: str, ones: bool
) -> Any:
    """What the compiler makes of a case; numbers that are 1 are constants, as they are in a launch."""
    kernel, constants, warps, types = case
    constants = constants | (dict.fromkeys(NUMBERS & set(kernel.arg_names), 1) if ones else {})
    signature = {}
    for name in kernel.arg_names:
        usual = "constexpr" if name in constants else "i32" if name in NUMBERS else TYPES.get(name, "")
        signature[name] = types.get(name, usual) or f"*{dtype}"
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    return compile(source, target=GPUTarget("cuda", capability, 32), options=launch.options(warps))


def main(quick: bool) -> None:
    """All variants for both capabilities; or quickly the fullest of each kernel.

    Quickly is for 9 tags; for 64 where there is more code for them, or more shared memory.
    """
    every: dict[str, list[Any]] = {}
    for case in cases((9,) if quick else (9, 64, 256)):
        every.setdefault(case[0].fn.__name__, []).append(case)
    if quick:
        for kernel in (scan.products, scaled.forward_backward):
            every[kernel.fn.__name__] = [case for case in cases((64,)) if case[0] is kernel]
    targets = ((90, "fp32", False), (80, "fp64", True))
    for name, found in every.items():
        for case in found[-1:] if quick else found:
            for capability, dtype, ones in targets:
                built = compiled(case, capability, dtype, ones)
                assert ".visible .entry" in built.asm["ptx"]
                assert len(built.asm["cubin"]) > 0
                assert built.metadata.shared <= SHARED_MEMORY, (name, built.metadata.shared, case[1])
                sys.stdout.write(f"{name} {capability} {built.metadata.shared} {case[1]}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main("--quick" in sys.argv)
