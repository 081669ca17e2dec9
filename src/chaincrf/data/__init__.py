"""Data: sentences, the files they come from, and the integers and tensors they become.

``batching`` and ``vectors`` need PyTorch and are imported from their modules.
"""

from .corpora import BuiltinCorpus, export_corpus, get_corpus, list_corpora
from .corpus import Corpus, ReadReport
from .readers import make_corpus, read_corpus, stream_corpus
from .sentence import Sentence
from .shards import ShardedCorpus, open_shards, write_shards
from .split import hold_out
from .tokenizer import sentence_from_text, tokenize
from .vocabulary import Vocabulary

__all__ = [
    "BuiltinCorpus",
    "Corpus",
    "ReadReport",
    "Sentence",
    "ShardedCorpus",
    "Vocabulary",
    "export_corpus",
    "get_corpus",
    "hold_out",
    "list_corpora",
    "make_corpus",
    "open_shards",
    "read_corpus",
    "sentence_from_text",
    "stream_corpus",
    "tokenize",
    "write_shards",
]
