"""Data contracts: what tables are allowed to hold, agreed before anyone looks at them.

Schemas, lines, cells and constraints need pyarrow and numpy (`manatee[provisioning]`).
"""

from __future__ import annotations

from manatee.contracts._arrow import arrow_schema, arrow_type, contract_digest, schema_digest
from manatee.contracts._cells import Codes, code_type, decode, edges, encode, n_cells, n_values
from manatee.contracts._check import check_contract
from manatee.contracts._diff import Change, ContractDiff, diff_contracts
from manatee.contracts._draft import draft_text, drafted_columns
from manatee.contracts._evaluate import columns_of, derive, follows, kept
from manatee.contracts._lines import Floats, from_line, show, to_line
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
from manatee.contracts._parse import FORMAT, parse_contract, read_contract
from manatee.contracts._sql import constraint_sql, literal, quoted
from manatee.contracts._write import contract_text

__all__ = [
    "FORMAT",
    "NUMERIC_TYPES",
    "Change",
    "Codes",
    "Column",
    "ColumnType",
    "Constraint",
    "Contract",
    "ContractDiff",
    "Floats",
    "ForeignKey",
    "PrivacyUnit",
    "Sensitivity",
    "Table",
    "arrow_schema",
    "arrow_type",
    "check_contract",
    "code_type",
    "columns_of",
    "constraint_sql",
    "contract_digest",
    "contract_text",
    "decode",
    "derive",
    "diff_contracts",
    "draft_text",
    "drafted_columns",
    "edges",
    "encode",
    "follows",
    "from_line",
    "kept",
    "literal",
    "n_cells",
    "n_values",
    "parse_contract",
    "quoted",
    "read_contract",
    "schema_digest",
    "show",
    "to_line",
]
