"""Whether NVIDIA revoked a certificate: its OCSP answers (RFC 6960), which come as endorsements.

An answer for a certificate is the document `ocsp/<SHA-256 of the certificate's DER>`. It is signed,
so the guest may bring it; how old it may be is for the relying party to say.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from manatee.attestation._certificates import issued_by, read_certificate
from manatee.attestation._vendor_roots import der
from manatee.errors import AppraisalRefusedError, MalformedError

DOCUMENT = "ocsp/"
"""Prefix of an answer's name among the endorsements."""

MAX_ANSWER_BYTES = 16 << 10
CLOCK_SKEW = timedelta(seconds=60)
UNSTATED_LIFE = timedelta(hours=1)
"""How long an answer holds that does not say: what NVIDIA's own verifier takes."""

_SIGNATURE_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


@dataclass(frozen=True)
class Missing:
    """A certificate whose status is not known now, and why, in words."""

    name: str
    reason: str


def answer_name(certificate: x509.Certificate) -> str:
    """Return the name under which the answer for a certificate is looked for."""
    return DOCUMENT + hashlib.sha256(der(certificate)).hexdigest()


def answered(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    documents: Mapping[str, bytes],
    *,
    at: datetime,
    max_age: timedelta,
) -> datetime | Missing:
    """Return when the issuer last said that a certificate is good.

    What was revoked, or put on hold, stays so when the answer is out of date.

    Args:
        certificate: Whose status is asked.
        issuer: Who issued it.
        documents: Endorsements by name.
        at: The moment the answer must hold at.
        max_age: Oldest answer accepted, whatever the answer says.

    Raises:
        AppraisalRefusedError: It is revoked, on hold or unknown; or the answer is not by the
            issuer or somebody it appointed, or is for another certificate.
        MalformedError: The answer cannot be read.
    """
    data = documents.get(answer_name(certificate))
    if data is None:
        return Missing(answer_name(certificate), "no answer on its revocation is at hand")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(data, certificate, issuer, at, max_age)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, x509.InvalidVersion) as bad:
        raise MalformedError("an answer on revocation cannot be read.") from bad


def _read(
    data: bytes,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    at: datetime,
    max_age: timedelta,
) -> datetime | Missing:
    if len(data) > MAX_ANSWER_BYTES:
        raise MalformedError(f"an answer on revocation has at most {MAX_ANSWER_BYTES} bytes.")
    answer = ocsp.load_der_ocsp_response(data)
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return Missing(answer_name(certificate), "the answer on its revocation is a failure")
    _check_signed(answer, issuer, at)
    if any(item.critical for item in answer.extensions):
        raise AppraisalRefusedError("an answer on revocation has a critical extension.")
    single = list(answer.responses)
    if len(single) != 1:
        raise AppraisalRefusedError("an answer on revocation is for one certificate.")
    _check_subject(single[0], certificate, issuer)
    status = single[0].certificate_status
    if status is not ocsp.OCSPCertStatus.GOOD:
        held = single[0].revocation_reason is x509.ReasonFlags.certificate_hold
        word = "on hold" if held else status.name.lower()
        raise AppraisalRefusedError(f"a certificate is {word}, says its issuer.")
    begins = single[0].this_update_utc
    ends = single[0].next_update_utc or begins + UNSTATED_LIFE
    if begins > at + CLOCK_SKEW or at > ends + CLOCK_SKEW or at - begins > max_age:
        return Missing(answer_name(certificate), "the answer on its revocation is out of date")
    return begins


def _check_subject(
    single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> None:
    """Check that an answer is for this serial number of this issuer (RFC 6960, section 4.1.1)."""
    key = issuer.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    name = issuer.subject.public_bytes()
    if not (
        single.serial_number == certificate.serial_number
        and single.issuer_name_hash == _hash(single.hash_algorithm, name)
        and single.issuer_key_hash == _hash(single.hash_algorithm, key)
    ):
        raise AppraisalRefusedError("an answer on revocation is for another certificate.")


def _hash(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    """Hash a name or key; SHA-1 is what requests usually name, and nothing rests on it."""
    if not isinstance(algorithm, (hashes.SHA1, *_SIGNATURE_HASHES)):
        raise MalformedError("an answer on revocation names its certificate by an unknown hash.")
    return hashlib.new(algorithm.name, data, usedforsecurity=False).digest()


def _check_signed(answer: ocsp.OCSPResponse, issuer: x509.Certificate, at: datetime) -> None:
    """Check that the issuer signed, or whom it appointed for that (section 4.2.2.2)."""
    given = answer.certificates
    signer = read_certificate(der(given[0])) if given else issuer
    if signer != issuer:
        _check_appointed(signer, issuer, at)
    key = signer.public_key()
    algorithm = answer.signature_hash_algorithm
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
        algorithm, _SIGNATURE_HASHES
    ):
        raise AppraisalRefusedError("an answer on revocation is signed in an unknown way.")
    try:
        key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(algorithm))
    except InvalidSignature:
        raise AppraisalRefusedError("an answer on revocation is not by its signer.") from None


def _check_appointed(signer: x509.Certificate, issuer: x509.Certificate, at: datetime) -> None:
    try:
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        appointed = ExtendedKeyUsageOID.OCSP_SIGNING in usage
    except x509.ExtensionNotFound:
        appointed = False
    if not appointed or not issued_by(signer, issuer):
        raise AppraisalRefusedError("an answer on revocation is by somebody not appointed.")
    if not signer.not_valid_before_utc <= at <= signer.not_valid_after_utc:
        raise AppraisalRefusedError("whoever answered on revocation was not in office.")
