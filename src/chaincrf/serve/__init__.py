"""The HTTP server, and the page on which one sees what a CRF does."""

from .settings import ServeConfig

__all__ = ["ServeConfig"]
