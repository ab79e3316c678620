"""Certificates of endorsement keys (TCG, EK Credential Profile)."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509

from manatee.attestation._certificates import build_path, read_certificate
from manatee.attestation._tpm.public import PublicKey
from manatee.errors import AppraisalRefusedError, MalformedError


def certified_by(
    certificate: bytes, authorities: tuple[bytes, ...], *, at: datetime, purpose: str
) -> PublicKey:
    """Return the key of a certificate that an authority issued for a purpose.

    Args:
        certificate: DER.
        authorities: Certificates above it, DER: issuer first, pinned root last.
        at: The moment of appraisal.
        purpose: Extended key usage it must carry, dotted; `2.23.133.8.1` for endorsement keys.

    Raises:
        AppraisalRefusedError: Not issued by them, not valid now, or for another purpose.
        MalformedError: A certificate cannot be read.
    """
    leaf = read_certificate(certificate)
    if not authorities:
        raise AppraisalRefusedError("no authority is pinned for this certificate.")
    upper = [read_certificate(item) for item in authorities[:-1]]
    # an endorsement key's subject stands in its alternative name, which may be critical
    build_path(leaf, upper, authorities[-1:], at=at)
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        raise AppraisalRefusedError("the certificate does not say what its key is for.") from None
    if purpose not in {item.dotted_string for item in usage}:
        raise AppraisalRefusedError("the certificate's key is for another purpose.")
    key = leaf.public_key()
    if not isinstance(key, PublicKey):
        raise MalformedError("the certificate's key is neither RSA nor ECC.")
    return key
