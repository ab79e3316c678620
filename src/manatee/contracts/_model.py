"""What a data contract says, as frozen records; no reading, no checking, no Arrow.

Everything that provisioning may assume about a table without spending privacy budget stands
here: columns, ranges, categories, cells, keys, constraints. Nothing of it is ever read off the
private tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from manatee.records import Label

ColumnType = Literal[
    "integer",
    "decimal",
    "float",
    "category",
    "boolean",
    "date",
    "timestamp",
    "text",
    "identifier",
]
Sensitivity = Literal["identifying", "quasi-identifying", "sensitive", "none"]
"""What a column may tell about a person: the terms of statistical disclosure control."""

NUMERIC_TYPES: frozenset[ColumnType] = frozenset(
    {"integer", "decimal", "float", "date", "timestamp"}
)
"""Types whose values lie on a line between `minimum` and `maximum`."""


@dataclass(frozen=True)
class Column:
    """One column.

    Numbers on a column's *line*: an integer, decimal or float is its own value, a date counts
    days since 1970-01-01, a time stamp seconds since 1970-01-01T00:00:00Z.

    Attributes:
        minimum: Least allowed value on the line; None unless numeric.
        maximum: Greatest allowed value on the line; None unless numeric.
        bins: Equal-width cells of [minimum, maximum] that a twin is measured on.
        decimals: Decimal places of a decimal; places that a float of a twin is rounded to.
        categories: The allowed values, in order; empty unless a category.
        other: The category that stands for every value not listed; one of `categories`.
        max_length: Longest text or text identifier, in characters; 0 for other columns.
        holds: Whether an identifier is a whole number or text.
        nullable: Whether a value may be missing.
    """

    name: str
    type: ColumnType
    description: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    bins: int | None = None
    decimals: int = 0
    categories: tuple[str, ...] = ()
    other: str | None = None
    max_length: int = 0
    holds: Literal["integer", "text"] = "text"
    nullable: bool = False
    sensitivity: Sensitivity = "none"

    @property
    def numeric(self) -> bool:
        """Whether values are numbers within a range."""
        return self.type in NUMERIC_TYPES

    @property
    def cellular(self) -> bool:
        """Whether values fall into a finite number of public cells; text and identifiers do not."""
        return self.type not in {"text", "identifier"}


@dataclass(frozen=True)
class ForeignKey:
    """Columns of a table whose values are keys of another table (or all missing)."""

    columns: tuple[str, ...]
    table: str


@dataclass(frozen=True)
class Constraint:
    """A rule that every row of a table keeps; a row with a missing operand keeps it.

    Attributes:
        name: Named in messages and reports.
        text: The condition in the contract's expression language (`_expressions`).
        given: Condition under which `text` must hold; None for always.
    """

    name: str
    text: str
    given: str | None = None


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        key: Columns that identify a row; empty if nothing does.
        references: Keys of other tables.
        max_rows_per_person: Contribution bound: rows of one person beyond it are left out of
            everything measured. None where the privacy unit is the row.
        rows: Whether the number of rows is protected (noisy in every release) or public.
    """

    name: str
    columns: tuple[Column, ...]
    description: str = ""
    key: tuple[str, ...] = ()
    references: tuple[ForeignKey, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    max_rows_per_person: int | None = None
    rows: Literal["protected", "public"] = "protected"

    def column(self, name: str) -> Column:
        """Return the column of that name. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True)
class PrivacyUnit:
    """Whom the guarantee is for: one row, or one person with all of their rows.

    Attributes:
        table: The table with one row per person; None if the unit is the row.
    """

    kind: Literal["row", "person"] = "row"
    table: str | None = None


@dataclass(frozen=True)
class Contract:
    """A parsed data contract.

    Attributes:
        label: `real` for data about people who exist, else `synthetic`.
        version: The provider's own number; a changed contract needs a higher one.
        tables: In an order in which every table comes after the tables it references.
    """

    name: str
    label: Label
    tables: tuple[Table, ...]
    description: str = ""
    version: int = 1
    privacy_unit: PrivacyUnit = field(default_factory=PrivacyUnit)

    @property
    def only(self) -> Table:
        """The table of a contract that has one. Raises ValueError for several."""
        (table,) = self.tables
        return table

    def table(self, name: str) -> Table:
        """Return the table of that name. Raises KeyError."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)
