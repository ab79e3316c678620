"""The certificate chain in a token's header (`x5c`, RFC 7515), up to Google's pinned root."""

from __future__ import annotations

import base64
from datetime import datetime

from manatee.attestation._certificates import Path, build_path, read_certificate
from manatee.attestation._tokens.jwt import need
from manatee.attestation._vendor_roots import der, vendor_chain
from manatee.errors import AppraisalRefusedError, MalformedError
from manatee.records import Base64, unbase64

ROOT_SHA256 = "148b293821bb0c6a317f413c8ba475814091cb22d49b9e3c94198db8e8f86c39"
MAX_CHAIN = 4


def path_of(x5c: object, roots: tuple[Base64, ...] | None, at: datetime) -> Path:
    """Build the path of a token's chain: leaf, intermediates and the pinned root, in order.

    Args:
        x5c: As it stands in the header.
        roots: What replaces Google's root, or None.
        at: The moment all certificates must be valid at.

    Raises:
        AppraisalRefusedError: There is no such path.
        MalformedError: A certificate cannot be read.
    """
    if not isinstance(x5c, list) or not 2 <= len(x5c) <= MAX_CHAIN:
        raise AppraisalRefusedError("the token's chain has a leaf, an intermediate and a root.")
    chain = [read_certificate(_decode(item)) for item in x5c]
    if roots is None:
        pinned = [der(vendor_chain("_tokens", "confidential-space.pem", ROOT_SHA256)[-1])]
    else:
        pinned = [unbase64(item) for item in roots]
    need(der(chain[-1]) in pinned, "the token's chain does not end in a pinned root.")
    return build_path(chain[0], chain[1:], pinned, at=at)


def _decode(item: object) -> bytes:
    if not isinstance(item, str):
        raise MalformedError("the token's chain must be texts.")
    try:
        return base64.b64decode(item, validate=True)
    except ValueError as error:
        raise MalformedError("the token's chain is not base64.") from error
