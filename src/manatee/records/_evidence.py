"""Evidence, what it binds, and what the key broker is asked and answers (RFC 9334 roles)."""

import hashlib
from typing import Annotated, Literal

import msgspec

from manatee.records._base import Base64, Moment, Name, Record
from manatee.records._datasets import DatasetManifest
from manatee.records._digests import DigestText, length_prefixed, raw_digest
from manatee.records._jobs import JobManifest, SignedApproval

Purpose = Literal["key-release", "result"]

NONCE_BYTES = 32
MAX_EVIDENCE_BYTES = 64 << 10

RESULT_AUDIENCE = "anyone"
"""Stands for the broker id in a binding of purpose `result`, which is for every reader."""


class Endorsement(Record, frozen=True, kw_only=True):
    """A vendor's statement that came with evidence: a certificate, or a named document."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    payload: Base64


class Evidence(Record, frozen=True, kw_only=True):
    """Signed claims of a guest, kept byte for byte as the device made them.

    Attributes:
        media_type: Names the kind; nothing is ever guessed from the payload.
        payload: The device's bytes.
        endorsements: What the guest had at hand of its vendor's statements. They are signed by
            others, so whoever relays may add or change them and gains nothing.
    """

    media_type: Annotated[str, msgspec.Meta(max_length=200)]
    payload: Base64
    endorsements: Annotated[tuple[Endorsement, ...], msgspec.Meta(max_length=16)] = ()


def binding(
    *, purpose: Purpose, audience: str, nonce: bytes, job_digest: str, session_key: bytes
) -> bytes:
    """Return the bytes evidence must carry (hashed as its kind demands).

    Args:
        purpose: `key-release` evidence can never stand in for `result` evidence.
        audience: The broker's id, or `RESULT_AUDIENCE`.
        nonce: 32 bytes: the broker's, or for `result` the digest of the run statement.
        job_digest: The job.
        session_key: Public key made in the guest for this session: X25519 for `key-release`,
            Ed25519 for `result`; raw, 32 bytes.
    """
    return length_prefixed(
        "manatee-binding/v1", purpose, audience, nonce, raw_digest(job_digest), session_key
    )


def report_data(bound: bytes) -> bytes:
    """Return the 64 bytes that SNP, TDX and simulated reports carry: SHA-512 of the binding."""
    return hashlib.sha512(bound).digest()


def evidence_nonce(bound: bytes) -> bytes:
    """Return the 32 bytes that TPM, Nitro and GPU evidence carries: SHA-256 of the binding."""
    return hashlib.sha256(bound).digest()


class ChallengeRequest(Record, frozen=True, kw_only=True):
    """Body of `POST /v1/challenge`."""

    kind: str
    job_digest: DigestText


class Challenge(Record, frozen=True, kw_only=True):
    """A nonce, good once and only until `expires_at` (at most 120 s)."""

    nonce: Base64
    broker_id: Name
    expires_at: Moment


class ReleaseRequest(Record, frozen=True, kw_only=True):
    """Body of `POST /v1/release`. Nothing in it is believed before it is checked."""

    nonce: Base64
    job_digest: DigestText
    attempt: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    session_key: Base64
    evidence: Annotated[tuple[Evidence, ...], msgspec.Meta(min_length=1, max_length=4)]
    manifest: JobManifest
    datasets: Annotated[tuple[DatasetManifest, ...], msgspec.Meta(min_length=1, max_length=32)]
    approvals: Annotated[tuple[SignedApproval, ...], msgspec.Meta(max_length=64)]


class ReleasedKey(Record, frozen=True, kw_only=True):
    """One data key under HPKE to the session key; `info` is `release_context`."""

    dataset_version: DigestText
    ciphertext: Base64


class ReleaseAnswer(Record, frozen=True, kw_only=True):
    """What a broker answers to an approved run."""

    broker_id: Name
    keys: tuple[ReleasedKey, ...]
    tier: str
    insecure_settings: tuple[str, ...]
    """Settings the broker was started with whose name says insecure; shown everywhere."""
    decided_at: Moment
    """When the broker decided, by its own clock: dates a run whose evidence is undated."""
    decision: Base64
    """The decision as it stands in the broker's log, byte for byte."""
    log_proof: Annotated[str, msgspec.Meta(max_length=64 << 10)]
    """Proof (C2SP tlog-proof) that the decision is in the log."""


def release_context(
    *,
    broker_id: str,
    nonce: bytes,
    job_digest: str,
    dataset_version: str,
    evidence_digest: bytes,
    tier: str,
    decided_at: str,
    insecure_settings: tuple[str, ...],
) -> bytes:
    """Return the HPKE `info` of a released key.

    A host that relays the answer and changes what it says of tier, time or settings thereby makes
    a key that does not open.

    Args:
        broker_id: Who released.
        nonce: The challenge's 32 bytes.
        job_digest: The job.
        dataset_version: Whose key this is.
        evidence_digest: SHA-256 over the length-prefixed evidence payloads.
        tier: As the answer states it.
        decided_at: As the answer states it.
        insecure_settings: As the answer states them.
    """
    return length_prefixed(
        "manatee-release/v1",
        broker_id,
        nonce,
        raw_digest(job_digest),
        raw_digest(dataset_version),
        evidence_digest,
        tier,
        decided_at,
        *insecure_settings,
    )


def evidence_digest(evidence: tuple[Evidence, ...]) -> bytes:
    """Return SHA-256 over media types and payloads, in order."""
    framed = b"".join(length_prefixed(item.media_type, item.payload) for item in evidence)
    return hashlib.sha256(framed).digest()
