"""A little table of visits and what may be measured of it, for tests of twin reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manatee.records import Stratum, TwinComparison

if TYPE_CHECKING:
    import pyarrow as pa

_SMOKER = Stratum(columns=("smoker",), values=(("no", "yes"),), other=(None,))
_TOWN = Stratum(columns=("town",), values=(("rome", "elsewhere"),), other=("elsewhere",))
_BOTH = Stratum(
    columns=("smoker", "town"),
    values=(("no", "yes"), ("rome", "elsewhere")),
    other=(None, "elsewhere"),
)
VISITS_ORDER = TwinComparison(
    rho="1/2", unit="row", missing=("bmi",), strata=(_SMOKER, _TOWN, _BOTH)
)
VISITS_PER_PERSON = TwinComparison(
    rho="1/2",
    unit="person",
    person="person",
    most_rows=2,
    missing=("bmi",),
    strata=(_SMOKER, _BOTH),
)


def visits(**columns: list[object]) -> pa.Table:
    """Return a table of persons, towns, smokers and body masses; columns not given are made up."""
    import pyarrow as pa

    n_records = len(next(iter(columns.values()), []))
    whole: dict[str, list[object]] = {
        "person": list(range(n_records)),
        "smoker": ["no"] * n_records,
        "town": ["rome"] * n_records,
        "bmi": [20.0] * n_records,
        **columns,
    }
    schema = pa.schema(
        [
            ("person", pa.int64()),
            ("smoker", pa.string()),
            ("town", pa.string()),
            ("bmi", pa.float64()),
        ]
    )
    return pa.table(whole, schema=schema)
