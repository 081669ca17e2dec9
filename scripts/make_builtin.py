"""Make the corpora and vectors inside the package from their sources.

::

    python scripts/make_builtin.py NCBI EWT GLOVE

NCBI is a folder with ``train.tsv``, ``devel.tsv`` and ``test.tsv`` (the ``conll`` folder of
spyysalo/ncbi-disease), EWT a checkout of UniversalDependencies/UD_English-EWT; both also hold the licence
as there, and a file ``ORIGIN`` with repository and commit. GLOVE is a folder with GloVe 6B 100d as
``words.txt`` (a word a line, the most frequent first) and ``glove.6B.100d.f16.safetensors`` (key
``vectors``). The output is the same on every run.

* ``ncbi-disease``: the first 2,500 sentences of train, all of dev and test, unchanged.
* ``ewt-pos``: whole documents, so that genres keep their shares: of train every sixth, of dev every fourth,
  of test every third, each beginning with the first. Of the ten columns ID, FORM, UPOS, XPOS and of MISC
  ``SpaceAfter=No`` are kept; empty nodes and all comments but the documents' names are left out.
* ``glove``: the rows of every word of both corpora, and then of the most frequent other words, 23,000 in all,
  in the order of their frequency.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from safetensors.numpy import load_file, save_file

TARGET = Path(__file__).parents[1] / "src" / "chaincrf" / "data" / "builtin"
NCBI_FILES = {"train": "train.tsv", "dev": "devel.tsv", "test": "test.tsv"}
NCBI_TRAIN = 2_500
EWT_EVERY = {"train": 6, "dev": 4, "test": 3}
GLOVE_ROWS = 23_000
GLOVE_FILE = "glove.6B.100d.f16.safetensors"

NCBI_ORIGIN = """\
NCBI disease corpus: 793 PubMed abstracts with the mentions of diseases.
Dogan, Leaman, Lu (2014), NCBI disease corpus: a resource for disease name recognition and concept
normalization. Journal of Biomedical Informatics 47.

From {origin}
train.tsv: the first 2,500 sentences of its train.tsv; dev.tsv and test.tsv: its devel.tsv and test.tsv.
The source repeats one document (PMID 8528200).
"""

EWT_ORIGIN = """\
Universal Dependencies English Web Treebank, reduced to its parts of speech.
Silveira, Dozat, de Marneffe, Bowman, Connor, Bauer, Manning (2014), A gold standard dependency corpus for
English. LREC.

From {origin}
Annotations copyright 2013-2021 The Board of Trustees of The Leland Stanford Junior University, licensed under
CC BY-SA 4.0 (see LICENSE); so is this adaptation.

Changes: of train every sixth document, of dev every fourth, of test every third, each beginning with the
first; only the columns ID, FORM, UPOS, XPOS and SpaceAfter=No in MISC; no empty nodes; of the comments only
the documents' names.
"""

GLOVE_ORIGIN = """\
GloVe 6B 100d, trained on Wikipedia 2014 and Gigaword 5, lower-cased.
Pennington, Socher, Manning (2014), GloVe: global vectors for word representation. EMNLP.
https://nlp.stanford.edu/projects/glove/

glove.safetensors: {rows:,} of its 400,000 rows, rounded to half precision (key "vectors"); words.txt: their
words, one a line. They are the words of the corpora beside this folder and the most frequent other ones.
"""

GLOVE_LICENSE = """\
These word vectors are made available by their authors (Jeffrey Pennington, Richard Socher, Christopher D.
Manning) under the Public Domain Dedication and License v1.0, whose full text can be found at
http://www.opendatacommons.org/licenses/pddl/1.0/

This selection of them is made available under the same terms. In short: all rights in the database and its
contents are waived as far as law allows; they may be used, changed and shared for any purpose, without
conditions; and they come as they are, without warranty of any kind.
"""


def main() -> None:
    """Write all three folders."""
    parser = argparse.ArgumentParser(description="Make the corpora and vectors inside the package.")
    for name in ("ncbi", "ewt", "glove"):
        parser.add_argument(name, type=Path, help=f"folder of the source {name}")
    arguments = parser.parse_args()
    words = make_ncbi(arguments.ncbi, TARGET / "ncbi-disease")
    words |= make_ewt(arguments.ewt, TARGET / "ewt-pos")
    make_glove(arguments.glove, TARGET / "glove", words)


def make_ncbi(source: Path, target: Path) -> set[str]:
    """Copy NCBI-disease, with the beginning of train; return its words."""
    target.mkdir(parents=True, exist_ok=True)
    words = set()
    for split, name in NCBI_FILES.items():
        sentences = read(source / name).strip("\n").split("\n\n")
        kept = sentences[:NCBI_TRAIN] if split == "train" else sentences
        write(target / f"{split}.tsv", "\n\n".join(kept) + "\n\n")
        words |= {line.split("\t")[0] for sentence in kept for line in sentence.split("\n")}
    shutil.copyfile(source / "LICENSE", target / "LICENSE")
    write(target / "ORIGIN", NCBI_ORIGIN.format(origin=read(source / "ORIGIN").strip()))
    return words


def make_ewt(source: Path, target: Path) -> set[str]:
    """Reduce UD English-EWT to a choice of documents and of columns; return its words."""
    target.mkdir(parents=True, exist_ok=True)
    words = set()
    for split, every in EWT_EVERY.items():
        blocks = []
        for block in islice(documents(read(source / f"en_ewt-ud-{split}.conllu")), 0, None, every):
            for sentence in block:
                rows = [reduced(line.split("\t")) for line in sentence if not line.startswith("#")]
                rows = [row for row in rows if "." not in row[0]]  # 1.1 is an empty node
                comments = [line for line in sentence if line.startswith("# newdoc")]
                blocks.append("\n".join([*comments, *("\t".join(row) for row in rows)]))
                words |= {row[1] for row in rows}
        write(target / f"{split}.conllu", "\n\n".join(blocks) + "\n\n")
    shutil.copyfile(source / "LICENSE.txt", target / "LICENSE")
    write(target / "ORIGIN", EWT_ORIGIN.format(origin=read(source / "ORIGIN").strip()))
    return words


def documents(text: str) -> Iterator[list[list[str]]]:
    """Yield the documents as lists of sentences, these as lists of lines."""
    document: list[list[str]] = []
    for block in text.strip("\n").split("\n\n"):
        sentence = block.split("\n")
        if document and any(line.startswith("# newdoc") for line in sentence):
            yield document
            document = []
        document.append(sentence)
    yield document


def reduced(row: list[str]) -> list[str]:
    """Keep number, form, both parts of speech and whether a space follows."""
    space = "SpaceAfter=No" if "SpaceAfter=No" in row[9].split("|") else "_"
    return [row[0], row[1], "_", row[3], row[4], "_", "_", "_", "_", space]


def make_glove(source: Path, target: Path, words: set[str]) -> None:
    """Choose the rows of these words, exactly and in lower case, and fill up with the most frequent ones."""
    target.mkdir(parents=True, exist_ok=True)
    table = read(source / "words.txt").removesuffix("\n").split("\n")
    zeros = str.maketrans("123456789", "000000000")  # the vocabulary looks numbers up so
    forms = {form for word in words for form in (word, word.lower(), word.lower().translate(zeros))}
    chosen = [i for i, word in enumerate(table) if word in forms]
    rest = (i for i, word in enumerate(table) if word not in forms)
    rows = sorted([*chosen, *islice(rest, GLOVE_ROWS - len(chosen))])
    vectors = load_file(source / GLOVE_FILE)["vectors"][rows]
    save_file({"vectors": vectors}, target / "glove.safetensors")
    (target / "glove.safetensors").chmod(0o644)  # the library writes for the owner alone
    write(target / "words.txt", "".join(f"{table[i]}\n" for i in rows))
    write(target / "ORIGIN", GLOVE_ORIGIN.format(rows=len(rows)))
    write(target / "LICENSE", GLOVE_LICENSE)
    print(f"glove: {len(chosen):,} rows of {len(words):,} words, {len(rows):,} in all, to rank {rows[-1]:,}")


def read(path: Path) -> str:
    """Read text; only a line feed ends a line."""
    return path.read_bytes().decode("utf-8")


def write(path: Path, text: str) -> None:
    """Write text with line feeds on every system."""
    path.write_bytes(text.encode("utf-8"))


if __name__ == "__main__":
    main()
