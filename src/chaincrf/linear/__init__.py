"""The classical linear-chain CRF: sparse features of tokens in place of an encoder, weights by L-BFGS."""

from .features import FeatureMap, word_features
from .model import LinearCRF
from .owlqn import Minimum, minimise

__all__ = ["FeatureMap", "LinearCRF", "Minimum", "minimise", "word_features"]
