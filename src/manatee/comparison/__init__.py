"""Where a twin misled: shares of rows, measured of the real table under privacy, held to the twin.

The guest measures (`measure`), under the provider's leave in the data set's manifest; anybody who
has the twin compares (`compare`). Both count with the same code.
"""

from __future__ import annotations

from manatee.comparison._compare import Finding, compare
from manatee.comparison._count import arrow_columns, check_order, count_exactly
from manatee.comparison._measure import measure, parts_of

__all__ = [
    "Finding",
    "arrow_columns",
    "check_order",
    "compare",
    "count_exactly",
    "measure",
    "parts_of",
]
