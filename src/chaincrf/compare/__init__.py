"""Does a CRF layer pay on my data? Variants, paired by seed, and a report."""

from .experiment import compare
from .predictor import predictors
from .report import read_report, table, text_report, write_report
from .results import Comparison, Effect, VariantResult
from .variants import ALSO, VARIANTS, Variant
from .verdict import verdict

__all__ = [
    "ALSO",
    "VARIANTS",
    "Comparison",
    "Effect",
    "Variant",
    "VariantResult",
    "compare",
    "predictors",
    "read_report",
    "table",
    "text_report",
    "verdict",
    "write_report",
]
