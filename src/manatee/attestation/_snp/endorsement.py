"""VCEK and VLEK certificates: what they vouch for, and the path to AMD's roots.

AMD, Versioned Chip Endorsement Key (VCEK) Certificate and KDS Interface Specification, table 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from manatee.attestation._certificates import Path, build_path, read_certificate
from manatee.attestation._endorsements import Endorsements
from manatee.attestation._vendor_roots import der, vendor_chain
from manatee.errors import AppraisalRefusedError, AppraisalUnavailableError, MalformedError

ARK_SHA256 = {
    "Milan": "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
    "Genoa": "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
    "Turin": "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
}
_ARC = "1.3.6.1.4.1.3704.1"
_COMPONENTS = {
    f"{_ARC}.3.1": "bootloader",
    f"{_ARC}.3.2": "tee",
    f"{_ARC}.3.3": "snp",
    f"{_ARC}.3.8": "microcode",
    f"{_ARC}.3.9": "fmc",
}
_UNUSED = {f"{_ARC}.3.{number}" for number in (4, 5, 6, 7)}


@dataclass(frozen=True)
class Endorsed:
    """What a VCEK or VLEK certificate says.

    Attributes:
        product: `Milan`, `Genoa` or `Turin`: the name up to its stepping.
        tcb: Component to version, as the key was derived for.
        chip: The chip's identifier, in a VCEK certificate; else empty.
        fleet: The cloud's name, in a VLEK certificate; else empty.
    """

    product: str
    tcb: dict[str, int]
    chip: bytes
    fleet: str

    @property
    def signing_key(self) -> str:
        """`vcek` or `vlek`."""
        return "vlek" if self.fleet else "vcek"


def _raw(certificate: x509.Certificate) -> dict[str, bytes]:
    return {
        item.oid.dotted_string: item.value.value
        for item in certificate.extensions
        if isinstance(item.value, x509.UnrecognizedExtension)
    }


def _integer(data: bytes) -> int:
    if len(data) not in (3, 4) or data[0] != 2 or data[1] != len(data) - 2 or data[2] > 0x7F:
        raise MalformedError("an AMD certificate's version number is not one.")
    value = int.from_bytes(data[2:], "big")
    if value > 0xFF or (len(data) == 4 and (data[2] or data[3] < 0x80)):
        raise MalformedError("an AMD certificate's version number is not one.")
    return value


def _text(data: bytes) -> str:
    if len(data) < 3 or data[0] != 0x16 or data[1] != len(data) - 2 or len(data) > 0x7F:
        raise MalformedError("an AMD certificate's text is not one.")
    try:
        return data[2:].decode("ascii")
    except UnicodeDecodeError as error:
        raise MalformedError("an AMD certificate's text is not ASCII.") from error


def _octets(data: bytes) -> bytes:
    """Return a chip's identifier, which AMD writes bare, and others wrap as an OCTET STRING."""
    if len(data) in (10, 66) and data[0] == 4 and data[1] == len(data) - 2:
        return data[2:]
    return data


def read_endorsed(certificate: x509.Certificate) -> Endorsed:
    """Read the extensions of a VCEK or VLEK certificate.

    Raises:
        MalformedError: They are missing, double or not as specified.
    """
    raw = _raw(certificate)
    if f"{_ARC}.2" not in raw:
        raise MalformedError("the certificate is neither a VCEK's nor a VLEK's.")
    if any(_integer(raw[oid]) for oid in _UNUSED & set(raw)):
        raise MalformedError("an AMD certificate names a TCB component that is reserved.")
    chip, fleet = raw.get(f"{_ARC}.4"), raw.get(f"{_ARC}.5")
    if (chip is None) == (fleet is None):
        raise MalformedError("an AMD certificate names a chip or a fleet, and not both.")
    endorsed = Endorsed(
        product=_text(raw[f"{_ARC}.2"]).partition("-")[0],
        tcb={name: _integer(raw[oid]) for oid, name in _COMPONENTS.items() if oid in raw},
        chip=b"" if chip is None else _octets(chip),
        fleet="" if fleet is None else _text(fleet),
    )
    if chip is not None and len(endorsed.chip) not in (8, 64):
        raise MalformedError("an AMD certificate's chip identifier has the wrong length.")
    if fleet is not None and not endorsed.fleet:
        raise MalformedError("an AMD certificate's fleet has no name.")
    return endorsed


def find_leaf(endorsements: Endorsements, signing_key: str) -> x509.Certificate:
    """Return the one VCEK or VLEK certificate among the endorsements.

    Raises:
        AppraisalUnavailableError: There is none.
        AppraisalRefusedError: There are several: nobody guesses which is meant.
        MalformedError: A certificate cannot be read.
    """
    found = {}
    for data in endorsements.certificates:
        certificate = read_certificate(data)
        raw = _raw(certificate)
        if f"{_ARC}.2" in raw and (f"{_ARC}.5" in raw) == (signing_key == "vlek"):
            found[data] = certificate
    if not found:
        raise AppraisalUnavailableError(
            f"the {signing_key.upper()} certificate of this report is missing.",
            hint="Fetch it from AMD's key distribution service into the collateral cache.",
        )
    if len(found) > 1:
        raise AppraisalRefusedError(f"there are {len(found)} {signing_key.upper()} certificates.")
    return next(iter(found.values()))


def endorsement_path(
    leaf: x509.Certificate,
    endorsed: Endorsed,
    endorsements: Endorsements,
    roots: tuple[bytes, ...] | None,
    *,
    at: datetime,
) -> Path:
    """Return the path from a VCEK or VLEK over AMD's intermediate to AMD's root for the product.

    Args:
        leaf: The VCEK or VLEK certificate.
        endorsed: What it says.
        endorsements: May hold the intermediate; else the one shipped is used.
        roots: Pinned roots instead of AMD's, DER.
        at: The moment of appraisal.

    Raises:
        AppraisalRefusedError: There is no such path, or AMD revoked the intermediate.
    """
    if endorsed.product not in ARK_SHA256:
        raise AppraisalRefusedError("the certificate is of no known product.")
    if roots is None:
        name = f"{endorsed.signing_key}-{endorsed.product.lower()}.pem"
        shipped = vendor_chain("_snp", name, ARK_SHA256[endorsed.product])
        path = build_path(leaf, shipped[:-1], [der(shipped[-1])], at=at)
    else:
        others = [
            certificate
            for certificate in map(read_certificate, endorsements.certificates)
            if f"{_ARC}.2" not in _raw(certificate) and der(certificate) not in roots
        ]
        path = build_path(leaf, others, roots, at=at)
    _check_amd(path)
    for data in endorsements.revocations:
        _check_not_revoked(path, data, at)
    return path


def _check_amd(path: Path) -> None:
    """Check what AMD says of its certificates and general paths do not ask."""
    if len(path.certificates) != 3:
        raise AppraisalRefusedError("AMD's path has three certificates: leaf, ASK or ASVK, ARK.")
    for certificate in path.certificates:
        if not isinstance(certificate.signature_algorithm_parameters, padding.PSS):
            raise AppraisalRefusedError("AMD signs its certificates with RSASSA-PSS.")


def _check_not_revoked(path: Path, data: bytes, at: datetime) -> None:
    """Check the intermediate against a revocation list of the root.

    A list of another issuer says nothing here; one of ours must hold and be in force.
    """
    leaf, intermediate, root = path.certificates
    try:
        revocations = x509.load_der_x509_crl(data)
        if revocations.issuer != root.subject:
            return
        key = root.public_key()
        algorithm = revocations.signature_hash_algorithm
        if not isinstance(key, rsa.RSAPublicKey) or algorithm is None:
            raise AppraisalRefusedError("AMD's revocation list is signed by an unknown key.")
        key.verify(
            revocations.signature,
            revocations.tbs_certlist_bytes,
            padding.PSS(padding.MGF1(algorithm), algorithm.digest_size),
            algorithm,
        )
        begins, ends = revocations.last_update_utc, revocations.next_update_utc
        if ends is None or not begins <= at <= ends:
            raise AppraisalUnavailableError(
                "AMD's revocation list is not in force at the time of appraisal.",
                hint="Fetch a new one into the collateral cache.",
            )
        for certificate in (leaf, intermediate):
            if (
                certificate.serial_number
                and revocations.get_revoked_certificate_by_serial_number(certificate.serial_number)
                is not None
            ):
                raise AppraisalRefusedError("AMD revoked a certificate of this path.")
    except InvalidSignature as error:
        raise AppraisalRefusedError("the revocation list is not AMD's.") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedError("a revocation list cannot be read.") from error
