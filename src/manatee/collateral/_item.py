"""One piece of collateral: what it is, what it is called and when it holds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from manatee.errors import InputError


class ItemKind(StrEnum):
    """What a file is. The operator says so; it is never guessed."""

    CERTIFICATE = "certificate"
    """One certificate, DER or PEM."""
    CERTIFICATE_CHAIN = "certificate-chain"
    """Several certificates, PEM; each becomes an item of its own."""
    REVOCATION_LIST = "crl"
    """A certificate revocation list, DER or PEM."""
    TDX_COLLATERAL = "tdx-collateral"
    """Intel's `QuoteCollateralV3` as one JSON object."""
    JWKS = "jwks"
    """A token issuer's keys (RFC 7517), public ones only."""
    RIM = "rim"
    """An NVIDIA reference integrity manifest, XML."""
    OCSP = "ocsp"
    """One answer on the revocation of one certificate (RFC 6960), DER."""


MAX_ITEM_BYTES = 1 << 20


@dataclass(frozen=True)
class Item:
    """A piece of collateral that parsed; whether its signature holds is for the appraisal.

    Attributes:
        kind: What it is.
        name: Name of the endorsement: `jwks/<issuer>`, `intel-tdx/<fmspc>`, `rim/<id>`,
            `ocsp/<SHA-256 of the certificate>`; for certificates the SHA-256 fingerprint, for
            revocation lists the fingerprint of the issuer's name.
        data: Exact bytes: DER for certificates and lists.
        title: For people: a subject, an issuer or the name.
        issued: When it says it was issued; None: undated.
        expires: When it says it is over; None: never, or undated.
    """

    kind: ItemKind
    name: str
    data: bytes
    title: str
    issued: datetime | None = None
    expires: datetime | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the data, lower-case hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    def age(self, at: datetime) -> timedelta | None:
        """Return how long ago it was issued, or None if it is undated."""
        return None if self.issued is None else at - self.issued

    def over(self, at: datetime) -> bool:
        """Whether its own end has passed, or its beginning has not."""
        early = self.issued is not None and at < self.issued
        return early or (self.expires is not None and at > self.expires)


def check_size(data: bytes) -> bytes:
    """Return the data.

    Raises:
        InputError: It is empty or over `MAX_ITEM_BYTES`.
    """
    if not data:
        raise InputError("the file is empty.")
    if len(data) > MAX_ITEM_BYTES:
        raise InputError(f"collateral of over {MAX_ITEM_BYTES} bytes is not read.")
    return data
