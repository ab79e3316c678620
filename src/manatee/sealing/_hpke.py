"""Data keys in transit, under HPKE (RFC 9180): X25519, HKDF-SHA256, AES-256-GCM.

A key broker seals a data key to one guest session, tied by `info` to everything that session is
about (`records.release_context`). Data keys at rest are `manatee.custody`'s business.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from manatee.errors import SealingError
from manatee.records import DATA_KEY_BYTES

_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def new_session_keys() -> tuple[bytes, bytes]:
    """Make an X25519 pair from the operating system's randomness.

    Returns:
        Private and public key, raw, 32 bytes each.
    """
    private = X25519PrivateKey.generate()
    return private.private_bytes_raw(), private.public_key().public_bytes_raw()


def public_of(private_key: bytes) -> bytes:
    """Return the raw public key of a raw X25519 private key."""
    return _private(private_key).public_key().public_bytes_raw()


def _private(raw: bytes) -> X25519PrivateKey:
    try:
        return X25519PrivateKey.from_private_bytes(raw)
    except ValueError as error:
        raise SealingError("a private key must be 32 bytes of X25519.") from error


def _public(raw: bytes) -> X25519PublicKey:
    try:
        return X25519PublicKey.from_public_bytes(raw)
    except ValueError as error:
        raise SealingError("a public key must be 32 bytes of X25519.") from error


def seal_to_session(key: bytes, session_public: bytes, info: bytes) -> bytes:
    """Encrypt a data key to a session's public key.

    Raises:
        SealingError: The public key is not one, or lies in a small subgroup.
    """
    try:
        return _SUITE.encrypt(key, _public(session_public), info=info)
    except ValueError as error:
        raise SealingError("the session key cannot be sealed to.") from error


def open_from_session(ciphertext: bytes, session_private: bytes, info: bytes) -> bytes:
    """Decrypt what `seal_to_session` made with the same `info`.

    Raises:
        SealingError: Another key, another `info`, or damaged bytes.
    """
    try:
        key = _SUITE.decrypt(ciphertext, _private(session_private), info=info)
    except (InvalidTag, ValueError) as error:
        raise SealingError("a key did not open: it was sealed for something else.") from error
    if len(key) != DATA_KEY_BYTES:
        raise SealingError(f"a data key must be {DATA_KEY_BYTES} bytes.")
    return key
