"""Stage-one data: contracts, tables held to them, and differentially private twins.

The names that measure and draw need `mbi`, `opendp` and numpy, which take seconds to load: they
load when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from manatee.errors import ProvisioningError

if TYPE_CHECKING:
    from manatee.provisioning._contract import (
        Column,
        Contract,
        arrow_schema,
        contract_digest,
        parse_contract,
        read_contract,
        schema_digest,
    )
    from manatee.provisioning._insurance import (
        insurance_contract,
        insurance_contract_text,
        insured_persons,
    )
    from manatee.provisioning._statement import PrivacyStatement, in_words
    from manatee.provisioning._tables import MAX_ROWS, check_table, read_table
    from manatee.provisioning._twin import Twin, make_twin

_HOMES = {
    "Column": "_contract",
    "Contract": "_contract",
    "MAX_ROWS": "_tables",
    "PrivacyStatement": "_statement",
    "Twin": "_twin",
    "arrow_schema": "_contract",
    "check_table": "_tables",
    "contract_digest": "_contract",
    "in_words": "_statement",
    "insurance_contract": "_insurance",
    "insurance_contract_text": "_insurance",
    "insured_persons": "_insurance",
    "make_twin": "_twin",
    "parse_contract": "_contract",
    "read_contract": "_contract",
    "read_table": "_tables",
    "schema_digest": "_contract",
}

__all__ = [
    "MAX_ROWS",
    "Column",
    "Contract",
    "PrivacyStatement",
    "Twin",
    "arrow_schema",
    "check_table",
    "contract_digest",
    "in_words",
    "insurance_contract",
    "insurance_contract_text",
    "insured_persons",
    "make_twin",
    "parse_contract",
    "read_contract",
    "read_table",
    "schema_digest",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ImportError as error:
        raise ProvisioningError(
            "provisioning needs libraries that are not here.",
            hint="Install manatee[provisioning].",
        ) from error
