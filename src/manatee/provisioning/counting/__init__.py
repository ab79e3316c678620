"""Exact counts of a table's cells: in memory, in blocks on disk, or inside a database."""

from __future__ import annotations

from manatee.provisioning.counting._blocks import BlockCounter
from manatee.provisioning.counting._cell_sql import Dialect
from manatee.provisioning.counting._interface import (
    MAX_MARGINAL_CELLS,
    Attribute,
    Counter,
    Counts,
    Merge,
    attribute_of,
)
from manatee.provisioning.counting._memory import MemoryCounter, memory_counter
from manatee.provisioning.counting._rules_sql import RuleSql, rules_sql, wrong_type
from manatee.provisioning.counting._sql import SqlCounter

__all__ = [
    "MAX_MARGINAL_CELLS",
    "Attribute",
    "BlockCounter",
    "Counter",
    "Counts",
    "Dialect",
    "MemoryCounter",
    "Merge",
    "RuleSql",
    "SqlCounter",
    "attribute_of",
    "memory_counter",
    "rules_sql",
    "wrong_type",
]
