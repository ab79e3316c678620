"""What a guest may measure of a real table for its comparison with the twin, and what it found.

Both sides of the comparison are shares of rows: missing values by column, and the rows of each
stratum. The twin's are public; the real table's leave the guest only under differential privacy.
"""

from typing import Annotated, Literal

import msgspec

from manatee.records._base import Count, Name, Record

ColumnName = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]

ExactRho = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,39}/[1-9][0-9]{0,39}\Z")]
"""A share of a zCDP budget as an exact fraction, such as `1/200`."""

MAX_STRATA = 4096
"""Most strata of one table that are counted."""


class Stratum(Record, frozen=True, kw_only=True):
    """Columns whose combinations of values are strata; every value stands in the contract.

    Attributes:
        columns: Categories or booleans.
        values: For each column its values in order; a boolean has `false` and `true`.
        other: For each column the value that unlisted ones count as, or None.
    """

    columns: Annotated[tuple[ColumnName, ...], msgspec.Meta(min_length=1, max_length=2)]
    values: Annotated[tuple[tuple[str, ...], ...], msgspec.Meta(min_length=1, max_length=2)]
    other: Annotated[tuple[str | None, ...], msgspec.Meta(min_length=1, max_length=2)]


class TwinComparison(Record, frozen=True, kw_only=True):
    """A provider's leave to measure its real table once in every run that asks for it.

    It is a member of the data set's manifest, so its version, approvals and wrapped key cover it.

    Attributes:
        rho: What one run's measurements cost together, in zCDP.
        unit: Whom the guarantee is for.
        person: Column that tells persons apart; None where the unit is the row.
        most_rows: Rows of one unit that are looked at; a person's further rows are left out.
        missing: Columns whose missing values are counted.
        strata: Strata whose rows are counted.
    """

    rho: ExactRho
    unit: Literal["row", "person"]
    person: ColumnName | None = None
    most_rows: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    missing: Annotated[tuple[ColumnName, ...], msgspec.Meta(max_length=1000)] = ()
    strata: Annotated[tuple[Stratum, ...], msgspec.Meta(max_length=100)] = ()


class NoisyCounts(Record, frozen=True, kw_only=True):
    """Counts of rows under discrete Gaussian noise.

    Attributes:
        what: All records, missing values of the one column, or the strata of the columns.
        counts: Of `records` and `missing` one; of `strata` one for each combination, the last
            column changing fastest. May be negative.
        scale: Standard deviation of the noise, in rows.
    """

    what: Literal["records", "missing", "strata"]
    columns: Annotated[tuple[ColumnName, ...], msgspec.Meta(max_length=2)] = ()
    counts: Annotated[tuple[int, ...], msgspec.Meta(min_length=1, max_length=MAX_STRATA)]
    scale: float


class ArrowColumn(Record, frozen=True, kw_only=True):
    """A column's name and Arrow type as the notebook saw them."""

    name: ColumnName
    type: str
    nullable: bool


class TwinReport(Record, frozen=True, kw_only=True):
    """What a run measured of one real table. Costs `rho`; safe to show to anyone."""

    dataset: Name
    rho: ExactRho
    unit: Literal["row", "person"]
    most_rows: Count
    columns: tuple[ArrowColumn, ...]
    measured: Annotated[tuple[NoisyCounts, ...], msgspec.Meta(min_length=1)]
