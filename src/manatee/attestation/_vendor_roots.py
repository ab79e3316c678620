"""Vendors' certificates that come with the package, each pinned by its SHA-256 fingerprint."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from manatee.attestation._certificates import read_certificate, read_pem_chain
from manatee.errors import AttestationError


def der(certificate: x509.Certificate) -> bytes:
    """Return a certificate's DER."""
    return certificate.public_bytes(Encoding.DER)


@cache
def vendor_chain(folder: str, name: str, root_sha256: str) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a file that the package ships; the last is the root.

    Args:
        folder: The kind's folder, such as `_snp`.
        name: File below its `roots/`: PEM, or one DER certificate.
        root_sha256: Fingerprint of the root, hexadecimal: what the code trusts, not the file.

    Raises:
        AttestationError: The file was changed.
    """
    data = files("manatee.attestation").joinpath(folder, "roots", name).read_bytes()
    chain = read_pem_chain(data) if name.endswith(".pem") else (read_certificate(data),)
    if hashlib.sha256(der(chain[-1])).hexdigest() != root_sha256:
        raise AttestationError(f"the root in {folder}/roots/{name} is not the one pinned.")
    return chain
