"""A CRF on an encoder of Transformers; needs the extra ``transformers``.

Sub-words are mapped to words by gaps in the mask: a word counts at its first sub-word, and the CRF's
neighbour of a word is the previous word, however many pieces lie between. A label of -100 leaves its token
out of the chain; the layer, to which -100 means an unknown tag, never sees one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .._lazy import require
from ..errors import ArgumentError
from ..labels import constraints_from_tags
from ..nn import CRF

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel
    from transformers.utils.generic import ModelOutput
else:
    transformers = require("transformers", "transformers")
    PretrainedConfig, PreTrainedModel = transformers.PretrainedConfig, transformers.PreTrainedModel
    ModelOutput = require("transformers.utils.generic", "transformers").ModelOutput

__all__ = [
    "ChainCRFConfig",
    "ChainCRFForTokenClassification",
    "TaggerOutput",
    "TransformerEncoder",
    "Windows",
    "align_labels",
]


@dataclass(frozen=True)
class Windows:
    """Sentences cut into windows of sub-words.

    Attributes:
        inputs: the encoder's arguments, ``(W, S)`` each: W windows of S sub-words.
        index: ``(B, T)``, for each word the place of its first sub-word among the ``W * S``; -1 where a word
            has none.
        mask: ``(B, T)``, True where there is a word.
    """

    inputs: dict[str, Tensor]
    index: Int[Tensor, "B T"]
    mask: Bool[Tensor, "B T"]


class TransformerEncoder(nn.Module):
    """Vectors of words from any encoder of Transformers, whatever the length of the text.

    A text longer than a window is cut into several that overlap, and a word's vector is taken from the window
    in which it stands farthest from a border.

    Args:
        model: the encoder, such as ``AutoModel.from_pretrained(...)``.
        tokenizer: its tokenizer, a fast one.
        window: sub-words in a window, special ones included; None: as many as the model takes, 512 at most.
        overlap: sub-words that two windows share.

    Attributes:
        output_size: size of a word's vector.

    Raises:
        ArgumentError: a slow tokenizer, or an overlap that leaves a window nothing new.
    """

    def __init__(
        self, model: nn.Module, tokenizer: Any, *, window: int | None = None, overlap: int = 64
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.window, self.overlap = _window(tokenizer, window, overlap)
        self.output_size: int = model.config.hidden_size  # type: ignore[assignment, union-attr]

    @classmethod
    def from_pretrained(cls, name: str, **options: Any) -> TransformerEncoder:
        """The encoder and tokenizer of this name or folder; options are the constructor's."""
        from transformers import AutoModel, AutoTokenizer

        return cls(AutoModel.from_pretrained(name), AutoTokenizer.from_pretrained(name), **options)

    def windows(self, sentences: Sequence[Sequence[str]]) -> Windows:
        """Cut sentences of words, at least one, into windows of sub-words."""
        return _windows(self.tokenizer, sentences, self.window, self.overlap)

    def forward(self, windows: Windows) -> Float[Tensor, "B T H"]:
        """A vector for each word; zero where a word has no sub-word."""
        device = next(self.model.parameters()).device
        states = self.model(**{name: x.to(device) for name, x in windows.inputs.items()}).last_hidden_state
        flat = nn.functional.pad(states.flatten(0, 1), (0, 0, 0, 1))  # the last row, -1, is zero
        return flat[windows.index.to(device)]


class ChainCRFConfig(PretrainedConfig):
    """The configuration of :class:`ChainCRFForTokenClassification`.

    Args:
        encoder: the configuration of the encoder, as a dictionary.
        scheme: a tagging scheme, whose forbidden moves get probability zero; None: all are possible.
        dropout: on the encoder's output.
        **rest: what every configuration has; ``id2label`` are the tags.
    """

    model_type = "chaincrf"

    def __init__(
        self,
        encoder: Mapping[str, Any] | None = None,
        scheme: str | None = None,
        dropout: float = 0.1,
        **rest: Any,
    ) -> None:
        self.encoder = dict(encoder or {})
        self.scheme = scheme
        self.dropout = dropout
        super().__init__(**rest)


@dataclass
class TaggerOutput(ModelOutput):
    """What the model returns.

    Attributes:
        loss: the negative log-likelihood, the mean over sequences; None without labels.
        logits: the emissions, ``(B, T, K)``.
        tags: the best path, ``(B, T)``, -100 where nothing counts; None while training.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    tags: Tensor | None = None


class ChainCRFForTokenClassification(PreTrainedModel):
    """An encoder with a CRF in place of the usual softmax head; the Trainer trains it as any other model.

    ``save_pretrained``, ``from_pretrained`` and ``push_to_hub`` are those of Transformers.

    Args:
        config: the configuration; :meth:`from_encoder` makes it from labels.
    """

    config_class = ChainCRFConfig
    base_model_prefix = "encoder"

    def __init__(self, config: ChainCRFConfig) -> None:
        super().__init__(config)
        from transformers import AutoConfig, AutoModel

        self.encoder = AutoModel.from_config(AutoConfig.for_model(**config.encoder))
        self.dropout = nn.Dropout(config.dropout)
        tags = _tags(config)
        self.classifier = nn.Linear(self.encoder.config.hidden_size, len(tags))
        self.crf = CRF(len(tags), self._constraints())
        self.post_init()

    @classmethod
    def from_encoder(
        cls, encoder: str | nn.Module, tags: Sequence[str], *, scheme: str | None = None, dropout: float = 0.1
    ) -> ChainCRFForTokenClassification:
        """A new head on a pretrained encoder.

        Args:
            encoder: its name or folder, or the model itself.
            tags: the tags, in the order of their indices.
            scheme: their scheme, to forbid what it forbids.
            dropout: on the encoder's output.
        """
        from transformers import AutoModel

        model: Any = AutoModel.from_pretrained(encoder) if isinstance(encoder, str) else encoder
        config = ChainCRFConfig(
            model.config.to_dict(),
            scheme,
            dropout,
            id2label=dict(enumerate(tags)),
            label2id={tag: i for i, tag in enumerate(tags)},
        )
        new = cls(config)
        new.encoder = model
        return new

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        word_mask: Tensor | None = None,
        **inputs: Any,
    ) -> TaggerOutput:
        """Loss, emissions and tags.

        Args:
            input_ids, attention_mask, inputs: as the encoder takes them.
            labels: ``(B, T)``, -100 where nothing counts: padding, special tokens, later sub-words.
            word_mask: ``(B, T)``, True at the first sub-word of each word; None: where a label is, or without
                labels at every token.
        """
        inputs = {name: value for name, value in inputs.items() if isinstance(value, Tensor)}
        states = self.encoder(input_ids, attention_mask=attention_mask, **inputs).last_hidden_state
        emissions = self.classifier(self.dropout(states))
        attended = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        mask = attended.bool() if word_mask is None else attended.bool() & word_mask.bool()
        loss = None
        if labels is not None:
            known = mask & (labels != -100)
            mask = known if word_mask is None else mask
            loss = self.crf(emissions, torch.where(known, labels, 0), known)
        tags = None
        if not self.training:
            best = self.crf.decode(emissions, mask)
            tags = torch.where(best < 0, -100, best)
        return TaggerOutput(loss, emissions, tags)

    @torch.no_grad()
    def tag(
        self,
        tokenizer: Any,
        sentences: Sequence[Sequence[str]],
        *,
        window: int | None = None,
        overlap: int = 64,
        batch_size: int = 16,
    ) -> list[list[str]]:
        """The tags of sentences of words, one chain each however many windows it takes.

        Args:
            tokenizer: the encoder's.
            sentences: their words.
            window, overlap: see :class:`TransformerEncoder`.
            batch_size: sentences encoded together.
        """
        was_training = self.training
        self.eval()
        encoder = TransformerEncoder(self.encoder, tokenizer, window=window, overlap=overlap)
        names = _tags(self.config)
        results: list[list[str]] = [[] for _ in sentences]
        full = [i for i, sentence in enumerate(sentences) if len(sentence)]
        for at in range(0, len(full), batch_size):
            part = full[at : at + batch_size]
            windows = encoder.windows([sentences[i] for i in part])
            best = self.crf.decode(self.classifier(encoder(windows)), windows.mask.to(self.device))
            for i, path in zip(part, best.tolist(), strict=True):
                results[i] = [names[tag] for tag in path[: len(sentences[i])]]
        self.train(was_training)
        return results

    def _constraints(self) -> Any:
        scheme = self.config.scheme
        return None if scheme is None else constraints_from_tags(_tags(self.config), scheme)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
        elif isinstance(module, CRF):
            module.reset_parameters()
            constraints = self._constraints()  # from_pretrained builds the model without memory, and fills it
            if constraints is not None:
                module.allowed_start.copy_(torch.tensor(constraints.start))
                module.allowed_transitions.copy_(torch.tensor(constraints.transitions))
                module.allowed_end.copy_(torch.tensor(constraints.end))
            else:
                for allowed in (module.allowed_start, module.allowed_transitions, module.allowed_end):
                    allowed.fill_(True)


def align_labels(
    tokenizer: Any,
    sentences: Sequence[Sequence[str]],
    tags: Sequence[Sequence[str]],
    label2id: Mapping[str, int],
    *,
    window: int | None = None,
    overlap: int = 64,
) -> list[dict[str, list[int]]]:
    """Rows for the Trainer: sub-words with the label of each word at its first one, -100 elsewhere.

    A sentence longer than a window makes several rows, each word labelled in one of them.

    Args:
        tokenizer: a fast tokenizer.
        sentences: their words.
        tags: their tags.
        label2id: the index of each tag.
        window, overlap: see :class:`TransformerEncoder`.

    Raises:
        ArgumentError: numbers that differ, or a tag that has no index.
    """
    if [len(words) for words in sentences] != [len(row) for row in tags]:
        raise ArgumentError("tags: expected one for each word of each sentence")
    unknown = sorted({tag for row in tags for tag in row} - set(label2id))
    if unknown:
        raise ArgumentError(f"tags: expected some of {', '.join(label2id)}, got {unknown[0]!r}")
    window, overlap = _window(tokenizer, window, overlap)
    encoding, places = _cut(tokenizer, sentences, window, overlap, padding=False)
    labels = [[-100] * len(ids) for ids in encoding["input_ids"]]
    for (sentence, word), (row, place) in places.items():
        labels[row][place] = label2id[tags[sentence][word]]
    names = [name for name in tokenizer.model_input_names if name in encoding]
    return [
        {**{name: encoding[name][row] for name in names}, "labels": labels[row]} for row in range(len(labels))
    ]


def _tags(config: Any) -> list[str]:
    return [config.id2label[i] for i in range(config.num_labels)]


def _window(tokenizer: Any, window: int | None, overlap: int) -> tuple[int, int]:
    if not getattr(tokenizer, "is_fast", False):
        raise ArgumentError("tokenizer: expected a fast one, which knows where words begin")
    window = window or min(512, tokenizer.model_max_length)
    room = window - tokenizer.num_special_tokens_to_add()
    if room < 1:
        raise ArgumentError(f"window: expected room for a sub-word, got {window} with the special ones")
    return window, min(overlap, room // 2)


def _cut(
    tokenizer: Any, sentences: Sequence[Sequence[str]], window: int, overlap: int, *, padding: bool
) -> tuple[Any, dict[tuple[int, int], tuple[int, int]]]:
    """Windows, and for each word (sentence, number) the window and place that it is read from."""
    encoding = tokenizer(
        [list(sentence) for sentence in sentences],
        is_split_into_words=True,
        truncation=True,
        max_length=window,
        stride=overlap,
        return_overflowing_tokens=True,
        padding=padding,
    )
    places: dict[tuple[int, int], tuple[int, int]] = {}
    distance: dict[tuple[int, int], int] = {}
    for row, sentence in enumerate(encoding["overflow_to_sample_mapping"]):
        words, offsets = encoding.word_ids(row), encoding[row].offsets
        inside = [place for place, word in enumerate(words) if word is not None]
        for place in inside:
            word = words[place]
            if words[place - 1] == word and place > inside[0]:
                continue
            if place == inside[0] and offsets[place][0] > 0:
                continue  # the window begins within a word
            margin = min(place - inside[0], inside[-1] - place)
            if margin > distance.get((sentence, word), -1):
                places[sentence, word], distance[sentence, word] = (row, place), margin
    return encoding, places


def _windows(tokenizer: Any, sentences: Sequence[Sequence[str]], window: int, overlap: int) -> Windows:
    encoding, places = _cut(tokenizer, sentences, window, overlap, padding=True)
    names = [name for name in tokenizer.model_input_names if name in encoding]
    inputs = {name: torch.tensor(encoding[name]) for name in names}
    size = inputs["input_ids"].shape[1]
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    index = torch.full((len(sentences), int(lengths.max())), -1)
    for (sentence, word), (row, place) in places.items():
        index[sentence, word] = row * size + place
    return Windows(inputs, index, torch.arange(index.shape[1]) < lengths[:, None])
