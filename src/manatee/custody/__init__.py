"""Key custody: where the keys live under which a provider's data keys are wrapped.

`open_custody` reads a broker's `custody.json`. The default is an age identity in a file; the
others are a PKCS#11 token, AWS KMS, Google Cloud KMS, Azure Key Vault, and the transit engine of
Vault or OpenBao. Their libraries are extras and load when such a key is opened.
"""

from manatee.custody._blob import MAX_WRAPPED_BYTES
from manatee.custody._data_keys import rewrap_data_key, unwrap_data_key, wrap_data_key
from manatee.custody._interface import CustodyDescription, KeyCustody, KeyEncryptionKey
from manatee.custody._open import (
    add_key,
    create_custody,
    generate_key,
    open_custody,
    read_custody_file,
    read_key_settings,
    recipient_custody,
    retire_key,
)
from manatee.custody._ring import HeldKey, KeyRing
from manatee.custody._settings import (
    AgeSettings,
    AwsKmsSettings,
    AzureKeyVaultSettings,
    CustodyFile,
    GcpKmsSettings,
    KeySettings,
    Pkcs11Settings,
    VaultTransitSettings,
)

__all__ = [
    "MAX_WRAPPED_BYTES",
    "AgeSettings",
    "AwsKmsSettings",
    "AzureKeyVaultSettings",
    "CustodyDescription",
    "CustodyFile",
    "GcpKmsSettings",
    "HeldKey",
    "KeyCustody",
    "KeyEncryptionKey",
    "KeyRing",
    "KeySettings",
    "Pkcs11Settings",
    "VaultTransitSettings",
    "add_key",
    "create_custody",
    "generate_key",
    "open_custody",
    "read_custody_file",
    "read_key_settings",
    "recipient_custody",
    "retire_key",
    "rewrap_data_key",
    "unwrap_data_key",
    "wrap_data_key",
]
