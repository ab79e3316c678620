"""Certificates read strictly, and paths built by hand at a passed-in time (RFC 5280, section 6).

General path validators refuse vendors' real chains (AMD's carry no key identifiers and serial
number 0), so the path is walked here: every signature, name, time, CA bit and critical extension.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtensionOID

from manatee.errors import AppraisalRefusedError, MalformedError

MAX_CERTIFICATE_BYTES = 16 << 10
MAX_PATH = 6
"""Most certificates in a path, leaf and root included."""

_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)
"""Critical extensions a path may carry: checked here or by the kind's verifier."""

_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_RSA_BITS = range(2048, 8193)

_LIBRARY_ERRORS = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises on bytes it cannot read."""


def read_certificate(der: bytes) -> x509.Certificate:
    """Read one DER certificate wholly.

    The library parses lazily and overlooks a few bytes outside what is signed; both are settled
    here, so that there is one encoding of a certificate and no later surprise.

    Raises:
        MalformedError: The bytes are not exactly one certificate.
    """
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise MalformedError(f"a certificate has over {MAX_CERTIFICATE_BYTES} bytes.")
    try:
        with warnings.catch_warnings():
            # AMD's VCEK and VLEK have serial number 0, which the library warns about
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            # and some roots have names longer than X.520 allows
            warnings.simplefilter("ignore", UserWarning)
            certificate = x509.load_der_x509_certificate(der)
            certificate.public_key()
            _ = certificate.extensions, certificate.subject, certificate.issuer
            _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            _ = certificate.signature_algorithm_parameters, certificate.serial_number
        whole = _exact(certificate, der)
    except _LIBRARY_ERRORS as error:
        raise MalformedError("a certificate cannot be read.") from error
    if not whole:
        raise MalformedError("a certificate has bytes outside its DER encoding.")
    return certificate


def read_pem_chain(pem: bytes, *, at_most: int = 8) -> tuple[x509.Certificate, ...]:
    """Read concatenated PEM certificates, in order.

    Raises:
        MalformedError: One cannot be read, there is none, or there are more than `at_most`.
    """
    marker = b"-----BEGIN CERTIFICATE-----"
    if len(pem) > at_most * 2 * MAX_CERTIFICATE_BYTES or not 1 <= pem.count(marker) <= at_most:
        raise MalformedError(f"a certificate chain must hold 1 to {at_most} certificates.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = x509.load_pem_x509_certificates(pem)
    except _LIBRARY_ERRORS as error:
        raise MalformedError("a certificate chain is not PEM.") from error
    return tuple(read_certificate(_der(certificate)) for certificate in loaded)


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _header(tag: int, length: int) -> bytes:
    """Return a DER tag and its shortest length."""
    if length < 0x80:
        return bytes((tag, length))
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big")


def _exact(certificate: x509.Certificate, der: bytes) -> bool:
    """Whether DER is SEQUENCE { tbs, an algorithm that tbs repeats, BIT STRING } and no more."""
    tbs = certificate.tbs_certificate_bytes
    signature = b"\x00" + certificate.signature
    tail = _header(0x03, len(signature)) + signature
    content = der[_header_length(der) :]
    algorithm = content[len(tbs) : -len(tail)]
    return (
        der == _header(0x30, len(content)) + content
        and content == tbs + algorithm + tail
        and bool(algorithm)
        and algorithm in tbs
    )


def _header_length(der: bytes) -> int:
    """Return the bytes that tag and length take."""
    return 2 if der[1] < 0x80 else 2 + (der[1] & 0x7F)


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether names fit and the signature holds (RSA PKCS#1 v1.5 and PSS, ECDSA, Ed25519)."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


@dataclass(frozen=True)
class Path:
    """A path that holds: leaf first, pinned root last."""

    certificates: tuple[x509.Certificate, ...]

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate whose key signed the evidence."""
        return self.certificates[0]

    @property
    def ends(self) -> datetime:
        """The first moment at which some certificate of the path is over."""
        return min(item.not_valid_after_utc for item in self.certificates)


def build_path(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    roots: Iterable[bytes],
    *,
    at: datetime,
    understood: frozenset[x509.ObjectIdentifier] = frozenset(),
) -> Path:
    """Build the path from a leaf to a pinned root through exactly the intermediates given.

    Args:
        leaf: The end certificate; it must not be a CA.
        intermediates: From the leaf's issuer upwards, in order, none left over. The root itself
            may stand at the end; it counts only if it is pinned.
        roots: Pinned roots, DER, byte for byte. None pinned: nothing is accepted.
        at: The moment every certificate must be valid at.
        understood: Further critical extensions that the caller checks itself.

    Raises:
        AppraisalRefusedError: There is no such path; the message names the first reason.
        MalformedError: A pinned root is no certificate.
    """
    pinned = {bytes(root) for root in roots}
    if not pinned:
        raise AppraisalRefusedError("no root is pinned for this kind of evidence.")
    upwards = list(intermediates)
    if upwards and _der(upwards[-1]) in pinned:
        root = upwards.pop()
    else:
        last = upwards[-1] if upwards else leaf
        named = [read_certificate(root) for root in sorted(pinned)]
        root_found = next((item for item in named if issued_by(last, item)), None)
        if root_found is None:
            raise AppraisalRefusedError("the certificate path does not end in a pinned root.")
        root = root_found
    path = (leaf, *upwards, root)
    if len(path) > MAX_PATH or len(set(map(_der, path))) != len(path):
        raise AppraisalRefusedError(
            f"the certificate path is longer than {MAX_PATH}, or a certificate stands in it twice."
        )
    for depth, (lower, upper) in enumerate(itertools.pairwise(path)):
        if not issued_by(lower, upper):
            raise AppraisalRefusedError("a certificate is not signed by the next one.")
        _check_authority(upper, below=depth)
    if not issued_by(root, root):
        raise AppraisalRefusedError("the root is not signed by itself.")
    if _is_authority(leaf):
        raise AppraisalRefusedError("the end certificate is an authority's.")
    for certificate in path:
        _check_strength(certificate)
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            raise AppraisalRefusedError("a certificate is not valid at the time of appraisal.")
        for extension in certificate.extensions:
            if extension.critical and extension.oid not in _UNDERSTOOD | understood:
                raise AppraisalRefusedError("a certificate has an unknown critical extension.")
    return Path(path)


def _check_strength(certificate: x509.Certificate) -> None:
    """Check that neither key nor signature is of a kind that can be forged or is unknown."""
    key = certificate.public_key()
    strong = (
        (isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_BITS)
        or (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES))
        or isinstance(key, ed25519.Ed25519PublicKey)
    )
    try:
        digest = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm as error:
        raise AppraisalRefusedError("a certificate's signature is of an unknown kind.") from error
    if not strong or not (digest is None or isinstance(digest, _HASHES)):
        raise AppraisalRefusedError("a certificate's key or signature hash is too weak.")


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _check_authority(certificate: x509.Certificate, *, below: int) -> None:
    """Check that a certificate may issue, with `below` intermediates under it."""
    try:
        limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        raise AppraisalRefusedError("an issuer's certificate is not an authority's.") from None
    if not limits.ca:
        raise AppraisalRefusedError("an issuer's certificate is not an authority's.")
    if limits.path_length is not None and below > limits.path_length:
        raise AppraisalRefusedError("the certificate path is longer than an issuer allows.")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.key_cert_sign:
        raise AppraisalRefusedError("an issuer's key may not sign certificates.")
