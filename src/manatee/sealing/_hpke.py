"""Data keys in transit, under HPKE (RFC 9180): X25519, HKDF-SHA256, AES-256-GCM.

Two uses, told apart by `info`: a provider wraps a data key for its key broker
(`records.wrap_context`), and the broker seals it to one guest session (`records.release_context`).
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from manatee.errors import SealingError
from manatee.records import DatasetManifest, WrappedKey, to_base64, unbase64, wrap_context

DATA_KEY_BYTES = 32

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


def wrap_key(
    key: bytes, manifest: DatasetManifest, broker_id: str, broker_public_key: bytes
) -> WrappedKey:
    """Wrap a data key for a key broker, tied to everything else in the data set's manifest.

    Raises:
        SealingError: The key or the broker's public key has the wrong form.
    """
    if len(key) != DATA_KEY_BYTES:
        raise SealingError(f"a data key must be {DATA_KEY_BYTES} bytes.")
    sealed = seal_to_session(key, broker_public_key, wrap_context(manifest, broker_id))
    return WrappedKey(broker_id=broker_id, ciphertext=to_base64(sealed))


def unwrap_key(manifest: DatasetManifest, broker_private_key: bytes) -> bytes:
    """Unwrap the data key of a data set version.

    Raises:
        SealingError: The data set is not sealed, its manifest was changed after sealing (its
            label, for instance), or the key is another broker's.
    """
    if manifest.wrapped_key is None:
        raise SealingError("the data set is not sealed; it has no key.")
    info = wrap_context(manifest, manifest.wrapped_key.broker_id)
    return open_from_session(unbase64(manifest.wrapped_key.ciphertext), broker_private_key, info)
