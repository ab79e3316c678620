"""The context inside the plaintext, for places whose encryption has no associated data.

The plaintext is the data key followed by the binding: 64 bytes, which fit into RSA-OAEP with
SHA-256 from 2048 bits on. The place's own encryption must be non-malleable (age: ChaCha20-
Poly1305; OAEP), or the two halves could be taken apart.
"""

from __future__ import annotations

import hmac

from manatee.errors import SealingError
from manatee.records import DATA_KEY_BYTES


def with_binding(data_key: bytes, binding: bytes) -> bytes:
    """Return the plaintext to encrypt: data key, then binding."""
    return data_key + binding


def without_binding(plaintext: bytes, binding: bytes) -> bytes:
    """Return the data key of a plaintext that carries this binding.

    Raises:
        SealingError: Another binding, or another length.
    """
    # a plaintext of another length fails here too: what follows the key must be the binding
    if not hmac.compare_digest(plaintext[DATA_KEY_BYTES:], binding):
        raise SealingError("a data key did not open: it was wrapped for something else.")
    return plaintext[:DATA_KEY_BYTES]
