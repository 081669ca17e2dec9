"""The network: words with characters and shapes, a BiLSTM, emissions, and a head that makes tags of them."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ..errors import ArgumentError
from ..labels.constraints import Constraints
from .bilstm import BiLSTM
from .chars import CharCNN, CharLSTM
from .crf import CRF
from .dropout import Dropout, LockedDropout, WordDropout
from .embeddings import WordEmbedding
from .softmax import Softmax

__all__ = ["BiLSTMTagger"]


class BiLSTMTagger(nn.Module):
    """A BiLSTM tagger with a CRF layer, or with a softmax: one switch, all else equal.

    ``emissions = W dropout(BiLSTM(dropout([word; characters; shape]))) + b``, and the head scores tags:
    ``head="crf"`` as one path, ``head="softmax"`` one by one. Both heads take and give the same, and the
    parameters before them are drawn first: two models built after the same seed share their initial weights.

    Args:
        num_words: rows of the word table; 0 is padding, 1 the unknown word.
        num_tags: number of tags, K.
        num_chars: characters known, 0 padding and 1 unknown included; 0 for a tagger without characters.
        num_trained: rows of the word table that are parameters; see :class:`WordEmbedding`.
        num_shapes: classes of :func:`chaincrf.data.shapes.word_shape`; 0 for a tagger that reads none.
        word_dim, char_dim, char_filters, shape_dim: sizes of the vectors of a word, of a character, of a
            word's characters and of a shape.
        char_encoder: ``"cnn"`` (:class:`CharCNN`) or ``"lstm"`` (:class:`CharLSTM`).
        hidden: size of the LSTM's state in each direction.
        layers: number of BiLSTM layers.
        dropout: on characters, on the BiLSTM's input and on its output.
        dropout_mask: on the BiLSTM's input and output, what is dropped is drawn for each ``"token"`` or once
            for a ``"sentence"`` (:class:`LockedDropout`).
        recurrent_dropout: on the BiLSTM's recurrent weights, see :class:`BiLSTM`.
        word_dropout: while training, the probability of replacing a word by the unknown one.
        head: ``"crf"`` or ``"softmax"``.
        constraints: the moves that are allowed, from :func:`chaincrf.labels.constraints_from_tags`.
        constrain: when the constraints hold: ``"always"`` (a CRF's training and decoding) or ``"decode"``.
            A softmax head scores tags one by one, so there they can hold in decoding only.
        label_smoothing: of a softmax head's loss.

    Source: Huang, Xu & Yu (2015); the character CNN by Ma & Hovy (2016).
    """

    def __init__(
        self,
        *,
        num_words: int,
        num_tags: int,
        num_chars: int = 0,
        num_trained: int | None = None,
        num_shapes: int = 0,
        word_dim: int = 100,
        char_encoder: Literal["cnn", "lstm"] = "cnn",
        char_dim: int = 30,
        char_filters: int = 30,
        shape_dim: int = 10,
        hidden: int = 100,
        layers: int = 1,
        dropout: float = 0.5,
        dropout_mask: Literal["token", "sentence"] = "token",
        recurrent_dropout: float = 0.0,
        word_dropout: float = 0.0,
        head: Literal["crf", "softmax"] = "crf",
        constraints: Constraints | None = None,
        constrain: Literal["always", "decode"] = "always",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.word_dropout = WordDropout(word_dropout)
        self.words = WordEmbedding(num_words, word_dim, num_trained=num_trained)
        self.chars: CharCNN | CharLSTM | None = None
        if num_chars and char_encoder == "lstm":
            self.chars = CharLSTM(num_chars, dim=char_dim, size=char_filters, dropout=dropout)
        elif num_chars:
            self.chars = CharCNN(num_chars, dim=char_dim, filters=char_filters, dropout=dropout)
        self.shapes: nn.Embedding | None = None
        if num_shapes:
            self.shapes = nn.Embedding(num_shapes, shape_dim)
            nn.init.uniform_(self.shapes.weight, -math.sqrt(3 / shape_dim), math.sqrt(3 / shape_dim))
        size = word_dim + bool(num_chars) * char_filters + bool(num_shapes) * shape_dim
        self.input_size = size
        locked = dropout_mask == "sentence"
        self.dropout = LockedDropout(dropout) if locked else Dropout(dropout)
        self.encoder = BiLSTM(
            size, hidden, layers=layers, dropout=dropout, locked=locked, recurrent_dropout=recurrent_dropout
        )
        self.projection = nn.Linear(self.encoder.output_size, num_tags)
        if head == "crf":
            self.head: CRF | Softmax = CRF(num_tags, constraints, constrain=constrain)
        elif head == "softmax":
            self.head = Softmax(num_tags, constraints, constrain="decode", label_smoothing=label_smoothing)
        else:
            raise ArgumentError(f"head: expected 'crf' or 'softmax', got {head!r}")

    def emissions(
        self,
        words: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B T"],
        *,
        chars: Int[Tensor, "U C"] | None = None,
        shapes: Int[Tensor, " U"] | None = None,
        types: Int[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T K"]:
        """A score for every tag at every token.

        While a model trains that reads words alone, the gradient of the encoder's input may be zero at words
        whose vectors are not learned.

        Args:
            words: word indices.
            mask: True where there is a token.
            chars: the characters of the batch's distinct tokens; a model that reads none ignores them.
            shapes: the shapes of the batch's distinct tokens; likewise.
            types: the row of ``chars`` and ``shapes`` for each token.

        Raises:
            ArgumentError: if the model reads characters or shapes and got none.
        """
        if types is None:  # said with the name of what is read
            chars = shapes = None
        words = self.word_dropout(words)
        vectors = [self.words(words)]
        for feature in self._features(chars, shapes):
            assert types is not None  # else _features has raised
            vectors.append(F.embedding(types, feature))
        learned = None
        if self.training and not vectors[1:]:  # of characters something is learned everywhere
            learned = self.words.learned(words)
        return self.score(torch.cat(vectors, dim=2), mask, learned)

    def represent(
        self,
        words: Int[Tensor, " U"],
        *,
        chars: Int[Tensor, "U C"] | None = None,
        shapes: Int[Tensor, " U"] | None = None,
    ) -> Float[Tensor, "U D"]:
        """What the encoder reads of U distinct tokens, D = ``input_size``; the same in every sentence.

        Args:
            words: their word indices.
            chars: their characters; a model that reads none ignores them.
            shapes: their shapes; likewise.

        Raises:
            ArgumentError: if the model reads characters or shapes and got none.
        """
        return torch.cat([self.words(words[None])[0], *self._features(chars, shapes)], dim=1)

    def score(
        self,
        vectors: Float[Tensor, "B T D"],
        mask: Bool[Tensor, "B T"],
        learned: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T K"]:
        """A score for every tag at every token, from what the encoder reads.

        Args:
            vectors: of :meth:`represent`, at their tokens.
            mask: True where there is a token.
            learned: True where something is learned of what the encoder reads; see :class:`BiLSTM`.
        """
        vectors = self.dropout(vectors)
        states = self.encoder(vectors, mask) if learned is None else self.encoder(vectors, mask, learned)
        return self.projection(self.dropout(states))

    def _features(self, chars: Tensor | None, shapes: Tensor | None) -> list[Tensor]:
        """Vectors of the characters and of the shape of distinct tokens, as far as the model reads them."""
        vectors = []
        for name, encoder, given in (("chars", self.chars, chars), ("shapes", self.shapes, shapes)):
            if encoder is None:
                continue
            if given is None:
                raise ArgumentError(f"{name}, types: expected both, as this model reads {name}; got None")
            vectors.append(encoder(given))
        return vectors

    def forward(
        self,
        words: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B T"],
        tags: Int[Tensor, "B T"] | None = None,
        *,
        chars: Int[Tensor, "U C"] | None = None,
        shapes: Int[Tensor, " U"] | None = None,
        types: Int[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, ""] | Float[Tensor, "B T K"]:
        """The loss if there are gold tags (mean over sequences), the emissions if there are none."""
        emissions = self.emissions(words, mask, chars=chars, shapes=shapes, types=types)
        return emissions if tags is None else self.head(emissions, tags, mask)

    def decode(
        self,
        words: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B T"],
        *,
        chars: Int[Tensor, "U C"] | None = None,
        shapes: Int[Tensor, " U"] | None = None,
        types: Int[Tensor, "B T"] | None = None,
        constrained: bool | None = None,
    ) -> Int[Tensor, "B T"]:
        """The best tags, -1 where masked; ``constrained`` overrides the head's mode for this call."""
        emissions = self.emissions(words, mask, chars=chars, shapes=shapes, types=types)
        return self.head.decode(emissions, mask, constrained=constrained)
