"""`custody.json`: which keys there are and where.

Never a secret: those stand in files of their own, which are named here, or come from the cloud's
own credential chain.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from manatee.records import Record
from manatee.records._base import Name
from manatee.records._forms import form

Place = Annotated[
    str, form(r"^[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?\Z", "printable ASCII text")
]
"""Label, path, resource name or region, as its place knows it."""

Url = Annotated[
    str,
    form(
        r"^(?:https://[A-Za-z0-9.:\[\]-]{1,253}|http://(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?)"
        r"(?:/[A-Za-z0-9._~%/-]{0,1024})?\Z",
        "an https:// address (http:// only on this machine), without user, query or fragment",
    ),
]


class AgeSettings(Record, frozen=True, kw_only=True, tag_field="kind", tag="age"):
    """A local age identity."""

    id: Name
    recipient: Place
    identity_file: Place | None = None
    """Relative to the folder of `custody.json`; absent where data keys are only wrapped."""
    retired: bool = False


class Pkcs11Settings(Record, frozen=True, kw_only=True, tag_field="kind", tag="pkcs11"):
    """An AES-256 key in a PKCS#11 token."""

    id: Name
    module: Place
    """Path of the vendor's PKCS#11 library."""
    token: Place
    """Label of the token."""
    key_label: Place
    pin_file: Place
    retired: bool = False


class AwsKmsSettings(Record, frozen=True, kw_only=True, tag_field="kind", tag="aws-kms"):
    """A symmetric AWS KMS key; credentials come from the AWS SDK's own chain."""

    id: Name
    key_arn: Place
    region: Place
    profile: Place | None = None
    endpoint: Url | None = None
    retired: bool = False


class GcpKmsSettings(Record, frozen=True, kw_only=True, tag_field="kind", tag="gcp-kms"):
    """A symmetric Google Cloud KMS key; credentials: a key file, or Google's own chain."""

    id: Name
    key_name: Place
    """`projects/…/locations/…/keyRings/…/cryptoKeys/…`."""
    credentials_file: Place | None = None
    endpoint: Url | None = None
    retired: bool = False


class AzureKeyVaultSettings(
    Record, frozen=True, kw_only=True, tag_field="kind", tag="azure-key-vault"
):
    """An RSA key in Azure Key Vault; credentials come from Azure's own chain."""

    id: Name
    key_url: Url
    """`https://VAULT.vault.azure.net/keys/NAME/VERSION`, with its version."""
    ca_file: Place | None = None
    retired: bool = False


class VaultTransitSettings(
    Record, frozen=True, kw_only=True, tag_field="kind", tag="vault-transit"
):
    """An AES-256-GCM key in the transit engine of Vault or OpenBao."""

    id: Name
    url: Url
    key_name: Place
    token_file: Place
    mount: Place = "transit"
    namespace: Place | None = None
    ca_file: Place | None = None
    retired: bool = False


KeySettings = (
    AgeSettings
    | Pkcs11Settings
    | AwsKmsSettings
    | GcpKmsSettings
    | AzureKeyVaultSettings
    | VaultTransitSettings
)


class CustodyFile(Record, frozen=True, kw_only=True):
    """The whole of `custody.json`; keys oldest first."""

    format_version: Literal[1] = 1
    keys: Annotated[tuple[KeySettings, ...], msgspec.Meta(min_length=1, max_length=100)]
