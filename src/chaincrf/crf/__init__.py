"""The linear chain: tensors only; knows no tag names."""

from .chain import LinearChain

__all__ = ["LinearChain"]
