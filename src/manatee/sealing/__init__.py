"""Sealing: data keys in transit under HPKE; tables and outputs at rest."""

from manatee.sealing._hpke import (
    DATA_KEY_BYTES,
    new_session_keys,
    open_from_session,
    public_of,
    seal_to_session,
    unwrap_key,
    wrap_key,
)

__all__ = [
    "DATA_KEY_BYTES",
    "new_session_keys",
    "open_from_session",
    "public_of",
    "seal_to_session",
    "unwrap_key",
    "wrap_key",
]
