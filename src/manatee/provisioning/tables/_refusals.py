"""The one form of a refusal: table, column and rule, never a value or a number of rows."""

from __future__ import annotations

from manatee.errors import SchemaMismatchError


def refuse(table: str, column: str, rule: str, *, hint: str = "") -> SchemaMismatchError:
    """Return the error for a column that breaks a rule of the contract."""
    return SchemaMismatchError(f"table {table!r}, column {column!r}: {rule}.", hint=hint)
