"""The command line: one file a command, options and TOML keys from the same models."""

from .main import main

__all__ = ["main"]
