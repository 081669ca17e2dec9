"""Does a CRF layer pay on my data? Variants, paired by seed, and a report."""

from .experiment import compare
from .report import read_report, table, text_report, verdict, write_report
from .results import Comparison, VariantResult
from .variants import VARIANTS, Variant

__all__ = [
    "VARIANTS",
    "Comparison",
    "Variant",
    "VariantResult",
    "compare",
    "read_report",
    "table",
    "text_report",
    "verdict",
    "write_report",
]
