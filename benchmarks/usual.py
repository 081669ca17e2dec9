"""The same tagger as one usually writes it: packed nn.LSTM, pytorch-crf, dense SGD, padding in Python."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torchcrf import CRF

from chaincrf.training import Prepared, Recipe

__all__ = ["usual_turns"]


class UsualTagger(nn.Module):
    """Words and a character CNN, a BiLSTM, a linear layer, a CRF."""

    def __init__(self, prepared: Prepared, recipe: Recipe) -> None:
        super().__init__()
        vocabulary = prepared.vocabulary
        assert prepared.vectors is not None
        rows, vectors = prepared.vectors
        self.words = nn.Embedding(vocabulary.num_trained, vectors.shape[1], padding_idx=0)
        with torch.no_grad():
            trained = rows < vocabulary.num_trained
            self.words.weight[rows[trained]] = vectors[trained].float()
        self.chars = nn.Embedding(len(vocabulary.chars), recipe.char_dim, padding_idx=0)
        self.convolution = nn.Conv1d(recipe.char_dim, recipe.char_filters, 3, padding=1)
        self.dropout = nn.Dropout(recipe.dropout)
        size = vectors.shape[1] + recipe.char_filters
        self.lstm = nn.LSTM(size, recipe.hidden, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(2 * recipe.hidden, len(vocabulary.tags))
        self.crf = CRF(len(vocabulary.tags), batch_first=True)

    def forward(self, words: Tensor, chars: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """The loss, the mean over sequences."""
        B, T, C = chars.shape
        letters = self.dropout(self.chars(chars.view(B * T, C)))
        spelled = self.convolution(letters.transpose(1, 2)).amax(2).view(B, T, -1)
        inputs = self.dropout(torch.cat([self.words(words), spelled], 2))
        packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return -self.crf(self.linear(self.dropout(states)), tags, words != 0, reduction="mean")


def usual_turns(prepared: Prepared, recipe: Recipe, seconds: float) -> Iterator[tuple[int, float]]:
    """Train for ever; after some seconds each, the tokens and the seconds of the steps."""
    data = prepared.train
    assert data.tags is not None
    chars = [data.type_chars[i, : data.type_lengths[i]].tolist() for i in range(len(data.type_words))]
    sentences = [
        (data.type_words[types].tolist(), [chars[i] for i in types], tags.tolist())
        for types, tags in zip(data.sentences, data.tags, strict=True)
    ]
    model = UsualTagger(prepared, recipe)
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum)

    def batches() -> Iterator[list[tuple[list[int], list[list[int]], list[int]]]]:
        order = list(range(len(sentences)))
        while True:
            random.shuffle(order)
            for start in range(0, len(order) - recipe.batch_size + 1, recipe.batch_size):
                yield [sentences[i] for i in order[start : start + recipe.batch_size]]

    source = batches()
    while True:
        tokens, start = 0, time.perf_counter()
        while time.perf_counter() < start + seconds:
            batch = next(source)
            lengths = torch.tensor([len(words) for words, _, _ in batch])
            longest = max(len(word) for _, words, _ in batch for word in words)
            spelled = torch.zeros(len(batch), int(lengths.max()), longest, dtype=torch.long)
            for i, (_, words, _) in enumerate(batch):
                for j, word in enumerate(words):
                    spelled[i, j, : len(word)] = torch.tensor(word)
            words = pad_sequence([torch.tensor(words) for words, _, _ in batch], batch_first=True)
            tags = pad_sequence([torch.tensor(tags) for _, _, tags in batch], batch_first=True)
            loss = model(words, spelled, tags, lengths)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimizer.step()
            tokens += int(lengths.sum())
        yield tokens, time.perf_counter() - start
