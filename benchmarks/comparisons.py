"""The long comparisons: reports of open corpora, run again only where something is missing.

``python benchmarks/run.py compare --data FOLDER`` runs those whose data lie in FOLDER, one after the other;
stopped at any moment, the same command goes on. Every report goes to ``docs/results/NAME/``, and
``docs/results/index.md`` is written from all that are there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["CORPORA", "Budget", "compare"]

RESULTS = Path(__file__).parent.parent / "docs" / "results"
WORK = Path(__file__).parent / "runs"  # records of single runs: not part of the repository


class Budget(NamedTuple):
    """One corpus and what may be spent on it.

    Attributes:
        name: of the report.
        files: training, development and test data below the data folder; a missing one is held out.
        attribution: whose the data are.
        family: related corpora count as one.
        epochs: passes over the training data.
        train: training sentences at most, the first ones; 0: all.
        test: test sentences at most; 0: all.
        task: "ner" or "pos".
        vectors: "builtin" for English.
        minutes: expected, all runs together, one at a time on a machine that does nothing else.
    """

    name: str
    files: tuple[str, ...]
    attribution: str
    family: str
    epochs: int = 8
    train: int = 0
    test: int = 0
    task: str = "ner"
    vectors: str = "builtin"
    minutes: int = 20


UNER = "Universal NER v1, CC BY-SA 4.0"
CORPORA = (
    Budget(
        "ncbi-disease",
        ("ncbi-disease/train.tsv", "ncbi-disease/devel.tsv", "ncbi-disease/test.tsv"),
        "NCBI disease corpus (Doğan, Leaman and Lu 2014), United States government work, public domain",
        "biomedical",
        train=2500,
        minutes=30,
    ),
    Budget(
        "bc5cdr",
        ("bc5cdr/train.tsv", "bc5cdr/devel.tsv", "bc5cdr/test.tsv"),
        "BioCreative V CDR corpus (Li et al. 2016), CC BY 4.0",
        "biomedical",
        train=2500,
        test=2000,
        minutes=38,
    ),
    Budget(
        "bionlp13cg",
        ("bionlp13cg/train.tsv", "bionlp13cg/devel.tsv", "bionlp13cg/test.tsv"),
        "BioNLP 2013 Cancer Genetics corpus (Pyysalo, Ohta and Ananiadou 2013), CC BY-SA 3.0",
        "biomedical",
        train=2500,
        minutes=45,
    ),
    Budget(
        "wnut17",
        ("wnut17/wnut17train.conll", "wnut17/emerging.dev.conll", "wnut17/emerging.test.annotated"),
        "WNUT 2017 emerging entities (Derczynski et al. 2017), CC BY 4.0",
        "social media",
        minutes=30,
    ),
    Budget(
        "wikigold",
        ("wikigold/wikigold.conll.txt",),
        "Wikigold (Balasuriya et al. 2009), CC BY 4.0",
        "Wikipedia",
        epochs=10,
        minutes=18,
    ),
    Budget(
        "crossner-politics",
        ("crossner/politics/train.txt", "crossner/politics/dev.txt", "crossner/politics/test.txt"),
        "CrossNER politics (Liu et al. 2021), MIT; text from Wikipedia, CC BY-SA; 200 training sentences",
        "Wikipedia",
        epochs=20,
        minutes=10,
    ),
    Budget(
        "uner-danish",
        tuple(f"uner-danish-ddt/da_ddt-ud-{split}.iob2" for split in ("train", "dev", "test")),
        f"Danish DDT, {UNER}",
        "Universal NER",
        vectors="none",
        minutes=25,
    ),
    Budget(
        "uner-serbian",
        tuple(f"uner-serbian-set/sr_set-ud-{split}.iob2" for split in ("train", "dev", "test")),
        f"Serbian SET, {UNER}",
        "Universal NER",
        vectors="none",
        minutes=25,
    ),
    Budget(
        "uner-portuguese",
        tuple(f"uner-portuguese-bosque/pt_bosque-ud-{split}.iob2" for split in ("train", "dev", "test")),
        f"Portuguese Bosque, {UNER}",
        "Universal NER",
        train=3000,
        vectors="none",
        minutes=28,
    ),
    Budget(
        "ewt-pos",
        tuple(f"ud-english-ewt/en_ewt-ud-{split}.conllu" for split in ("train", "dev", "test")),
        "Universal Dependencies English EWT (Silveira et al. 2014), CC BY-SA 4.0",
        "parts of speech",
        task="pos",
        train=3000,
        minutes=12,
    ),
)


def compare(
    data: Path | None, *, corpora: Sequence[str] = (), seeds: int = 5, jobs: int = 2
) -> Iterator[dict[str, Any]]:
    """Reports of open corpora in docs/results, BIOES and BIO, five seeds; --data is the folder of corpora.

    About three hours on two cores, all corpora together; a run that is done is not done again.
    """
    from results_page import write_index

    if data is None:
        raise SystemExit("say --data FOLDER, the folder that holds the corpora")
    chosen = [budget for budget in CORPORA if not corpora or budget.name in corpora]
    if unknown := set(corpora) - {budget.name for budget in CORPORA}:
        raise SystemExit(
            f"no corpus named {', '.join(sorted(unknown))}: {', '.join(b.name for b in CORPORA)}"
        )
    chosen = [budget for budget in chosen if all((data / file).exists() for file in budget.files)]
    for number, budget in enumerate(chosen, start=1):
        left = round(sum(b.minutes for b in chosen[number - 1 :]) / jobs * 1.2)  # the first seed goes alone
        print(f"{budget.name}: {number} of {len(chosen)}, about {left} minutes left", flush=True)
        yield _one(budget, data, seeds, jobs)
        write_index(RESULTS)


def _one(budget: Budget, data: Path, seeds: int, jobs: int) -> dict[str, Any]:
    from chaincrf.compare import compare as run
    from chaincrf.compare import text_report, write_report
    from chaincrf.training import Recipe

    start = time.perf_counter()
    train, dev, test = _splits(budget, data)
    ner = budget.task == "ner"
    recipe = Recipe(task=budget.task, epochs=budget.epochs, vectors=budget.vectors, device="cpu")  # type: ignore[arg-type]
    result, _ = run(
        train,
        dev,
        test,
        recipe,
        seeds=range(1, seeds + 1),
        schemes=("BIOES", "BIO") if ner else (),
        also=["crf-greedy", "crf-posterior", "feature-crf"],
        folder=WORK / budget.name,
        jobs=jobs,
        command=f"python benchmarks/run.py compare --data FOLDER --threads 1 --corpora {budget.name}",
        attribution=budget.attribution,
        on_run=lambda job, done, total: print(
            f"  run {done + 1} of {total}: {job.title}, seed {job.recipe.seed}", flush=True
        ),
    )
    place = f"{data.absolute()}/"  # of one machine: what is below it is everybody's
    files = [one.model_copy(update={"path": one.path.removeprefix(place)}) for one in result.corpus]
    result = result.model_copy(update={"corpus": files})
    print(text_report(result))
    write_report(result, RESULTS / budget.name)
    effects = {
        f"{e.first} - {e.second}": [round(e.mean, 2), e.p_adjusted] for e in result.effects if e.declared
    }
    return {"corpus": budget.name, "minutes": round((time.perf_counter() - start) / 60, 1)} | effects


def _splits(budget: Budget, data: Path) -> Any:
    from chaincrf.data import hold_out, read_corpus

    corpora = [read_corpus(data / file, task=budget.task, on_error="skip") for file in budget.files]
    if len(corpora) == 1:  # no split of its own: the last fifth to test, a tenth of the rest to develop
        rest, test = hold_out(corpora[0], 0.2)
        train, dev = hold_out(rest, 0.1)
        return train, dev, test
    train, dev, test = corpora
    return _first(train, budget.train), _first(dev, 1000), _first(test, budget.test)


def _first(corpus: Any, count: int) -> Any:
    """The first sentences."""
    from chaincrf.data import hold_out

    total = len(corpus.sentences)
    return corpus if not count or total <= count else hold_out(corpus, 1 - count / total)[0]
