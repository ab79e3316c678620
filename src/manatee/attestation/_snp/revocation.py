"""AMD's revocation lists: signed by a product's root, naming intermediates (RFC 5280, section 5).

VCEK and VLEK certificates have serial number 0 and cannot be named; floors and chip lists answer
for those.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from manatee.attestation._certificates import Path
from manatee.errors import AppraisalRefusedError, AppraisalUnavailableError, MalformedError

_HASH = hashes.SHA384()


def check_not_revoked(path: Path, lists: tuple[bytes, ...], at: datetime) -> None:
    """Check a path's certificates against the revocation lists of its root, if there are any.

    A list of another issuer says nothing here. What an outdated list names is still revoked.

    Raises:
        AppraisalRefusedError: A certificate is revoked, or a list claims to be the root's and
            is not.
        AppraisalUnavailableError: All of the root's lists are outdated, or not yet in force.
        MalformedError: A list cannot be read.
    """
    in_force = [_is_in_force(path, data, at) for data in lists]
    if False in in_force and True not in in_force:
        raise AppraisalUnavailableError(
            "AMD's revocation list is not in force at the time of appraisal.",
            hint="Fetch a new one into the collateral cache.",
        )


def _is_in_force(path: Path, data: bytes, at: datetime) -> bool | None:
    """Return whether a list of the root's is in force; None: it is another issuer's."""
    root = path.certificates[-1]
    try:
        found = x509.load_der_x509_crl(data)
        if found.issuer != root.subject:
            return None
        key = root.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise AppraisalRefusedError("AMD's revocation lists are signed with RSA.")
        key.verify(
            found.signature,
            found.tbs_certlist_bytes,
            padding.PSS(padding.MGF1(_HASH), _HASH.digest_size),
            _HASH,
        )
        for certificate in path.certificates[1:]:  # what the root issued, itself included
            serial = certificate.serial_number
            if found.get_revoked_certificate_by_serial_number(serial) is not None:
                raise AppraisalRefusedError("AMD revoked a certificate of this path.")
        begins, ends = found.last_update_utc, found.next_update_utc
    except InvalidSignature as error:
        raise AppraisalRefusedError("the revocation list is not AMD's.") from error
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise MalformedError("a revocation list cannot be read.") from error
    return ends is not None and begins <= at <= ends
