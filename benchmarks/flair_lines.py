"""Flair's tagger of raw text lines in a process of its own: ``PYTHON flair_lines.py DATA.json MODEL.pt``.

DATA.json has ``words``, ``vectors``, ``sentences`` (tokens and spans), ``labels``, ``hidden``, ``epochs`` and
``threads``. It is trained unless MODEL.pt is there. Then for each pair of paths on the standard input, of raw
text and of JSON lines, it prints the seconds from one to the other. Run by ``tag.py``; it imports nothing of
this package.
"""

from __future__ import annotations

import json
import logging
import random
import sys
import time
from pathlib import Path
from typing import Any

import torch

logging.disable(logging.WARNING)

import flair  # noqa: E402
from flair.data import Dictionary, Sentence  # noqa: E402
from flair.embeddings import WordEmbeddings  # noqa: E402
from flair.models import SequenceTagger  # noqa: E402

BATCH = 32


def main() -> None:
    """Build and train what DATA.json says, and tag in turns."""
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    kept = Path(sys.argv[2])
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
    if kept.exists():
        tagger.load_state_dict(torch.load(kept, weights_only=True))
    else:
        train(tagger, given)
        torch.save(tagger.state_dict(), kept)
    tagger.eval()
    print(f"flair {flair.__version__}, torch {torch.__version__}", flush=True)
    for line in sys.stdin:
        source, destination = map(Path, json.loads(line))
        start = time.perf_counter()
        tag(tagger, source, destination)
        print(time.perf_counter() - start, flush=True)


def train(tagger: SequenceTagger, given: dict[str, Any]) -> None:
    """So many epochs of Adam, its rate falling to nothing."""
    sentences = []
    for tokens, spans in given["sentences"]:
        sentence = Sentence(tokens, use_tokenizer=False)
        for start, end, label in spans:
            sentence[start:end].add_label("ner", label)
        sentences.append(sentence)
    optimizer = torch.optim.Adam(tagger.parameters(), lr=0.005)
    steps = given["epochs"] * (len(sentences) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    tagger.train()
    for _ in range(given["epochs"]):
        order = random.sample(sentences, len(sentences))
        for first in range(0, len(order) - BATCH + 1, BATCH):
            batch = order[first : first + BATCH]
            optimizer.zero_grad()
            loss, _ = tagger.forward_loss(batch)
            (loss / len(batch)).backward()
            torch.nn.utils.clip_grad_norm_(tagger.parameters(), 5.0)
            optimizer.step()
            schedule.step()


def tag(tagger: SequenceTagger, source: Path, destination: Path) -> None:
    """From raw text lines to JSON lines."""
    with source.open(encoding="utf-8") as lines:
        sentences = [Sentence(line.rstrip("\n")) for line in lines]
    tagger.predict(sentences, mini_batch_size=BATCH)
    with destination.open("w", encoding="utf-8") as file:
        for sentence in sentences:
            spans = [
                {"start": s.start_position, "end": s.end_position, "label": s.tag, "text": s.text}
                for s in sentence.get_spans("ner")
            ]
            content = {
                "text": sentence.text,
                "tokens": [token.text for token in sentence],
                "offsets": [[token.start_position, token.end_position] for token in sentence],
                "spans": spans,
            }
            file.write(json.dumps(content, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
