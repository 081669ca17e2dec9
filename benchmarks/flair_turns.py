"""Flair's SequenceTagger in a process of its own: ``PYTHON flair_turns.py DATA.json SECONDS``.

DATA.json has ``words``, ``vectors``, ``sentences`` (tokens and spans), ``labels``, ``hidden``, ``batch`` and
``threads``. It trains for ever, and keeps the vectors of the sentences as Flair's trainer does: for each line
on the standard input it trains for some seconds, and prints the tokens and seconds of these steps. Run by
``train.py``; it imports nothing of this package.
"""

from __future__ import annotations

import json
import logging
import random
import sys
import time
from pathlib import Path

import torch

logging.disable(logging.WARNING)

import flair  # noqa: E402
from flair.data import Dictionary, Sentence  # noqa: E402
from flair.embeddings import WordEmbeddings  # noqa: E402
from flair.models import SequenceTagger  # noqa: E402


def main() -> None:
    """Build what DATA.json says, and train in turns."""
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    seconds = float(sys.argv[2])
    flair.device = torch.device("cpu")
    torch.set_num_threads(given["threads"])
    vocabulary = {word: i for i, word in enumerate(given["words"])}
    size = len(given["vectors"][0])
    embeddings = WordEmbeddings(None, vocab=vocabulary, embedding_length=size, name="table", fine_tune=False)
    embeddings.embedding.weight.data[: len(vocabulary)] = torch.tensor(given["vectors"])
    labels = Dictionary(add_unk=False)
    for label in given["labels"]:
        labels.add_item(label)
    labels.span_labels = True
    tagger = SequenceTagger(embeddings, labels, "ner", hidden_size=given["hidden"], use_crf=True)
    sentences = []
    for tokens, spans in given["sentences"]:
        sentence = Sentence(tokens, use_tokenizer=False)
        for start, end, label in spans:
            sentence[start:end].add_label("ner", label)
        sentences.append(sentence)
    optimizer = torch.optim.SGD(tagger.parameters(), lr=0.1)
    tagger.train()
    print(f"flair {flair.__version__}, torch {torch.__version__}", flush=True)
    order: list[Sentence] = []
    for _ in sys.stdin:
        tokens, start = 0, time.perf_counter()
        while time.perf_counter() < start + seconds:
            if len(order) < given["batch"]:
                order = random.sample(sentences, len(sentences))
            batch = [order.pop() for _ in range(given["batch"])]
            optimizer.zero_grad()
            loss, _ = tagger.forward_loss(batch)
            (loss / len(batch)).backward()
            torch.nn.utils.clip_grad_norm_(tagger.parameters(), 5.0)
            optimizer.step()
            tokens += sum(map(len, batch))
        print(tokens, time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
