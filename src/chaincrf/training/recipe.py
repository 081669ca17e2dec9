"""The configuration of a training run: the same fields are the command's options and the TOML file's keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..errors import LabelError
from ..labels import get_scheme

__all__ = ["RECIPES", "NamedRecipe", "Recipe"]


class NamedRecipe(NamedTuple):
    """What measured best for a task (docs/accuracy.md), where it is not the default, and its version."""

    version: int
    values: Mapping[str, Any]


_MEASURED: dict[str, Any] = {
    "hidden": 200,
    "shape_dim": 10,
    "batch_size": 32,
    "learning_rate": 0.003,
    "ema": 0.999,
    "epochs": 25,
    "patience": 25,
}
RECIPES: dict[str, NamedRecipe] = {
    "ner": NamedRecipe(2, _MEASURED),
    "pos": NamedRecipe(2, _MEASURED),
    "chunk": NamedRecipe(2, _MEASURED),
}
"""The recipes by name: ``chaincrf train`` takes that of its task for what is not said."""


class Recipe(BaseModel):
    """How to build a tagger and train it.

    Every field has a default that works, and is quick; what measured best for a task is a named recipe, see
    :func:`chaincrf.training.named_recipe`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Literal["ner", "pos"] = Field(
        default="ner",
        description="'ner' labels spans (entities, chunks); 'pos' gives every token one plain tag",
    )
    head: Literal["crf", "softmax"] = Field(default="crf", description="what turns emissions into tags")
    scheme: str = Field(
        default="BIOES",
        description="the tagging scheme the model predicts in, whatever the files use; NER only",
    )
    constrain: Literal["always", "decode", "never"] = Field(
        default="always",
        description="where the scheme's forbidden moves are excluded: in training and decoding, in decoding "
        "alone, or nowhere; for a softmax 'always' is 'decode', as it scores tags one by one; NER only",
    )
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of a softmax head's target that is spread evenly over all tags; a CRF has none",
    )
    vectors: str | list[str] = Field(
        default="builtin",
        description="pretrained word vectors: 'builtin' (23,000 English words of GloVe), 'none', or a file: "
        "safetensors ('chaincrf vectors convert' makes one), text of GloVe, word2vec or fastText, or .bin of "
        "word2vec; several are put side by side",
    )
    pretrained_words: int = Field(
        default=1_000_000,
        ge=0,
        le=50_000_000,
        description="words of the pretrained vectors that training never sees and the model knows all the "
        "same, at most so many, the first ones",
    )
    freeze_vectors: bool = Field(
        default=False,
        description="pretrained vectors stay as they are: faster, and training words that have none are "
        "trained all the same",
    )
    word_dim: int = Field(
        default=100, ge=1, le=4096, description="size of word vectors, if none are pretrained"
    )
    char_encoder: Literal["cnn", "lstm"] = Field(
        default="cnn", description="how characters make a word's vector: a CNN, or a BiLSTM, which is slower"
    )
    char_dim: int = Field(default=30, ge=1, le=1024, description="size of character vectors")
    char_filters: int = Field(
        default=30,
        ge=0,
        le=4096,
        description="size of the vector that characters make: filters of the CNN, states of the BiLSTM (of "
        "both directions together); 0 for none",
    )
    shape_dim: int = Field(
        default=0, ge=0, le=1024, description="size of the vector of a word's shape (casing, digits); 0: none"
    )
    hidden: int = Field(default=100, ge=1, le=8192, description="LSTM state of one direction")
    layers: int = Field(default=1, ge=1, le=8, description="BiLSTM layers")
    dropout: float = Field(
        default=0.5, ge=0, lt=1, description="dropout on characters, on the BiLSTM's input and output"
    )
    dropout_mask: Literal["token", "sentence"] = Field(
        default="token",
        description="what is dropped of the BiLSTM's input and output is drawn for each token, or once for a "
        "sentence (locked, variational dropout)",
    )
    recurrent_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of the LSTM's recurrent weights dropped for a batch"
    )
    word_dropout: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="probability that a training word is replaced by the unknown word",
    )
    min_count: int = Field(default=1, ge=1, description="words seen less often in training are unknown words")
    optimizer: Literal["adam", "adamw", "sgd"] = Field(
        default="adam", description="adam, adamw, or sgd with momentum"
    )
    weight_decay: float = Field(
        default=0.0, ge=0, lt=1, description="of all weights: L2 for adam and sgd, decoupled for adamw"
    )
    learning_rate: float = Field(
        default=0.005, gt=0, le=100, description="the (first) learning rate; about 0.015 is usual for sgd"
    )
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of sgd")
    schedule: Literal["constant", "inverse-time", "cosine", "plateau"] = Field(
        default="cosine",
        description="learning rate over time: rate/(1 + decay * epoch), half a cosine to zero, or halved "
        "when the development score no longer grows",
    )
    warmup: float = Field(default=0.0, ge=0, description="epochs over which the learning rate first grows")
    plateau_patience: int = Field(
        default=2, ge=1, description="epochs without a better score after which the plateau schedule halves"
    )
    decay: float = Field(default=0.05, ge=0, description="of the inverse-time schedule, an epoch")
    clip: float = Field(default=5.0, gt=0, description="largest norm of the gradient")
    batch_size: int = Field(default=16, ge=1, le=65536, description="sentences in a batch")
    batch_tokens: int = Field(
        default=0, ge=0, description="instead: tokens in a batch at most, padding included; 0: --batch-size"
    )
    shuffle_window: int = Field(
        default=100_000,
        ge=1,
        description="sentences of a corpus in shards ('chaincrf corpus convert') that are shuffled together",
    )
    accumulate: int = Field(default=1, ge=1, le=65536, description="batches of which one step is made")
    ema: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="moving average of the weights, evaluated and kept in their place: the weight of the "
        "past at every step, such as 0.999; 0: none",
    )
    epochs: int = Field(default=12, ge=1, le=100_000, description="passes over the training data, at most")
    patience: int = Field(
        default=5, ge=1, description="stop after so many epochs without a better development score"
    )
    seed: int = Field(default=1, ge=0, lt=2**31, description="seed of everything random")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="where to train")
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        default="32-true", description="arithmetic of the encoder; the CRF itself stays in 32 bits"
    )

    @field_validator("scheme")
    @classmethod
    def _known_scheme(cls, name: str) -> str:
        try:
            return get_scheme(name).name
        except LabelError as error:
            raise ValueError(str(error)) from None

    @field_validator("vectors")
    @classmethod
    def _one_or_several(cls, vectors: str | list[str]) -> str | list[str]:
        if isinstance(vectors, str):
            return vectors
        if not vectors or (len(vectors) > 1 and "none" in vectors):
            raise ValueError("expected tables, or 'none' alone")
        return vectors if len(vectors) > 1 else vectors[0]

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if self.char_encoder == "lstm" and self.char_filters % 2:
            raise ValueError(f"char_filters of a BiLSTM: expected an even number, got {self.char_filters}")
        if self.precision == "16-mixed" and self.device == "cpu":
            raise ValueError("precision 16-mixed needs a GPU; on the CPU take bf16-mixed or 32-true")
        if self.warmup >= self.epochs:
            raise ValueError(f"warmup: expected less than the {self.epochs} epochs, got {self.warmup}")
        return self
