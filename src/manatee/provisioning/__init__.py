"""Stage-one data: tables held to contracts, and twins with a privacy statement.

One room each: `tables` reads, `counting` counts, `noise` adds noise, `estimation` and `synthesis`
learn one table, `relational` a whole contract, `pets` treats columns, `reports` and `attacks` look
at what came out, `runs` joins them. The names here are the one-call forms; they need libraries that
take seconds to load, so they load when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from manatee.errors import ProvisioningError

if TYPE_CHECKING:
    from manatee.provisioning._comparison import comparison_order
    from manatee.provisioning._insurance import (
        insurance_contract,
        insurance_contract_text,
        insurance_spec_text,
        insured_persons,
    )
    from manatee.provisioning.runs._one_call import Twin, make_twin
    from manatee.provisioning.runs._read_table import read_table
    from manatee.provisioning.runs._statement import PrivacyStatement, in_words

_HOMES = {
    "PrivacyStatement": "runs._statement",
    "Twin": "runs._one_call",
    "comparison_order": "_comparison",
    "in_words": "runs._statement",
    "insurance_contract": "_insurance",
    "insurance_contract_text": "_insurance",
    "insurance_spec_text": "_insurance",
    "insured_persons": "_insurance",
    "make_twin": "runs._one_call",
    "read_table": "runs._read_table",
}

__all__ = [
    "PrivacyStatement",
    "Twin",
    "comparison_order",
    "in_words",
    "insurance_contract",
    "insurance_contract_text",
    "insurance_spec_text",
    "insured_persons",
    "make_twin",
    "read_table",
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
