"""Training: a recipe, the data it needs, and the loop.

The names load their modules when first used: Lightning Fabric takes seconds to import, and only the loop
needs it.
"""

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .checkpoint import Checkpoints
    from .folder import RunFolder
    from .loop import fit
    from .named import named_recipe, recipe_toml
    from .recipe import Recipe
    from .record import Epoch, Fit, Kept
    from .run import environment, finished_tagger, run_record, train
    from .setup import Prepared, build_model, in_scheme, prepare

__all__ = [
    "Checkpoints",
    "Epoch",
    "Fit",
    "Kept",
    "Prepared",
    "Recipe",
    "RunFolder",
    "build_model",
    "environment",
    "finished_tagger",
    "fit",
    "in_scheme",
    "named_recipe",
    "prepare",
    "recipe_toml",
    "run_record",
    "train",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Checkpoints": "checkpoint",
        "Epoch": "record",
        "Fit": "record",
        "Kept": "record",
        "Prepared": "setup",
        "Recipe": "recipe",
        "RunFolder": "folder",
        "build_model": "setup",
        "environment": "run",
        "finished_tagger": "run",
        "fit": "loop",
        "in_scheme": "setup",
        "named_recipe": "named",
        "prepare": "setup",
        "recipe_toml": "named",
        "run_record": "run",
        "train": "run",
    },
)
