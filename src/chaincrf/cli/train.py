"""``chaincrf train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..training.recipe import Recipe
from .config import FormatConfig, TrainConfig
from .options import configured

if TYPE_CHECKING:
    from lightning_fabric.loggers.logger import Logger

    from ..data import Corpus, ShardedCorpus
    from ..training import Checkpoints, RunFolder

__all__ = ["train"]


@configured(TrainConfig, Model_and_training=Recipe, Reading=FormatConfig)
def train(
    config: TrainConfig,
    json: Annotated[bool, typer.Option("--json", help="print the result as JSON on standard output")] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="go on from the checkpoint of a run that did not end, if there is one"),
    ] = False,
) -> None:
    """Train a tagger and write a model folder.

    The best epoch by development score (span F1, token accuracy for POS) is kept. Ctrl-C ends training and
    keeps what was best so far. The run is saved at every epoch's end, and every --checkpoint-minutes, in a
    folder beside the model's; the same command with --resume goes on from there, as if nothing had happened.

    For example:

    `chaincrf train --train train.tsv --dev dev.tsv --test test.tsv --out model`

    `chaincrf train --task pos --train en-train.conllu --dev en-dev.conllu --out pos-model`

    `chaincrf train --corpus ncbi-disease --head softmax --out softmax-model`

    `chaincrf train --train shards --dev dev.tsv --out model` (see `chaincrf corpus convert`)

    `torchrun --nproc-per-node=2 -m chaincrf train --train train.tsv --dev dev.tsv --out model`
    """
    from .. import training
    from ..training.processes import leave
    from .console import note, print_json, process_number, use_threads
    from .files import read_shards, read_splits

    use_threads(config.threads)
    folder = _run_folder(config.out, resume)
    checkpoints = training.Checkpoints(
        folder.checkpoint, minutes=config.checkpoint_minutes, resume=resume, say=note
    )
    train_data, dev, test = read_shards(config) or read_splits(config)
    run = training.run_record(config.recipe, train_data, dev)
    if resume and (ended := folder.result(run)) is not None:
        note(f"this run has ended: the model is in {config.out}/")
        if json:
            print_json(ended)
        return
    if process_number():  # of processes that train together the first one writes
        training.train(train_data, dev, config.recipe, checkpoints=checkpoints)
    else:
        with folder.begin(resume=resume):
            _train(config, folder, checkpoints, run, (train_data, dev, test), json=json)
    leave()


def _train(
    config: TrainConfig,
    folder: RunFolder,
    checkpoints: Checkpoints,
    run: dict[str, Any],
    data: tuple[Corpus | ShardedCorpus, Corpus, Corpus | None],
    *,
    json: bool,
) -> None:
    """Train, and write what comes of it."""
    from .. import training
    from .console import note, print_json, stdout, ticker
    from .evaluate import measure, print_measure

    train_data, dev, test = data
    logger = _logger(config, folder)
    metric = "accuracy" if config.task == "pos" else "F1"
    with ticker(metric) as shown:

        def finished(epoch: training.Epoch) -> None:
            folder.record(run)
            folder.add(epoch)
            shown.epoch(epoch)
            if logger is not None:
                numbers = {"loss": epoch.loss, "train_seconds": epoch.train_seconds}
                logger.log_metrics(numbers | {"dev_score": next(iter(epoch.scores.values()))}, epoch.number)

        shown.title(f"training a BiLSTM with a {config.head} head, seed {config.seed}")
        try:
            tagger, record = training.train(
                train_data,
                dev,
                config.recipe,
                checkpoints=checkpoints,
                on_step=shown.step,
                on_epoch=finished,
            )
        except KeyboardInterrupt:
            kept = folder.checkpoint.exists()
            note(
                "interrupted: the same command with --resume goes on from the last checkpoint"
                if kept
                else "interrupted before the end of the first epoch: nothing to keep"
            )
            raise
    if logger is not None:
        logger.finalize("success" if record.failure is None else "failed")
    (kept,) = record.kept.values()
    tagger.save(config.out)
    folder.show(record.epochs, metric)
    how = "interrupted; " if record.interrupted else ""
    note(f"{how}kept epoch {kept.epoch} of {kept.epochs}, dev {100 * kept.score:.2f}, in {config.out}/")
    if record.failure is not None:
        raise record.failure
    result = {
        "model": str(config.out),
        "best_epoch": kept.epoch,
        "epochs": kept.epochs,
        "dev_score": kept.score,
        "train_seconds": kept.train_seconds,
    }
    if test is not None:
        result["test"] = measured = measure(tagger, test)
        if not json:
            print_measure(measured)
    if record.interrupted:
        note("the same command with --resume goes on from the last checkpoint")
    else:
        folder.close(run, result)
    if json:
        print_json(result)
    else:
        stdout().print(f"next: chaincrf tag {config.out} TEXT.txt")


def _logger(config: TrainConfig, folder: RunFolder) -> Logger | None:
    if config.log == "none":
        return None
    from ..training.loggers import make_logger

    logger = make_logger(config.log, folder.path / "logs", folder.model.name)
    logger.log_hyperparams(config.recipe.model_dump(mode="json"))
    return logger


def _run_folder(out: Path, resume: bool) -> RunFolder:
    """The folder of the run, when both it and the model's folder may be written."""
    from ..tagging import check_destination
    from ..training import RunFolder
    from .console import note

    folder = RunFolder(check_destination(out))
    folder.check(resume=resume)
    if folder.checkpoint.exists():
        note(f"going on from {folder.checkpoint}")
    return folder
