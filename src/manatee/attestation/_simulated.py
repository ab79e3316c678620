"""NOT A TEE: simulated evidence, so that everything else can be built and tried anywhere.

It proves nothing about hardware, isolation or who runs the machine. It has its own media type and
magic, an Ed25519 key below a per-installation authority named "NOT A TEE", and imitates no bytes
of any real device. Key brokers refuse it unless a setting whose name says insecure is on, and its
tier is the lowest there is.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from manatee._clock import Clock, parse_timestamp, timestamp
from manatee.attestation._endorsements import Endorsements
from manatee.attestation._expected import ExpectedBinding
from manatee.attestation._interface import AttestationResult, Check, Claims, Mark, check
from manatee.attestation._reference import ReferenceValues
from manatee.errors import AttestationError, MalformedError
from manatee.records import (
    MAX_EVIDENCE_BYTES,
    Base64,
    Digest,
    DigestText,
    Evidence,
    Record,
    Tier,
    canonical_json,
    length_prefixed,
    read_record,
    to_base64,
    unbase64,
)
from manatee.records._base import Moment

KIND = "simulated"
MEDIA_TYPE = "application/vnd.manatee.not-a-tee.simulated-evidence+json"
MAGIC: Final = "NOT A TEE - simulated evidence - proves nothing about hardware"
AUTHORITY = "NOT A TEE - simulated authority of one installation"
DEVICE = "NOT A TEE - simulated device"

CLOCK_SKEW_SECONDS = 60
"""How far in the future evidence may be dated."""

_ED25519_BIT_STRING: Final = b"\x03\x41\x00"
"""DER of what stands before 64 bytes of signature: a bit string without unused bits."""

_CERTIFICATE_LIFE = timedelta(days=3650)


class SimulatedClaims(Record, frozen=True, kw_only=True):
    """What the host that started the guest measured."""

    runtime_digest: DigestText
    job_digest: DigestText
    debug: bool


class _Body(Record, frozen=True, kw_only=True):
    magic: Literal["NOT A TEE - simulated evidence - proves nothing about hardware"]
    format_version: Literal[1]
    claims: SimulatedClaims
    report_data: Base64
    issued_at: Moment


class _Report(Record, frozen=True, kw_only=True):
    body: _Body
    device_certificate: Base64
    authority_certificate: Base64
    signature: Base64


def _signed_bytes(body: _Body) -> bytes:
    return length_prefixed("manatee-not-a-tee/v1", canonical_json(body))


class SimulatedDevice:
    """Stands where a TEE's quoting hardware stands. Kept outside the guest, by its host."""

    def __init__(
        self,
        key: Ed25519PrivateKey,
        device: x509.Certificate,
        authority: x509.Certificate,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._key = key
        self._device = device
        self._authority = authority

    @classmethod
    def open(cls, folder: Path, clock: Clock) -> SimulatedDevice:
        """Read an installation's simulated device, or make it on first use.

        Effects: writes three files into `folder`, the keys readable by their owner alone.

        Raises:
            AttestationError: The folder holds something else.
        """
        try:
            with _locked(folder):
                if not (folder / "device.key").exists():
                    _make_device(folder, clock())
            key = serialization.load_pem_private_key(
                (folder / "device.key").read_bytes(), password=None
            )
            device = x509.load_pem_x509_certificate((folder / "device.pem").read_bytes())
            authority = x509.load_pem_x509_certificate((folder / "authority.pem").read_bytes())
        except (OSError, ValueError) as error:
            raise AttestationError(
                f"the simulated device in {folder} cannot be read.",
                hint="Remove the folder to make a new one; older run bundles keep their root.",
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise AttestationError("the simulated device's key is not Ed25519.")
        if key.public_key() != device.public_key() or not _holds(device, authority):
            raise AttestationError(
                f"the files of the simulated device in {folder} do not belong together.",
                hint="Remove the folder to make a new one; older run bundles keep their root.",
            )
        return cls(key, device, authority, clock)

    def root(self) -> bytes:
        """Return the authority's certificate, DER: what a relying party pins."""
        return self._authority.public_bytes(serialization.Encoding.DER)

    def quote(self, data: bytes, claims: SimulatedClaims) -> Evidence:
        """Sign 64 bytes of report data with what was measured.

        Raises:
            AttestationError: `data` is not 64 bytes.
        """
        if len(data) != 64:
            raise AttestationError("report data must be 64 bytes.")
        body = _Body(
            magic=MAGIC,
            format_version=1,
            claims=claims,
            report_data=to_base64(data),
            issued_at=timestamp(self._clock()),
        )
        report = _Report(
            body=body,
            device_certificate=to_base64(self._device.public_bytes(serialization.Encoding.DER)),
            authority_certificate=to_base64(self.root()),
            signature=to_base64(self._key.sign(_signed_bytes(body))),
        )
        return Evidence(media_type=MEDIA_TYPE, payload=to_base64(canonical_json(report)))


def _certificate(
    subject: str, issuer: str, key: Ed25519PublicKey, signer: Ed25519PrivateKey, now: datetime
) -> x509.Certificate:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _CERTIFICATE_LIFE)
        .add_extension(x509.BasicConstraints(ca=subject == issuer, path_length=None), critical=True)
        .sign(signer, None)
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder: guests may start at once, and only one may make the device."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_device(folder: Path, now: datetime) -> None:
    authority_key = Ed25519PrivateKey.generate()
    device_key = Ed25519PrivateKey.generate()
    authority = _certificate(AUTHORITY, AUTHORITY, authority_key.public_key(), authority_key, now)
    device = _certificate(DEVICE, AUTHORITY, device_key.public_key(), authority_key, now)
    pem = serialization.Encoding.PEM
    key_pem = device_key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # the key comes last: its presence says that the folder is complete
    for file_name, data in (
        ("authority.pem", authority.public_bytes(pem)),
        ("device.pem", device.public_bytes(pem)),
        ("device.key", key_pem),
    ):
        temporary = folder / f".{file_name}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            os.fsync(stream.fileno())
        temporary.replace(folder / file_name)


def _read_certificate(text: str) -> x509.Certificate:
    """Read a certificate wholly: the library parses lazily, and raises what it likes later."""
    try:
        encoded = unbase64(text)
        certificate = x509.load_der_x509_certificate(encoded)
        certificate.public_key()
        _ = certificate.extensions, certificate.not_valid_before_utc
        _ = certificate.not_valid_after_utc
        if certificate.serial_number <= 0:
            raise MalformedError("simulated evidence holds a certificate without serial number.")
        # the library overlooks a bit string's count of unused bits, outside of what is signed
        if not encoded.endswith(_ED25519_BIT_STRING + certificate.signature):
            raise MalformedError("simulated evidence holds a certificate not signed by Ed25519.")
    except (
        ValueError,
        TypeError,
        OverflowError,
        CryptographyDeprecationWarning,  # an error where the process makes warnings errors
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise MalformedError("simulated evidence holds a bad certificate.") from error
    return certificate


def _holds(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


class SimulatedVerifier:
    """Appraises simulated evidence. Whatever it finds, the tier is SIMULATED."""

    kind = KIND
    media_type = MEDIA_TYPE
    tier = Tier.SIMULATED

    def appraise(
        self,
        evidence: Evidence,
        *,
        at: datetime,
        expected_binding: ExpectedBinding,
        reference_values: ReferenceValues,
        endorsements: Endorsements,
        max_age_seconds: int | None,
    ) -> AttestationResult:
        """See `Verifier.appraise`; the checks are numbered below."""
        payload = unbase64(evidence.payload)
        report = read_record(
            payload, _Report, what="simulated evidence", max_bytes=MAX_EVIDENCE_BYTES
        )
        if canonical_json(report) != payload:
            raise MalformedError("simulated evidence is not in canonical JSON.")
        device = _read_certificate(report.device_certificate)
        authority = _read_certificate(report.authority_certificate)
        try:
            issued_at = parse_timestamp(report.body.issued_at)
        except ValueError as error:
            raise MalformedError("simulated evidence holds an impossible time.") from error

        body = report.body
        roots = reference_values.roots.get(KIND, ())
        age = (at - issued_at).total_seconds()
        fresh = age >= -CLOCK_SKEW_SECONDS and (max_age_seconds is None or age <= max_age_seconds)
        checks: tuple[Check, ...] = (
            # 1. the device signed this body
            check(
                "signature",
                "Evidence is signed by its device",
                self._signed(device, report),
                good="the signature over the claims holds",
                bad="the signature over the claims does not hold",
            ),
            # 2. the device belongs to an authority that the reader pinned
            check(
                "root",
                "Device belongs to a trusted installation",
                _holds(device, authority)
                and _holds(authority, authority)
                and _is_authority(authority)
                and not _is_authority(device)
                and all(
                    certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc
                    for certificate in (device, authority)
                )
                and report.authority_certificate in roots,
                good="the chain ends in a pinned root named NOT A TEE",
                bad="the chain does not end in a root pinned for simulated evidence",
            ),
            # 3. it is neither old nor from the future
            check(
                "freshness",
                "Evidence is fresh",
                fresh,
                good=f"issued {body.issued_at}",
                bad=f"issued {body.issued_at}, which is too old or in the future",
            ),
            # 4. it was made for this session, job and purpose
            check(
                "binding",
                "Evidence is bound to this session",
                expected_binding.in_report_data(unbase64(body.report_data)),
                good="report data is the hash of purpose, audience, nonce, job and session key",
                bad="report data is not the hash of this purpose, audience, nonce, job and key",
            ),
            # 5. nobody can look into the guest
            check(
                "debug",
                "Guest is not debuggable",
                body.claims.debug is False,
                good="debugging is off",
                bad="the guest was started with debugging on",
            ),
            # 6. what runs is known
            check(
                "runtime",
                "Runtime is a known one",
                body.claims.runtime_digest in reference_values.runtime_digests,
                good=f"measured {body.claims.runtime_digest}",
                bad="the measured runtime is not among the reference values",
            ),
        )
        signed = checks[0].mark is checks[1].mark is Mark.PASSED
        claims = Claims(
            runtime_digest=Digest(body.claims.runtime_digest),
            job_digest=Digest(body.claims.job_digest),
            debug=body.claims.debug,
            issued_at=issued_at,
        )
        return AttestationResult(KIND, self.tier, claims if signed else None, checks)

    @staticmethod
    def _signed(device: x509.Certificate, report: _Report) -> bool:
        key = device.public_key()
        if not isinstance(key, Ed25519PublicKey):
            return False
        try:
            key.verify(unbase64(report.signature), _signed_bytes(report.body))
        except InvalidSignature:
            return False
        return True
