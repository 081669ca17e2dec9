"""``chaincrf compare``."""

from __future__ import annotations

from typing import Annotated

import typer

from ..errors import NotFiniteError
from ..training.recipe import Recipe
from .config import CompareConfig, FormatConfig
from .options import configured

__all__ = ["compare"]


@configured(CompareConfig, Model_and_training=Recipe, Reading=FormatConfig)
def compare(
    config: CompareConfig,
    json: Annotated[bool, typer.Option("--json", help="print the result as JSON on standard output")] = False,
) -> None:
    """Does a CRF layer pay on my data? Train the same BiLSTM with and without, and see.

    Softmax, softmax with constrained decoding, CRF, and constrained CRF are trained with several seeds,
    paired, and compared by span F1 under each repair policy, invalid sequences, training time and tagging
    speed. The report (HTML with a picture, JSON) is written to a folder. Ctrl-C ends early and reports the
    seeds that are done.

    For example:

    `chaincrf compare --corpus ncbi-disease --seeds 2 --out report`

    `chaincrf compare --train train.tsv --dev dev.tsv --test test.tsv --seeds 5 --scheme BIO`
    """
    from .. import compare as comparing
    from ..tagging import check_destination
    from .console import note, print_json, stdout, ticker, use_threads
    from .files import read_splits

    use_threads(config.threads)
    check_destination(config.out / "model")
    train, dev, test = read_splits(config)
    assert test is not None  # the configuration was validated
    seeds = range(config.seed, config.seed + config.seeds)
    failures: list[NotFiniteError] = []
    with ticker("accuracy" if config.task == "pos" else "F1") as shown:
        try:
            result, tagger = comparing.compare(
                train,
                dev,
                test,
                config.recipe,
                seeds=seeds,
                on_run=shown.run,
                on_step=shown.step,
                on_epoch=shown.epoch,
                on_failure=failures.append,
            )
        except KeyboardInterrupt:
            note("interrupted before the first seed was done with all variants: nothing to report")
            raise
    if len(result.seeds) < len(seeds):
        why = "a run failed" if failures else "interrupted"
        note(f"{why}: the report covers {len(result.seeds)} of {len(seeds)} seeds")
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
