"""chaincrf: linear-chain CRFs and BiLSTM-CRF taggers for PyTorch.

The names below load the room they live in when first used, so that ``import chaincrf`` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import lazy_names

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .crf import LinearChain
    from .data import Sentence, read_corpus
    from .labels import Span
    from .nn import CRF, BiLSTMTagger, Softmax
    from .tagging import Tagger
    from .training import Recipe, train

__all__ = [
    "CRF",
    "BiLSTMTagger",
    "LinearChain",
    "Recipe",
    "Sentence",
    "Softmax",
    "Span",
    "Tagger",
    "read_corpus",
    "train",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "BiLSTMTagger": "nn",
        "CRF": "nn",
        "LinearChain": "crf",
        "Recipe": "training",
        "Sentence": "data",
        "Softmax": "nn",
        "Span": "labels",
        "Tagger": "tagging",
        "read_corpus": "data",
        "train": "training",
    },
)
