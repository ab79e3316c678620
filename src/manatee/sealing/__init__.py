"""Sealing: data keys in transit under HPKE; tables and outputs at rest.

The functions on tables need pyarrow, which a key broker does without: they load when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from manatee.errors import SealingError
from manatee.records import DATA_KEY_BYTES
from manatee.sealing._data_key import new_data_key
from manatee.sealing._hpke import (
    new_session_keys,
    open_from_session,
    public_of,
    seal_to_session,
)
from manatee.sealing._outputs import (
    MAX_SEALED_BYTES,
    check_recipient,
    new_identity,
    open_outputs,
    recipient_of,
    seal_outputs,
)

if TYPE_CHECKING:
    from manatee.sealing._tables import TABLE_FILE, seal_table, unseal_to_arrow, write_plain

_WITH_PYARROW = frozenset({"TABLE_FILE", "seal_table", "unseal_to_arrow", "write_plain"})

__all__ = [
    "DATA_KEY_BYTES",
    "MAX_SEALED_BYTES",
    "TABLE_FILE",
    "check_recipient",
    "new_data_key",
    "new_identity",
    "new_session_keys",
    "open_from_session",
    "open_outputs",
    "public_of",
    "recipient_of",
    "seal_outputs",
    "seal_table",
    "seal_to_session",
    "unseal_to_arrow",
    "write_plain",
]


def __getattr__(name: str) -> Any:
    if name not in _WITH_PYARROW:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module("manatee.sealing._tables"), name)
    except ImportError as error:
        raise SealingError(
            "tables need pyarrow.", hint="Install manatee[provisioning] or manatee[guest]."
        ) from error
