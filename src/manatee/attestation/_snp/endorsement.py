"""VCEK and VLEK certificates: what they vouch for.

AMD, Versioned Chip Endorsement Key (VCEK) Certificate and KDS Interface Specification, table 10.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509

from manatee.errors import MalformedError

_ARC = "1.3.6.1.4.1.3704.1"
_COMPONENTS = {
    f"{_ARC}.3.1": "bootloader",
    f"{_ARC}.3.2": "tee",
    f"{_ARC}.3.3": "snp",
    f"{_ARC}.3.8": "microcode",
    f"{_ARC}.3.9": "fmc",
}
_CHIP_BYTES = {"Milan": (64,), "Genoa": (64,)}
"""Lengths of a chip's identifier; later products have 8 bytes."""

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


def names_key(certificate: x509.Certificate, signing_key: str) -> bool:
    """Whether a certificate is of the kind that vouches for `vcek` or `vlek` keys."""
    raw = _raw(certificate)
    return f"{_ARC}.2" in raw and (f"{_ARC}.5" in raw) == (signing_key == "vlek")


def is_leaf(certificate: x509.Certificate) -> bool:
    """Whether a certificate is a VCEK's or VLEK's, and no authority's."""
    return f"{_ARC}.2" in _raw(certificate)


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
    if chip is not None and len(endorsed.chip) not in _CHIP_BYTES.get(endorsed.product, (8, 64)):
        raise MalformedError("an AMD certificate's chip identifier has the wrong length.")
    return endorsed
