"""Data contracts: what tables are allowed to hold, agreed before anyone looks at them."""

from __future__ import annotations

from manatee.contracts._model import (
    NUMERIC_TYPES,
    Column,
    ColumnType,
    Constraint,
    Contract,
    ForeignKey,
    PrivacyUnit,
    Sensitivity,
    Table,
)

__all__ = [
    "NUMERIC_TYPES",
    "Column",
    "ColumnType",
    "Constraint",
    "Contract",
    "ForeignKey",
    "PrivacyUnit",
    "Sensitivity",
    "Table",
]
