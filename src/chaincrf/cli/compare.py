"""``chaincrf compare``."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from ..errors import ConfigError, NotFiniteError
from ..training.recipe import Recipe
from .config import CompareConfig, FormatConfig
from .options import configured

__all__ = ["compare"]


@configured(CompareConfig, Model_and_training=Recipe, Reading=FormatConfig)
def compare(
    config: CompareConfig,
    predict: Annotated[
        bool, typer.Option("--predict", help="train nothing: what do the training data alone say?")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="print the result as JSON on standard output")] = False,
) -> None:
    """Does a CRF layer pay on my data? Train the same BiLSTM with and without, and see.

    Softmax, softmax with constrained decoding, CRF, and constrained CRF are trained with several seeds,
    paired, and compared by span F1 under each repair policy, with the significance of the differences for
    new seeds and new sentences, invalid sequences, slices, calibration and cost. The report (HTML, JSON) is
    written to a folder. Each run is a process; one that is done is not done again. Ctrl-C ends early and
    reports the seeds that are done.

    For example:

    `chaincrf compare --corpus ncbi-disease --seeds 2 --out report`

    `chaincrf compare --train train.tsv --dev dev.tsv --test test.tsv --seeds 5 --scheme BIOES,BIO --also all`

    `chaincrf compare --predict --train train.tsv`

    `chaincrf compare --against old-model --model new-model --test test.tsv`
    """
    from .console import use_threads

    use_threads(config.threads)
    if config.against:
        _gate(config, json)
    elif predict:
        _predict(config, json)
    else:
        _compare(config, json)


def _compare(config: CompareConfig, json: bool) -> None:
    from .. import compare as comparing
    from ..tagging import check_destination
    from .console import note, print_json, runs_ticker, stdout
    from .files import attribution_of, read_splits

    if config.corpus is None and config.test is None:
        raise ConfigError("a comparison needs --test FILE, data that neither training nor selection saw")
    check_destination(config.out / "model")
    train, dev, test = read_splits(config)
    assert test is not None
    seeds = range(config.seed, config.seed + config.seeds)
    failures: list[NotFiniteError] = []
    with runs_ticker("accuracy" if config.task == "pos" else "F1") as shown:
        try:
            result, tagger = comparing.compare(
                train,
                dev,
                test,
                config.recipe,
                seeds=seeds,
                schemes=config.schemes if config.task == "ner" else (),
                also=config.also,
                folder=config.out / "runs",
                jobs=config.jobs,
                ray=config.ray,
                command=shlex.join(["chaincrf", *sys.argv[1:]]),
                attribution=config.attribution or attribution_of(config),
                on_run=shown.run,
                on_progress=shown.progress,
                on_failure=failures.append,
            )
        except KeyboardInterrupt:
            note(
                "interrupted before the first seed was done with all variants: nothing to report yet; the "
                "same command goes on with the runs that are left"
            )
            raise
    if len(result.seeds) < len(seeds):
        note(
            f"{'a run failed' if failures else 'interrupted'}: the report covers {len(result.seeds)} of "
            f"{len(seeds)} seeds; the same command goes on with the runs that are left"
        )
    page = comparing.write_report(result, config.out)
    tagger.save(config.out / "model")
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        console = stdout()
        console.print(comparing.text_report(result))
        console.print(f"the report: {page}")
        console.print(f"the best tagger by development score: {config.out / 'model'}")
    if failures:
        raise failures[0]


def _predict(config: CompareConfig, json: bool) -> None:
    from ..compare.predictor import predictors, reading
    from ..training import in_scheme
    from .console import print_json, stdout
    from .files import read_splits

    train, _, _ = read_splits(config)
    scheme = config.schemes[0] if config.task == "ner" else None
    found = predictors(in_scheme(train, scheme), scheme)
    if json:
        print_json(found)
    else:
        stdout().print(reading(found, scheme))


def _gate(config: CompareConfig, json: bool) -> None:
    from ..compare.gate import compare_models
    from ..data import get_corpus
    from ..tagging import Tagger
    from .console import print_json, stdout
    from .files import read_file

    path = config.test or get_corpus(config.corpus or "").splits["test"]
    old, new = ([Tagger.load(folder) for folder in models] for models in (config.against, config.model))
    test = read_file(path, config, old[0].bundle.config.task)
    gate = compare_models(old, new, test)
    if json:
        print_json(gate.to_json())
    else:
        stdout().print(str(gate))
    if gate.worse:
        raise typer.Exit(1)
