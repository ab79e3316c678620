"""Whether NVIDIA revoked a certificate: its OCSP answers (RFC 6960), which come as endorsements.

An answer for a certificate is the document `ocsp/<SHA-256 of the certificate's DER>`. It is signed,
so the guest may bring it; how old it may be is for the relying party to say. An answer that is out
of date says nothing good: the evidence cannot be appraised until a newer one is fetched. What it
says that is bad still counts.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from manatee.attestation._certificates import build_path, read_certificate
from manatee.attestation._vendor_roots import der
from manatee.errors import AppraisalRefusedError, MalformedError

DOCUMENT = "ocsp/"
"""Prefix of an answer's name among the endorsements."""

MAX_ANSWER_BYTES = 16 << 10
CLOCK_SKEW = timedelta(seconds=60)
UNSTATED_LIFE = timedelta(hours=1)
"""How long an answer holds that does not say: what NVIDIA's own verifier takes."""

_SIGNATURE_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
E = TypeVar("E", bound=x509.ExtensionType)
_UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_MARKS_A_RESPONDER = frozenset({ExtensionOID.OCSP_NO_CHECK})


@dataclass(frozen=True)
class Missing:
    """Name of an answer that is not at hand, or says nothing good any more."""

    name: str


def answer_name(certificate: x509.Certificate) -> str:
    """Return the name under which the answer for a certificate is looked for."""
    return DOCUMENT + hashlib.sha256(der(certificate)).hexdigest()


@dataclass(frozen=True)
class Statement:
    """What an answer says of one certificate; whether its signature holds is not looked at.

    Attributes:
        whole: The answer.
        single: The one statement in it.
        begins: When it was given.
        ends: Until when it holds, stated or not.
    """

    whole: ocsp.OCSPResponse
    single: ocsp.OCSPSingleResponse
    begins: datetime
    ends: datetime

    @property
    def status(self) -> str:
        """`good`, `revoked`, `on hold` or `unknown`."""
        if self.single.revocation_reason is x509.ReasonFlags.certificate_hold:
            return "on hold"
        return self.single.certificate_status.name.lower()


def read_statement(data: bytes) -> Statement | None:
    """Read an answer strictly; None if it says that the responder could not answer.

    Raises:
        MalformedError: It is too large or cannot be read, or is not for one certificate.
    """
    if len(data) > MAX_ANSWER_BYTES:
        raise MalformedError(f"an answer on revocation has at most {MAX_ANSWER_BYTES} bytes.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = ocsp.load_der_ocsp_response(data)
            if whole.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
                return None
            (single,) = whole.responses
            begins = single.this_update_utc
            ends = single.next_update_utc or begins + UNSTATED_LIFE
            # the library reads the rest when it is asked for: now, while its errors are caught
            _ = whole.certificates, whole.extensions, whole.signature_hash_algorithm
            _ = single.revocation_reason, single.hash_algorithm
    except _UNREADABLE as error:
        raise MalformedError(
            "an answer on revocation cannot be read, or is not for one certificate."
        ) from error
    return Statement(whole, single, begins, ends)


def answered(
    certificate: x509.Certificate,
    above: Sequence[x509.Certificate],
    documents: Mapping[str, bytes],
    *,
    at: datetime,
    max_age: timedelta,
) -> datetime | Missing:
    """Return when the issuer last said that a certificate is good.

    What was revoked, or put on hold, stays so when the answer is out of date.

    Args:
        certificate: Whose status is asked.
        above: The certificates over it in its verified path: its issuer first, the root last.
        documents: Endorsements by name.
        at: The moment the answer must hold at.
        max_age: Oldest answer accepted, whatever the answer says.

    Raises:
        AppraisalRefusedError: It is revoked, on hold or unknown; or the answer is not by the
            issuer or somebody it appointed, or is for another certificate.
        MalformedError: The answer cannot be read.
    """
    name = answer_name(certificate)
    data = documents.get(name)
    if data is None:
        return Missing(name)
    found = read_statement(data)
    if found is None:
        return Missing(name)
    _check_signed(found.whole, above, at)
    if any(item.critical for item in found.whole.extensions):
        raise AppraisalRefusedError("an answer on revocation has a critical extension.")
    check_subject(found, certificate, above[0])
    if found.status != "good":
        raise AppraisalRefusedError(f"a certificate is {found.status}, says its issuer.")
    in_force = found.begins <= at + CLOCK_SKEW and at - CLOCK_SKEW <= found.ends
    if not in_force or at - found.begins > max_age:
        return Missing(name)
    return found.begins


def check_subject(
    statement: Statement, certificate: x509.Certificate, issuer: x509.Certificate
) -> None:
    """Check that an answer is for this serial number of this issuer (RFC 6960, section 4.1.1).

    Raises:
        AppraisalRefusedError: It is for another.
        MalformedError: It names its certificate by an unknown hash.
    """
    single, public = statement.single, issuer.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise AppraisalRefusedError("an answer on revocation is of an issuer with another key.")
    key = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
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


def _check_signed(
    answer: ocsp.OCSPResponse, above: Sequence[x509.Certificate], at: datetime
) -> None:
    """Check that the issuer signed, or whom it appointed for that (section 4.2.2.2)."""
    given = answer.certificates
    signer = read_certificate(der(given[0])) if given else above[0]
    if signer != above[0]:
        _check_appointed(signer, above, at)
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


def _check_appointed(
    signer: x509.Certificate, above: Sequence[x509.Certificate], at: datetime
) -> None:
    """Check that the very issuer certified this key, for answers and for nothing else.

    The certificate must hold as any other end certificate does: strong key and hash, in force, no
    authority, no unknown critical extension. That it may itself be revoked is not asked: its
    issuer keeps it short-lived or says so (section 4.2.2.2.1).
    """
    purposes = _extension(signer, x509.ExtendedKeyUsage)
    if purposes is None or ExtendedKeyUsageOID.OCSP_SIGNING not in purposes:
        raise AppraisalRefusedError("an answer on revocation is by somebody not appointed.")
    usage = _extension(signer, x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise AppraisalRefusedError("an answer on revocation is by a key that may not sign.")
    try:
        build_path(signer, above, [der(above[-1])], at=at, understood=_MARKS_A_RESPONDER)
    except AppraisalRefusedError as error:
        raise AppraisalRefusedError(f"whoever answered on revocation: {error.message}") from None


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
