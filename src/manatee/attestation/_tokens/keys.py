"""Issuers' published keys (RFC 7517), from the relying party's own collateral."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from manatee.attestation._endorsements import Endorsements
from manatee.errors import AppraisalRefusedError, AppraisalUnavailableError, MalformedError
from manatee.records import parse_json

DOCUMENT = "jwks/"
"""Prefix of the endorsement's name; the issuer's exact address follows."""

MAX_KEYS = 64
MAX_KEY_ID = 200
_MIN_RSA_BITS = 2048

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


def _number(value: Any) -> int:
    if not isinstance(value, str):
        raise MalformedError("a published key lacks a number.")
    try:
        return int.from_bytes(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)), "big")
    except ValueError as error:
        raise MalformedError("a published key's number is not base64url.") from error


def _key(jwk: dict[str, Any]) -> PublicKey:
    try:
        if jwk.get("kty") == "RSA":
            key: PublicKey = rsa.RSAPublicNumbers(
                _number(jwk.get("e")), _number(jwk.get("n"))
            ).public_key()
            if key.key_size < _MIN_RSA_BITS:
                raise MalformedError("a published RSA key is too short.")
            return key
        if jwk.get("kty") == "EC" and jwk.get("crv") == "P-384":
            x, y = _number(jwk.get("x")), _number(jwk.get("y"))
            return ec.EllipticCurvePublicNumbers(x, y, ec.SECP384R1()).public_key()
    except ValueError as error:
        raise MalformedError("a published key is not one.") from error
    raise MalformedError("a published key is neither RSA nor P-384.")


def find_key(endorsements: Endorsements, issuer: str, key_id: str) -> PublicKey:
    """Return the key of an issuer by its exact id.

    Only what the relying party keeps for that issuer is looked at; an address in a token is never
    asked, and an id is compared, never opened or searched for.

    Raises:
        AppraisalUnavailableError: The issuer's keys are not at hand.
        AppraisalRefusedError: It has no key of that id.
        MalformedError: The published keys cannot be read.
    """
    document = endorsements.documents.get(DOCUMENT + issuer)
    if document is None:
        raise AppraisalUnavailableError(
            f"the published keys of {issuer} are missing.",
            hint="Fetch them into the collateral cache: manatee attest collateral fetch.",
        )
    parsed = parse_json(document)
    keys = parsed.get("keys") if isinstance(parsed, dict) else None
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise MalformedError("published keys are a list of at most 64.")
    found = [item for item in keys if isinstance(item, dict) and item.get("kid") == key_id]
    if not key_id or len(key_id) > MAX_KEY_ID or len(found) != 1:
        raise AppraisalRefusedError("the issuer has no key, or several, of the token's key id.")
    return _key(found[0])
