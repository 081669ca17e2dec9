"""Tagging end to end: a file of raw text lines to a file of JSON lines, beside other packages, in turns.

All read the same lines and write text, tokens, their places and the spans found. Ours starts each turn
without a word remembered. Tokens are counted as ours cuts them, for all alike. The F1 is that of the places
of spans in the text, on the test data of the built-in disease corpus; what can be trained was trained on it.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from chaincrf import Recipe, Tagger, read_corpus
from chaincrf import train as train_tagger
from chaincrf.data import Corpus, Sentence, get_corpus
from chaincrf.data.corpora import builtin_vectors
from chaincrf.data.readers.stream import read_stream
from chaincrf.data.splitter import split_sentences
from chaincrf.data.tokenizer import tokenize
from chaincrf.data.vectors import load_vectors
from chaincrf.labels import tags_to_spans
from chaincrf.tagging import load_bundle
from chaincrf.tagging.document import read_document
from chaincrf.tagging.export import export_onnx
from chaincrf.tagging.files import FileTagger, Job
from chaincrf.tagging.inference import BATCH_TOKENS, emissions_of, predict
from chaincrf.tagging.onnx_runner import OnnxTagger
from chaincrf.tagging.output import render
from chaincrf.tagging.types import TypeVectors
from train import in_turns, ratio

__all__ = ["tag"]

Turn = Callable[[Path, Path], float]
"""Tags a file into another; the seconds that it took."""
EPOCHS = 10
HIDDEN = 128
MODELS: dict[str, dict[str, Any]] = {"words": {"char_filters": 0, "freeze_vectors": True}, "chars": {}}
"""Ours: words alone, with frozen vectors, as Flair's; and with the character CNN."""
SPACY = "en_core_web_sm"


@dataclass
class Lines:
    """Raw text, a sentence a line, and what is to be found in the last of them.

    Attributes:
        path: the file.
        lines, tokens: how many, tokens as ours cuts them.
        gold: the places and labels in each of the last lines.
    """

    path: Path
    lines: int
    tokens: int
    gold: list[set[tuple[int, int, str]]]

    def f1(self, answers: Path) -> float:
        """F1 of JSON lines, in percent."""
        rows = answers.read_text(encoding="utf-8").splitlines()[-len(self.gold) :]
        found = [{(s["start"], s["end"], s["label"]) for s in json.loads(row)["spans"]} for row in rows]
        right = sum(len(a & b) for a, b in zip(found, self.gold, strict=True))
        return round(200 * right / sum(len(a) + len(b) for a, b in zip(found, self.gold, strict=True)), 1)


def text_lines(splits: dict[str, Corpus], folder: Path) -> Lines:
    """All of the data, the test data last."""
    path = folder / "lines.txt"
    sentences = [s for name in ("train", "dev", "test") for s in splits[name].sentences]
    texts = [" ".join(s.tokens) for s in sentences]
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    gold = []
    for sentence in splits["test"].sentences:
        starts = [0]
        for token in sentence.tokens:
            starts.append(starts[-1] + len(token) + 1)
        spans = tags_to_spans(sentence.tags or (), splits["test"].report.scheme or "BIO")
        gold.append({(starts[s.start], starts[s.end] - 1, s.label) for s in spans})
    return Lines(path, len(texts), sum(len(tokenize(text)) for text in texts), gold)


def ours(model: Path, threads: int, *, probabilities: bool) -> Turn:
    """This package, as ``chaincrf tag --threads`` does it."""
    job = Job(probabilities=probabilities)
    bundle = load_bundle(model)

    def turn(source: Path, destination: Path) -> float:
        torch.set_num_threads(threads)
        tagger = FileTagger(Tagger(bundle), job)
        start = perf_counter()
        tagger.tag(source, destination)
        return perf_counter() - start

    return turn


def exported(folder: Path, graph: str) -> Turn:
    """The exported graph, in batches of 64 sentences of like length."""
    tagger = OnnxTagger(folder, graph)

    def answer(texts: Sequence[str]) -> Iterator[dict[str, Any]]:
        places = [tokenize(text) for text in texts]
        tokens = [[text[a:b] for a, b in cut] for text, cut in zip(texts, places, strict=True)]
        order = sorted(range(len(texts)), key=lambda i: len(tokens[i]))
        tags: dict[int, list[str]] = {}
        for first in range(0, len(order), 64):
            batch = order[first : first + 64]
            results = tagger.tag([tokens[i] for i in batch])
            tags |= {i: found.tags for i, found in zip(batch, results, strict=True)}
        for i, (text, cut) in enumerate(zip(texts, places, strict=True)):
            yield row(text, cut, [tuple(span) for span in tags_to_spans(tags[i], "BIOES")])

    return of_lines(answer)


def spacy_turn(folder: Path | None) -> Turn | None:
    """spaCy's small English model with the pipe `ner` alone; None, and why, if it is not there."""
    sys.path += [] if folder is None else [str(folder)]
    found = [name for _, name, _ in pkgutil.iter_modules(folder and [str(folder)]) if name.startswith(SPACY)]
    if not found:
        print(f"without spaCy: no {SPACY}; pip install --target FOLDER its model, and say --spacy FOLDER")
        return None
    nlp = importlib.import_module(found[0]).load()
    nlp.disable_pipes(*(name for name in nlp.pipe_names if name != "ner"))
    print(f"spaCy {importlib.import_module('spacy').__version__}, {nlp.meta['name']} {nlp.meta['version']}")

    def answer(texts: Sequence[str]) -> Iterator[dict[str, Any]]:
        for doc in nlp.pipe(texts):
            offsets = [(token.idx, token.idx + len(token)) for token in doc]
            yield row(doc.text, offsets, [(span.start, span.end, span.label_) for span in doc.ents])

    return of_lines(answer)


def crfsuite_turn(train: Corpus, kept: Path) -> Turn:
    """sklearn-crfsuite with the dozen features of its tutorial."""
    import sklearn_crfsuite

    model = sklearn_crfsuite.CRF("lbfgs", c1=0.1, c2=0.1, max_iterations=100, model_filename=str(kept))
    if not kept.exists():
        model.fit([dozen(s.tokens) for s in train.sentences], [list(s.tags or ()) for s in train.sentences])

    def answer(texts: Sequence[str]) -> Iterator[dict[str, Any]]:
        for text in texts:
            places = tokenize(text)
            tags = model.predict_single(dozen([text[start:end] for start, end in places]))
            yield row(text, places, [tuple(span) for span in tags_to_spans(tags, "BIO")])

    return of_lines(answer)


def dozen(tokens: Sequence[str]) -> list[dict[str, Any]]:
    """The features of sklearn-crfsuite's tutorial, but for the part of speech, which raw text has not."""
    rows = []
    for i, word in enumerate(tokens):
        features = {
            "bias": 1.0,
            "word.lower()": word.lower(),
            "word[-3:]": word[-3:],
            "word[-2:]": word[-2:],
            "word.isupper()": word.isupper(),
            "word.istitle()": word.istitle(),
            "word.isdigit()": word.isdigit(),
        }
        for name, place, border in (("-1", i - 1, "BOS"), ("+1", i + 1, "EOS")):
            if 0 <= place < len(tokens):
                other = tokens[place]
                features[f"{name}:word.lower()"] = other.lower()
                features[f"{name}:word.istitle()"] = other.istitle()
                features[f"{name}:word.isupper()"] = other.isupper()
            else:
                features[border] = True
        rows.append(features)
    return rows


def of_lines(answer: Callable[[Sequence[str]], Iterator[dict[str, Any]]]) -> Turn:
    """From a file to a file, by what answers texts."""

    def turn(source: Path, destination: Path) -> float:
        start = perf_counter()
        texts = source.read_text(encoding="utf-8").splitlines()
        with destination.open("w", encoding="utf-8") as file:
            for content in answer(texts):
                file.write(json.dumps(content, ensure_ascii=False) + "\n")
        return perf_counter() - start

    return turn


def row(
    text: str, offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int, str]]
) -> dict[str, Any]:
    """A tagged text as plain values; spans are in tokens."""
    places = [(offsets[start][0], offsets[end - 1][1], label) for start, end, label in spans]
    return {
        "text": text,
        "tokens": [text[start:end] for start, end in offsets],
        "offsets": offsets,
        "spans": [{"start": s, "end": e, "label": label, "text": text[s:e]} for s, e, label in places],
    }


class Flair:
    """Flair's tagger with the same word vectors, in its own interpreter."""

    def __init__(self, python: Path, train: Corpus, folder: Path) -> None:
        table = load_vectors(*builtin_vectors())
        sentences = [(s.tokens, spans_of(s, train.report.scheme)) for s in train.sentences if s.tokens]
        content = {
            "words": table.words,
            "vectors": table.vectors.float().tolist(),
            "sentences": sentences,
            "labels": sorted({label for _, spans in sentences for *_, label in spans}),
            "hidden": HIDDEN,
            "epochs": EPOCHS,
            "threads": 1,  # two are slower
        }
        (folder / "flair.json").write_text(json.dumps(content), encoding="utf-8")
        command = [python, Path(__file__).with_name("flair_lines.py"), folder / "flair.json"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen([*command, folder / "flair.pt"], **pipes)
        print(self._said(), flush=True)

    def __call__(self, source: Path, destination: Path) -> float:
        """A turn."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(source), str(destination)]) + "\n")
        self._process.stdin.flush()
        return float(self._said())

    def _said(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"Flair's process ended with {self._process.wait()}")
        return line.strip()

    def __enter__(self) -> Flair:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()


def spans_of(sentence: Sentence, scheme: str | None) -> list[tuple[int, int, str]]:
    """The gold spans of a sentence, in tokens."""
    return [tuple(span) for span in tags_to_spans(sentence.tags or (), scheme or "BIO")]


def tag(
    data: Path | None, *, flair: Path | None = None, spacy: Path | None = None, rounds: int = 7
) -> Iterator[dict[str, Any]]:
    """Raw text lines to JSON lines beside spaCy, Flair and CRFsuite; --data keeps the trained models."""
    with tempfile.TemporaryDirectory() as temporary:
        yield from _tag(data or Path(temporary), flair, spacy, rounds)


def _tag(folder: Path, flair: Path | None, spacy: Path | None, rounds: int) -> Iterator[dict[str, Any]]:
    folder.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    splits = {name: read_corpus(path) for name, path in get_corpus("ncbi-disease").splits.items()}
    lines = text_lines(splits, folder)
    turns: dict[str, Turn] = {}
    for name, changes in MODELS.items():
        model, graphs = folder / name, folder / f"{name}-onnx"
        if not model.exists():
            recipe = Recipe(hidden=HIDDEN, epochs=EPOCHS, device="cpu", **changes)
            train_tagger(splits["train"], splits["dev"], recipe)[0].save(model)
        turns[name] = ours(model, threads, probabilities=False)
        turns[f"{name}, one thread"] = ours(model, 1, probabilities=False)
        turns[f"{name}, probabilities"] = ours(model, threads, probabilities=True)
        export_onnx(load_bundle(model), graphs, int8=True)
        turns[f"{name}, ONNX"] = exported(graphs, "model.onnx")
        turns[f"{name}, ONNX int8"] = exported(graphs, "model.int8.onnx")
    turns["CRFsuite"] = crfsuite_turn(splits["train"], folder / "crfsuite.model")
    if (small := spacy_turn(spacy)) is not None:
        turns["spaCy"] = small
    other = Flair(flair, splits["train"], folder) if flair is not None else None
    if other is not None:
        turns["Flair"] = other
    answers, scores = folder / "answers.jsonl", {}
    with other or nullcontext():
        for name, turn in turns.items():
            turn(lines.path, answers)
            scores[name] = lines.f1(answers)
            print(f"{name}: F1 {scores[name]}", flush=True)
        timed = {
            name: lambda turn=turn: (lines.tokens, turn(lines.path, answers)) for name, turn in turns.items()
        }
        rates = in_turns(timed, rounds, warm=0)
    torch.set_num_threads(threads)
    found = {name: [round(q) for q in statistics.quantiles(own, n=4)] for name, own in rates.items()}
    yield {
        "lines": lines.lines,
        "tokens": lines.tokens,
        "turns": rounds,
        "threads where nothing else is said": threads,
        "hidden": HIDDEN,
        "tokens a second (quartiles)": found,
        "test F1": {name: score for name, score in scores.items() if name != "spaCy"},
    }
    bars = {"words / spaCy": 10, "chars / spaCy": 10, "words / Flair": 4, "chars / CRFsuite": 0.6}
    for name, bar in bars.items():
        one, two = name.split(" / ")
        if two in found:
            both = [ratio(rates[own], rates[two]) for own in (f"{one}, one thread", one)]
            yield {"ratio": name, "one thread": both[0], f"{threads} threads": both[1], "bar": bar}
    torch.set_num_threads(1)
    yield {
        "where the time goes, us a token, one thread": {name: steps(folder / name, lines) for name in MODELS}
    }


def steps(model: Path, lines: Lines) -> dict[str, float]:
    """What the steps of tagging cost, one after the other, microseconds a token; the least of three times."""
    bundle = load_bundle(model)
    texts = [item.text for item in read_stream(lines.path, "text")]
    costs: dict[str, float] = {}

    def timed(name: str, run: Callable[[], Any]) -> Any:
        times = []
        for _ in range(3):
            start = perf_counter()
            result = run()
            times.append(perf_counter() - start)
        costs[name] = round(1e6 * min(times) / lines.tokens, 2)
        return result

    timed("read lines", lambda: list(read_stream(lines.path, "text")))
    documents = timed(
        "tokens and sentences", lambda: [read_document(t, splitter=split_sentences) for t in texts]
    )
    sentences = [tokens for document in documents for tokens in document.sentences()]
    timed("vectors of words not yet seen", lambda: TypeVectors(bundle).look_up(sentences))
    known = TypeVectors(bundle)
    known.look_up(sentences)
    timed("look-up, LSTM and scores", lambda: list(emissions_of(bundle, sentences, BATCH_TOKENS, known)))
    found = predict(bundle, sentences, probabilities=False, vectors=known)
    timed(
        "with Viterbi, tags and spans", lambda: predict(bundle, sentences, probabilities=False, vectors=known)
    )
    both = iter(found)
    tagged = [document.tagged(islice(both, len(document.borders))) for document in documents]
    timed("JSON lines", lambda: [render(one, "jsonl", spans=True) for one in tagged])
    return costs
