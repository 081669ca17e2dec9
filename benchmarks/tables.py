"""Write the tables of the README and of the documentation: ``python benchmarks/tables.py``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

__all__ = ["TABLES", "fill", "main"]

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = ["api/crf.md", "accuracy.md", "howto/serve.md", "howto/training.md", "performance.md"]
PAGES = [ROOT / "README.md", *(ROOT / "docs" / page for page in PAGES)]
KEYS = ("dev F1", "last dev F1")
Row = dict[str, Any]


def rows(name: str) -> list[Row]:
    """What a measurement found."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["rows"]


def markdown(header: list[str], body: list[list[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *body))


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Mean and standard deviation, if there are several."""
    mean = f"{fmean(values):.{digits}f}"
    return f"{mean} ± {stdev(values):.{digits}f}" if len(values) > 1 else mean


def ncbi() -> str:
    """The comparison on the disease corpus."""
    runs = rows("ncbi")
    body = []
    for name in dict.fromkeys(run["variant"] for run in runs):
        mine = [run for run in runs if run["variant"] == name]
        scores = [
            spread([100 * run["test_scores"][repair] for run in mine])
            for repair in ("conlleval", "drop", "strict")
        ]
        invalid = spread([100 * run["invalid_sentences"] / run["sentences"] for run in mine])
        seconds = spread([run["train_seconds"] for run in mine], 0)
        body.append([f"`{name}`", *scores, invalid, seconds])
    header = ["", "F1 repaired", "F1 dropped", "F1 strict", "invalid sentences, %", "training, s"]
    return markdown(header, body)


def pos() -> str:
    """Test accuracy of the recipe `pos`."""
    runs = [run for run in rows("accuracy") if "test accuracy" in run]
    return by_head(runs, lambda run: [run["test accuracy"]], ["test accuracy", "development accuracy"])


def accuracy() -> str:
    """Test F1 of the recipe `ner`."""
    runs = [run for run in rows("accuracy") if "test F1" in run]
    header = ["test F1 repaired", "dropped", "development F1"]
    return by_head(runs, lambda run: [run["test F1"][repair] for repair in ("conlleval", "drop")], header)


def by_head(runs: Sequence[Row], scores: Callable[[Row], Sequence[float]], header: Sequence[str]) -> str:
    """A line for each corpus and head: the scores on test data, that on development data, the seconds."""
    body = []
    for corpus in dict.fromkeys(run["corpus"] for run in runs):
        for head in ("crf", "softmax"):
            mine = [run for run in runs if (run["corpus"], run["variant"]) == (corpus, head)]
            if mine:
                columns = zip(*([*scores(run), run["dev F1"]] for run in mine), strict=True)
                seconds = spread([run["processor seconds"] for run in mine], 0)
                body.append([f"{corpus}, {head}", str(len(mine)), *map(spread, columns), seconds])
    return markdown(["", "seeds", *header, "processor, s"], body)


def tuning() -> str:
    """Development F1, or accuracy, of what the recipes could be, the mean of the seeds."""
    runs = rows("tune")
    corpora = list(dict.fromkeys(run["corpus"] for run in runs))
    body = []
    for name in dict.fromkeys(run["variant"] for run in runs):
        line = [name]
        for corpus in corpora:
            mine = [run for run in runs if (run["corpus"], run["variant"]) == (corpus, name)]
            line += [f"{fmean(run[key] for run in mine):.1f}" if mine else "" for key in KEYS]
            line.append(str(len(mine) or ""))
        body.append(line)
    columns = [f"{corpus}, {what}" for corpus in corpora for what in ("best epoch", "last three", "seeds")]
    return markdown(["development score", *columns], body)


def means(name: str = "crf") -> dict[str, Any]:
    """What a measurement of the layer says of all shapes together."""
    return next(row for row in rows(name) if "import to first loss, s" in row)


def crf() -> str:
    """The layer against a softmax and against pytorch-crf, side by side."""
    shapes = [row for row in rows("crf") if "shape (B, T, K)" in row]
    body = []
    for row in shapes:
        loss, decoding = row["loss and gradient, ms (quartiles)"], row["decoding, ms (quartiles)"]
        ours, theirs, softmax = (loss[who][1] for who in ("chaincrf", "pytorch_crf", "cross_entropy"))
        best, their_best = decoding["chaincrf"][1], decoding["pytorch_crf"][1]
        body.append(
            [
                ", ".join(map(str, row["shape (B, T, K)"])),
                *(f"{x:.2f}" for x in (softmax, ours)),
                *(f"{theirs:.1f}", f"{theirs / ours:.0f}"),
                *(f"{best:.3f}", f"{their_best:.1f}", f"{their_best / best:.0f}"),
            ]
        )
    loss, _, decoding, *_ = means().values()
    body.append(["geometric mean", "", "", "", f"{loss:.0f}", "", "", f"{decoding:.0f}"])
    header = ["B, T, K", "cross-entropy, ms", "CRF, ms", "pytorch-crf, ms", "ratio"]
    return markdown([*header, "decoding, ms", "pytorch-crf, ms", "ratio"], body)


def reached(name: str) -> list[str]:
    """What the layer reaches on a machine, as ``reach`` names it."""
    loss, softmax, decoding, wide, sentence, first = means(name).values()
    per_token = next(row for row in rows(name) if row.get("as it grows") == "T")["cost"]
    growth = per_token["1000000"]["loss"]["ns a token"] / per_token["1000"]["loss"]["ns a token"]
    figures = (
        f"{loss:.0f}",
        f"{softmax:.2f}",
        f"{decoding:.0f}",
        f"{wide:.0f}",
        f"{sentence:.0f}",
        f"{growth:.2f}",
    )
    return [*figures, f"{first['warm cache']:.2f}", f"{first['cold cache']:.0f}"]


def reach() -> str:
    """What the layer was to reach on a CPU, and what it does."""
    bars = {
        "loss and gradient, pytorch-crf / chaincrf, geometric mean": "at least 80",
        "loss and gradient, chaincrf / cross-entropy, K <= 25, geometric mean": "at most 1.0",
        "decoding, pytorch-crf / chaincrf, geometric mean": "at least 120",
        "(16, 100, 200) loss and gradient, pytorch-crf / chaincrf": "at least 50",
        "one sentence (1, 20, 9) decoded, microseconds": "at most 60",
        "a token of 1,000,000 / a token of 1,000, loss and gradient": "at most 1.3",
        "import to first loss after compilation, s": "at most 0.5",
        "import to first loss with compilation, s": "at most 20",
    }
    found = zip(bars, reached("crf"), reached("crf-faster"), bars.values(), strict=True)
    return markdown(["", "machine A", "machine B", "bar"], [list(row) for row in found])


def steps() -> str:
    """Where the time of a loss goes."""
    found = next(row for row in rows("crf") if "where the time goes" in next(iter(row)))
    names = list(next(iter(found.values())))
    body = [[name, *(f"{times[name]:.0f}" for times in found.values())] for name in names]
    return markdown(["microseconds", *(re.findall(r"\(.*\)", shape)[0] for shape in found)], body)


def encoder() -> str:
    """The BiLSTM, compiled, against PyTorch's LSTM."""
    body = [
        [f"{row['B']}, {row['T']}, {row['D']}, {row['H']}"]
        + [f"{row[name]:.1f}" for name in ("compiled", "compiled, recurrent dropout", "padded", "packed")]
        + [f"{row['padded / compiled']:.2f}", f"{row['packed / compiled']:.1f}"]
        + [f"{row[name]:.1f}" for name in ("reading", "reading, fused", "reading / fused")]
        for row in rows("encoder")
    ]
    return markdown(
        [
            *("sentences, tokens, input, state", "compiled", "with recurrent dropout", "padded", "packed"),
            *("padded / compiled", "packed / compiled"),
            *("reading, padded", "reading, fused", "ratio"),
        ],
        body,
    )


def features() -> str:
    """The CRF over features beside CRFsuite."""
    body = []
    for row in rows("features"):
        penalty = f"c1 {row['c1']}, c2 {row['c2']}" if row["c1"] else f"c2 {row['c2']}"
        score = 100 * row.get("test F1", row.get("test accuracy"))
        seconds = (f"{row[name]:.1f}" for name in ("train, processor s", "tag, processor s"))
        body.append([f"{row['corpus']}, {penalty}, {row['package']}", f"{score:.1f}", *seconds])
    return markdown(["", "test F1 or accuracy", "training, processor s", "tagging, processor s"], body)


def serve() -> str:
    """The server under load, beside one forward a request."""
    found = {row["measured"]: row for row in rows("serve")}
    keys = ("requests a second", "tokens a second", "p50, ms", "p99, ms")
    names = {
        "50 clients: chaincrf serve": "`chaincrf serve`, 50 clients",
        "50 clients: one forward a request": "one forward pass a request, 50 clients",
        "at half of that load": "`chaincrf serve`, at half of its load",
    }
    body = [
        [said, *(f"{found[name][key]:.0f}" if key in found[name] else "" for key in keys)]
        for name, said in names.items()
    ]
    return markdown(["", *keys], body)


def training() -> str:
    """Training speed and memory, and the bars."""
    speed, memory, processes = rows("train")
    names = {
        "tokens a second, against the same model written the usual way": (
            "chaincrf / the usual way",
            "at least 3",
        ),
        "tokens a second, against Flair's tagger, frozen words alone": ("chaincrf / Flair", "at least 5"),
        "a step with a CRF, against one with a softmax": ("CRF step / softmax step, time", "at most 1.1"),
        "two processes, against one, the same batch": ("two processes / one process", "at least 1.8"),
        "two processes, against one, a batch each": (
            "two, each with a batch as large as the one's / one process",
            "at least 1.8",
        ),
        "two runs at once that share nothing, against one": ("two runs at once / one process", ""),
        "most memory, 200,000 tokens and 400,000 vectors, GB": ("peak memory, GB", "at most 1.5"),
    }
    found = speed | memory | processes
    return markdown(
        ["", "measured", "bar"], [[what, str(found[key]), bar] for what, (key, bar) in names.items()]
    )


def tagging() -> str:
    """From raw text lines to JSON lines, beside other packages, with the quartiles' middle."""
    found, *rest = rows("tag")
    rates, scores = found["tokens a second (quartiles)"], found["test F1"]
    body = [
        [name, f"{rate:,}", f"{scores[name]:.1f}" if name in scores else ""]
        for name, (_, rate, _) in rates.items()
    ]
    table = markdown(["", "tokens a second", "test F1"], body)
    ratios = [
        [row["ratio"], f"{row['one thread']:.2f}", f"{row['2 threads']:.2f}", f"at least {row['bar']}"]
        for row in rest
        if "ratio" in row
    ]
    return f"{table}\n\n{markdown(['ratio', 'one thread', 'two threads', 'bar'], ratios)}"


TABLES: dict[str, Callable[[], str]] = {
    "ncbi": ncbi,
    "training": training,
    "pos": pos,
    "crf": crf,
    "reach": reach,
    "steps": steps,
    "encoder": encoder,
    "features": features,
    "serve": serve,
    "tagging": tagging,
    "accuracy": accuracy,
    "tuning": tuning,
}


def fill(text: str) -> str:
    """The text with each block between ``<!-- table: NAME -->`` and ``<!-- end -->`` made anew."""

    def block(match: re.Match[str]) -> str:
        return f"<!-- table: {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table: (\w+) -->\n.*?<!-- end -->", block, text, flags=re.DOTALL)


def main() -> None:
    """Rewrite the tables of all pages."""
    for page in PAGES:
        page.write_text(fill(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
