"""Training: a recipe, the data it needs, and the loop.

The names load their modules when first used: Lightning Fabric takes seconds to import, and only the loop
needs it.
"""

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .loop import Epoch, Fit, Kept, fit
    from .named import named_recipe, recipe_toml
    from .recipe import Recipe
    from .run import environment, finished_tagger, train
    from .setup import Prepared, build_model, in_scheme, prepare

__all__ = [
    "Epoch",
    "Fit",
    "Kept",
    "Prepared",
    "Recipe",
    "build_model",
    "environment",
    "finished_tagger",
    "fit",
    "in_scheme",
    "named_recipe",
    "prepare",
    "recipe_toml",
    "train",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Epoch": "loop",
        "Fit": "loop",
        "Kept": "loop",
        "Prepared": "setup",
        "Recipe": "recipe",
        "build_model": "setup",
        "environment": "run",
        "finished_tagger": "run",
        "fit": "loop",
        "in_scheme": "setup",
        "named_recipe": "named",
        "prepare": "setup",
        "recipe_toml": "named",
        "train": "run",
    },
)
