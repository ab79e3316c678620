"""The key management that pyarrow's Parquet encryption asks for, kept inside the process.

A data set has one 256-bit data key. Every Parquet file has fresh 256-bit keys of its own, one for
the footer and one per leaf column (Parquet modular encryption, AES-GCM); they stand in the file,
wrapped by AES-256-GCM under the data key, with the key id (`footer` or `columns`) as associated
data. So a wrapped column key can never be taken for a footer key, and nothing leaves the process.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import Any

import pyarrow.parquet.encryption as pe
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from manatee.errors import SealingError
from manatee.records import DATA_KEY_BYTES

FOOTER_KEY_ID = "footer"
COLUMN_KEY_ID = "columns"
_NONCE_BYTES = 12
"""NIST SP 800-38D, section 8.2.2: a random 96-bit nonce."""


class KeyRefusedError(SealingError):
    """The key asked for is one this client was told to withhold; used by the plaintext scan."""


class _DataKeyClient(pe.KmsClient):  # type: ignore[misc]  # pyarrow is untyped
    def __init__(self, key: bytes, withheld: frozenset[str]) -> None:
        super().__init__()
        self._cipher = AESGCM(key)
        self._withheld = withheld

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, key_bytes, master_key_identifier.encode())
        return base64.b64encode(nonce + sealed).decode()

    def unwrap_key(self, wrapped_key: str, master_key_identifier: str) -> bytes:
        if master_key_identifier in self._withheld:
            raise KeyRefusedError("this key is withheld.")
        if master_key_identifier not in {FOOTER_KEY_ID, COLUMN_KEY_ID}:
            raise SealingError("the file asks for a key nobody made.")
        try:
            sealed = base64.b64decode(wrapped_key, validate=True)
            nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            return self._cipher.decrypt(nonce, ciphertext, master_key_identifier.encode())
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise SealingError("the data key does not open this file.") from error


def _factory(key: bytes, withheld: frozenset[str]) -> pe.CryptoFactory:
    if len(key) != DATA_KEY_BYTES:
        raise SealingError(f"a data key has {DATA_KEY_BYTES} bytes.")
    client = _DataKeyClient(key, withheld)
    return pe.CryptoFactory(lambda _configuration: client)


def encryption(key: bytes, leaf_columns: list[str]) -> Any:
    """Return what a Parquet writer needs. Columns not in `leaf_columns` would be plaintext."""
    configuration = pe.EncryptionConfiguration(
        footer_key=FOOTER_KEY_ID,
        column_keys={COLUMN_KEY_ID: leaf_columns},
        encryption_algorithm="AES_GCM_V1",
        plaintext_footer=False,
        double_wrapping=False,
        internal_key_material=True,
        data_key_length_bits=256,
    )
    return _factory(key, frozenset()).file_encryption_properties(
        pe.KmsConnectionConfig(), configuration
    )


def decryption(key: bytes, *, withheld: frozenset[str] = frozenset()) -> Any:
    """Return what a Parquet reader needs; key ids in `withheld` are refused.

    A reader given these also reads a file that is *not* encrypted: check the magic first.
    """
    return _factory(key, withheld).file_decryption_properties(
        pe.KmsConnectionConfig(), pe.DecryptionConfiguration()
    )
