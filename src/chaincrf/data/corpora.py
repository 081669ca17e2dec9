"""The corpora and word vectors that come with the package, each with its licence beside it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from os import PathLike
from pathlib import Path

from ..errors import ArgumentError, DataError

__all__ = ["BuiltinCorpus", "builtin_vectors", "export_corpus", "get_corpus", "list_corpora"]

_FOLDER = Path(__file__).parent / "builtin"


@dataclass(frozen=True)
class BuiltinCorpus:
    """A corpus inside the package.

    Attributes:
        name: what `get_corpus` knows it by.
        task: "ner" or "pos".
        title: one line for humans.
        licence: name of the licence; its text is the file ``LICENSE`` of the folder.
        origin: where the corpus comes from and what was changed.
        splits: the files of "train", "dev" and "test".
    """

    name: str
    task: str
    title: str
    licence: str
    origin: str
    splits: Mapping[str, Path]


def _builtin(name: str, task: str, suffix: str, title: str, licence: str) -> BuiltinCorpus:
    folder = _FOLDER / name
    splits = {split: folder / f"{split}{suffix}" for split in ("train", "dev", "test")}
    origin = (folder / "ORIGIN").read_text(encoding="utf-8")
    return BuiltinCorpus(name, task, title, licence, origin, splits)


def list_corpora() -> list[BuiltinCorpus]:
    """List the corpora inside the package."""
    return [
        _builtin(
            name="ncbi-disease",
            task="ner",
            suffix=".tsv",
            title="NCBI disease: disease names in PubMed abstracts; the first 2,500 training sentences",
            licence="public domain (United States government work)",
        ),
        _builtin(
            name="ewt-pos",
            task="pos",
            suffix=".conllu",
            title="UD English Web Treebank: parts of speech in weblogs, e-mails, reviews, ...; a sixth of it",
            licence="CC BY-SA 4.0",
        ),
    ]


def get_corpus(name: str) -> BuiltinCorpus:
    """Return the corpus of this name.

    Raises:
        ArgumentError: if there is none; names the nearest one and all.
    """
    corpora = {corpus.name: corpus for corpus in list_corpora()}
    if name in corpora:
        return corpora[name]
    near = get_close_matches(name.lower(), corpora, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ArgumentError(f"name: expected a built-in corpus ({', '.join(corpora)}), got {name!r}{hint}")


def export_corpus(name: str, folder: str | PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """Copy a corpus, with its licence and origin, into a folder, which is made if need be.

    Args:
        name: name of the corpus.
        folder: where the files go.
        overwrite: replace files of the same names.

    Returns:
        The files written.

    Raises:
        ArgumentError: if there is no such corpus.
        DataError: if a file is there already and ``overwrite`` is False, or the folder cannot be written.
    """
    sources = sorted(get_corpus(name).splits["train"].parent.iterdir())
    targets = [Path(folder) / source.name for source in sources]
    for target in targets:
        if target.exists() and not overwrite:
            raise DataError(
                "expected no file here, found one, which overwrite=True would replace", path=target
            )
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for source, target in zip(sources, targets, strict=True):
            shutil.copyfile(source, target)
    except OSError as error:
        raise DataError(f"the corpus cannot be written: {error}", path=folder) from error
    return targets


def builtin_vectors() -> tuple[Path, Path]:
    """Return the files of the word vectors inside the package.

    They are 23,000 rows of GloVe 6B 100d (lower-cased words): all that the built-in corpora need, and the
    most frequent others.

    Returns:
        The vectors, a safetensors file with the key ``vectors`` (23,000 x 100, float16), and their words, a
        text file with one word a line, in the order of the rows.
    """
    return _FOLDER / "glove" / "glove.safetensors", _FOLDER / "glove" / "words.txt"
