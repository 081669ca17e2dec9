"""Search over recipes: which settings score best on the development data; needs the extra ``tune``."""

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .search import Search, Trial, tune
    from .space import Range, Space, default_space, read_space

__all__ = ["Range", "Search", "Space", "Trial", "default_space", "read_space", "tune"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Range": "space",
        "Search": "search",
        "Space": "space",
        "Trial": "search",
        "default_space": "space",
        "read_space": "space",
        "tune": "search",
    },
)
