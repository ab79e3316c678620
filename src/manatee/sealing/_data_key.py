"""The one key of a sealed data set."""

import secrets

from manatee.records import DATA_KEY_BYTES


def new_data_key() -> bytes:
    """Return a fresh 256-bit data key from the operating system; one per data set version."""
    return secrets.token_bytes(DATA_KEY_BYTES)
