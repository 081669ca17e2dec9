"""Modules: the CRF layer, its softmax twin, and the BiLSTM tagger under either."""

from .bilstm import BiLSTM
from .chars import CharCNN, CharLSTM
from .crf import CRF
from .dropout import Dropout, LockedDropout, WordDropout
from .embeddings import WordEmbedding
from .softmax import Softmax
from .tagger import BiLSTMTagger

__all__ = [
    "CRF",
    "BiLSTM",
    "BiLSTMTagger",
    "CharCNN",
    "CharLSTM",
    "Dropout",
    "LockedDropout",
    "Softmax",
    "WordDropout",
    "WordEmbedding",
]
