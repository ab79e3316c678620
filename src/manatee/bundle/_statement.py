"""The run's in-toto Statement and its DSSE envelope.

The envelope is signed by an Ed25519 key made in the guest; evidence of purpose `result` binds that
key and the digest of the statement. Pre-authentication encoding: DSSE specification, "Protocol".
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from manatee.errors import BundleError, NotVerifiedError
from manatee.records import (
    MAX_JSON_BYTES,
    Base64,
    Record,
    RunPredicate,
    canonical_json,
    read_record,
    to_base64,
    unbase64,
)

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:manatee:predicate:run:v1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"

MAX_ENVELOPE_BYTES = 4 * MAX_JSON_BYTES
"""Cap of an envelope, in bytes."""


class _DigestSet(Record, frozen=True, kw_only=True, rename={"hmac_sha256": "hmacSha256"}):
    """An algorithm by a name of ours, as in-toto allows: `sha256` would promise a plain digest."""

    hmac_sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Subject(Record, frozen=True, kw_only=True):
    """One output of the run, by name and commitment."""

    name: str
    digest: _DigestSet


class Statement(Record, frozen=True, kw_only=True, rename={"type_": "_type"}):
    """in-toto Statement v1 with our one predicate."""

    type_: Literal["https://in-toto.io/Statement/v1"]
    subject: tuple[Subject, ...]
    predicateType: Literal["urn:manatee:predicate:run:v1"]  # noqa: N815  # in-toto's own name
    predicate: RunPredicate


class _Signature(Record, frozen=True, kw_only=True):
    keyid: str
    sig: Base64


class Envelope(Record, frozen=True, kw_only=True):
    """DSSE envelope with exactly one signature. `keyid` is the raw public key in hexadecimal."""

    payload: Base64
    payloadType: Literal["application/vnd.in-toto+json"]  # noqa: N815  # DSSE's own name
    signatures: Annotated[tuple[_Signature, ...], msgspec.Meta(min_length=1, max_length=1)]


def subjects(predicate: RunPredicate) -> tuple[Subject, ...]:
    """Return the subjects a statement over this predicate must have."""
    return tuple(
        Subject(
            name=entry.path,
            digest=_DigestSet(hmac_sha256=entry.commitment.removeprefix("hmac-sha256:")),
        )
        for entry in predicate.result.outputs
    )


def make_statement(predicate: RunPredicate) -> bytes:
    """Return the canonical JSON of the Statement whose subjects are the run's outputs."""
    statement: dict[str, Any] = {
        "_type": STATEMENT_TYPE,
        "subject": subjects(predicate),
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }
    return canonical_json(statement)


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes a DSSE signature covers: payload type and payload, length-prefixed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign_statement(statement: bytes, private_key: bytes) -> bytes:
    """Wrap a statement in a DSSE envelope.

    Args:
        statement: What `make_statement` returned.
        private_key: Ed25519, raw, 32 bytes.

    Returns:
        The envelope as canonical JSON.
    """
    key = Ed25519PrivateKey.from_private_bytes(private_key)
    signature = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, statement))
    return canonical_json(
        Envelope(
            payload=to_base64(statement),
            payloadType=PAYLOAD_TYPE,
            signatures=(
                _Signature(
                    keyid=key.public_key().public_bytes_raw().hex(), sig=to_base64(signature)
                ),
            ),
        )
    )


def read_statement(envelope: bytes) -> tuple[Statement, bytes, bytes]:
    """Read an envelope strictly, **without** verifying anything.

    The caller must still verify the signature (`verify_signature`) and that evidence binds both
    the returned key and the digest of the returned payload.

    Returns:
        The statement, its exact bytes, and the raw public key the envelope names.

    Raises:
        BundleError: The envelope names no Ed25519 key.
        MalformedError: It is not an envelope of ours, not canonical, or says something unknown.
    """
    parsed = read_record(envelope, Envelope, what="envelope", max_bytes=MAX_ENVELOPE_BYTES)
    payload = unbase64(parsed.payload)
    statement = read_record(payload, Statement, what="statement", max_bytes=MAX_ENVELOPE_BYTES)
    if canonical_json(statement) != payload or canonical_json(parsed) != envelope:
        raise BundleError("the envelope or its statement is not canonical JSON.")
    try:
        key = bytes.fromhex(parsed.signatures[0].keyid)
    except ValueError as error:
        raise BundleError("the envelope's key id is not a public key.") from error
    if len(key) != 32 or key.hex() != parsed.signatures[0].keyid:
        raise BundleError("the envelope's key id is not an Ed25519 public key.")
    return statement, payload, key


def verify_signature(envelope: bytes, public_key: bytes) -> None:
    """Verify the envelope's signature under a key.

    Raises:
        NotVerifiedError: It does not hold.
    """
    parsed = read_record(envelope, Envelope, what="envelope", max_bytes=MAX_ENVELOPE_BYTES)
    covered = pre_authentication_encoding(parsed.payloadType, unbase64(parsed.payload))
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            unbase64(parsed.signatures[0].sig), covered
        )
    except (InvalidSignature, ValueError) as error:
        raise NotVerifiedError("the envelope's signature does not hold.") from error
