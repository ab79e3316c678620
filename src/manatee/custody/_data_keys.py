"""A data set's key and its custody: the one place that knows both manifests and custodies."""

from __future__ import annotations

from manatee.custody._interface import KeyCustody
from manatee.custody._ring import KeyRing
from manatee.errors import SealingError
from manatee.records import DatasetManifest, WrappedKey, to_base64, unbase64, wrap_context


def wrap_data_key(
    key: bytes, manifest: DatasetManifest, broker_id: str, custody: KeyCustody
) -> WrappedKey:
    """Wrap a data key for a key broker, tied to everything else in the data set's manifest.

    Raises:
        SealingError: The key has another size.
        CustodyUnavailableError: The custody did not answer.
        CustodyDeniedError: The custody refused.
    """
    wrapped = custody.wrap(key, wrap_context(manifest, broker_id))
    return WrappedKey(broker_id=broker_id, ciphertext=to_base64(wrapped))


def unwrap_data_key(manifest: DatasetManifest, custody: KeyCustody) -> bytes:
    """Unwrap the data key of a data set version.

    Raises:
        SealingError: The data set is not sealed, its manifest was changed after sealing (its
            label, for instance), or the key is another custody's.
        MalformedError: The wrapped key is not base64.
        CustodyUnavailableError: The custody did not answer.
        CustodyDeniedError: The custody refused.
    """
    blob, context = _held(manifest)
    return custody.unwrap(blob, context)


def rewrap_data_key(manifest: DatasetManifest, custody: KeyRing) -> WrappedKey:
    """Move a data set's key under the custody's newest key; the version stays. Raises as above."""
    blob, context = _held(manifest)
    if manifest.wrapped_key is None:
        raise SealingError("the data set is not sealed; it has no key.")
    return WrappedKey(
        broker_id=manifest.wrapped_key.broker_id,
        ciphertext=to_base64(custody.rewrap(blob, context)),
    )


def _held(manifest: DatasetManifest) -> tuple[bytes, bytes]:
    if manifest.wrapped_key is None:
        raise SealingError("the data set is not sealed; it has no key.")
    return (
        unbase64(manifest.wrapped_key.ciphertext),
        wrap_context(manifest, manifest.wrapped_key.broker_id),
    )
