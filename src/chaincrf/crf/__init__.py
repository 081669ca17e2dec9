"""The linear chain: tensors only; knows no tag names."""

from .backends import backend
from .chain import LinearChain

__all__ = ["LinearChain", "backend"]
