"""Draw the figures of docs/tutorials/linear-chain.md: ``python scripts/chain_figures.py``.

They are computed by the package from the example of the page, and follow the reader's light or dark scheme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from pathlib import Path

import torch

from chaincrf import LinearChain
from chaincrf.crf import backend

WORDS = ["Ann", "Ray", "left", "Oslo"]
TAGS = ["O", "B", "I"]
EMISSIONS = [[1.2, 1.0, -1.0], [0.2, 0.3, 1.3], [2.0, -0.5, -0.5], [0.8, 1.4, 0.1]]
TRANSITIONS = [[0.5, 0.3, -2.5], [0.2, -1.0, 1.2], [0.4, -0.6, 0.2]]
FOLDER = Path(__file__).parent.parent / "docs" / "images"

Node = tuple[int, int]
Edge = tuple[Node, Node]
T, K = len(WORDS), len(TAGS)
NODES = list(product(range(T), range(K)))
EDGES = [((t - 1, i), (t, j)) for t in range(1, T) for i in range(K) for j in range(K)]
LEFT, TOP, ACROSS, DOWN, RADIUS = 90, 60, 150, 80, 26
STYLE = """
text { font: 15px sans-serif; fill: #24292f; text-anchor: middle; dominant-baseline: central }
.small { font-size: 13px } .note { fill: #57606a; font-size: 13px; text-anchor: start }
circle { fill: #fff; stroke: #57606a } .shade { fill: #2f6fdb; stroke: none }
line { stroke: #8c959f } .best { stroke: #2f6fdb; stroke-width: 4 } .alone { stroke: #cf222e; stroke-width: 3;
stroke-dasharray: 7 5 } .gone { stroke: #cf222e; stroke-dasharray: 3 4 } .mass { stroke: #2f6fdb }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .note { fill: #9ba4ae }
circle { fill: #22272e; stroke: #9ba4ae } .shade { fill: #4184e4 }
line { stroke: #6e7681 } .best, .mass { stroke: #539bf5 } .alone, .gone { stroke: #f47067 }
}"""


def place(node: Node) -> tuple[int, int]:
    """Where the middle of a node is."""
    return LEFT + node[0] * ACROSS, TOP + node[1] * DOWN


def line(edge: Edge, kind: str = "", **attributes: float) -> str:
    """A move, from border to border."""
    (x1, y1), (x2, y2) = map(place, edge)
    share = RADIUS / ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    ends = x1 + share * (x2 - x1), y1 + share * (y2 - y1), x2 - share * (x2 - x1), y2 - share * (y2 - y1)
    places = " ".join(
        f'{name}="{value:.0f}"' for name, value in zip(("x1", "y1", "x2", "y2"), ends, strict=True)
    )
    more = "".join(f' {name.replace("_", "-")}="{value:.2f}"' for name, value in attributes.items())
    return f'<line class="{kind}" {places}{more}/>' if kind else f"<line {places}{more}/>"


def nodes(texts: Mapping[Node, str], shades: Mapping[Node, float] | None = None) -> list[str]:
    """Tokens above, tags on the left, and a circle for each pair of them."""
    drawn = [f'<text x="{place((t, 0))[0]}" y="16">{word}</text>' for t, word in enumerate(WORDS)]
    drawn += [f'<text x="26" y="{place((0, k))[1]}">{tag}</text>' for k, tag in enumerate(TAGS)]
    for node in NODES:
        x, y = place(node)
        drawn.append(f'<circle cx="{x}" cy="{y}" r="{RADIUS}"/>')
        if shades:
            drawn.append(
                f'<circle class="shade" cx="{x}" cy="{y}" r="{RADIUS}" opacity="{shades[node]:.2f}"/>'
            )
        drawn.append(f'<text class="small" x="{x}" y="{y}">{texts[node]}</text>')
    return drawn


def picture(title: str, drawn: Sequence[str], notes: Sequence[str]) -> str:
    """The file."""
    bottom = TOP + (K - 1) * DOWN + RADIUS
    written = [
        f'<text class="note" x="20" y="{bottom + 26 + 20 * n}">{note}</text>' for n, note in enumerate(notes)
    ]
    width, height = LEFT + (T - 1) * ACROSS + 60, bottom + 26 + 20 * len(notes)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
    return "\n".join(
        [head, f"<title>{title}</title>", f"<style>{STYLE}\n</style>", *drawn, *written, "</svg>", ""]
    )


def figures() -> dict[str, str]:
    """The name and the content of each file."""
    emissions = torch.tensor(EMISSIONS, dtype=torch.float64)
    transitions = torch.tensor(TRANSITIONS, dtype=torch.float64)
    chain = LinearChain(emissions[None], transitions)
    with backend("reference"):
        best = list(enumerate(chain.viterbi()[0][0].tolist()))
        marginals, moves = chain.marginals()[0].tolist(), chain.edge_marginals()[0].tolist()
    alone = list(enumerate(emissions.argmax(1).tolist()))
    alphas = [emissions[0]]
    for row in emissions[1:]:
        alphas.append(row + torch.logsumexp(alphas[-1][:, None] + transitions, dim=0))

    scores = {(t, k): f"{EMISSIONS[t][k]:.1f}" for t, k in NODES}
    paths = [line(edge) for edge in EDGES]
    paths += [line(edge, "best") for edge in pairwise(best)] + [
        line(edge, "alone") for edge in pairwise(alone)
    ]

    into = (1, 2)
    forward = [
        line(edge, "best" if edge[1] == into else "", opacity=1 if edge[1] == into else 0.35)
        for edge in EDGES
    ]
    sums = {(t, k): f"{alphas[t][k]:.2f}" for t, k in NODES}

    mass = [
        line(((t, i), (t + 1, j)), "mass", stroke_width=14 * moves[t][i][j])
        for t, i, j in product(range(T - 1), range(K), range(K))
    ]
    shares = {(t, k): marginals[t][k] for t, k in NODES}

    forbidden = {edge for edge in EDGES if (edge[0][1], edge[1][1]) == (0, 2)}
    ruled = [line(edge, "gone" if edge in forbidden else "") for edge in EDGES if edge[0] != (0, 2)]
    names = scores | {(0, 2): "-∞"}
    return {
        "chain-paths.svg": picture(
            "The 81 paths of four tokens and three tags",
            [*paths, *nodes(scores)],
            [
                "Blue: the path of the highest score. Red, dashed: each token by itself takes its best tag.",
                "In the circles the emissions; every line has a transition score.",
            ],
        ),
        "chain-forward.svg": picture(
            "The forward recursion",
            [*forward, *nodes(sums)],
            [
                "In the circles alpha: the log of the sum over all ways to get there.",
                f"Ray, I: {EMISSIONS[1][2]} + log sum of exp(alpha + transition) over the three blue lines.",
            ],
        ),
        "chain-marginals.svg": picture(
            "Marginal probabilities of tags and moves",
            [*mass, *nodes({node: f"{p:.2f}" for node, p in shares.items()}, shares)],
            ["The bluer a circle, the more probable the tag; the wider a line, the more probable the move."],
        ),
        "chain-constraints.svg": picture(
            "What BIO forbids",
            [*ruled, *nodes(names)],
            ["BIO lets no I follow an O, and none come first: those moves have the score -∞."],
        ),
    }


def main() -> None:
    """Write the figures."""
    for name, content in figures().items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
