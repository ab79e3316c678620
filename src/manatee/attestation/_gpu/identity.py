"""Which GPU it is: the certificate path from the signing key to NVIDIA's device identity root."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from manatee.attestation._certificates import Path, build_path
from manatee.attestation._gpu.dice import Firmware, certified_firmware
from manatee.attestation._vendor_roots import der, vendor_chain
from manatee.errors import AppraisalRefusedError

ROOT_SHA256 = "102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48"

_MODEL = re.compile(r"(G[BH])[0-9]{3}\b")
_ARCHITECTURES = {"GH": "hopper", "GB": "blackwell"}
_LAYERS = 5
"""Signing key, boot ROM, provisioning authority, the model's authority, root."""


@dataclass(frozen=True)
class Identity:
    """A GPU whose certificates hold.

    Attributes:
        path: Signing key's certificate first, root last.
        model: As the provisioning authority certified it, such as `GH100 A01 GSP BROM`.
        chip: Its first word, such as `GH100`.
        architecture: `hopper` or `blackwell`.
        firmware: What the boot ROM certified of the firmware that holds the signing key.
        serial: Serial number of the signing key's certificate: NVIDIA's identifier of the GPU.
    """

    path: Path
    model: str
    chip: str
    architecture: str
    firmware: Firmware
    serial: int


def device_root() -> bytes:
    """Return NVIDIA's device identity root, DER."""
    return der(vendor_chain("_gpu", "device-identity.pem", ROOT_SHA256)[-1])


def identify(
    chain: Sequence[x509.Certificate], roots: Sequence[bytes], *, at: datetime
) -> Identity:
    """Follow a chain to a pinned root and read who it is of.

    The model is read in the certificate that NVIDIA issued for the boot ROM. What the evidence
    itself says of its architecture, and the name the GPU gave its own key, count for nothing.

    Args:
        chain: Signing key's certificate first, root last.
        roots: Pinned roots, DER.
        at: The moment all certificates must be valid at.

    Raises:
        AppraisalRefusedError: There is no such path, or it is not a GPU's.
        MalformedError: The firmware identifier cannot be read.
    """
    if len(chain) != _LAYERS:
        raise AppraisalRefusedError(f"a GPU's chain has {_LAYERS} certificates, root included.")
    path = build_path(chain[0], chain[1:], roots, at=at)
    check_may_sign(path.leaf)
    model = _common_name(path.certificates[1])
    match = _MODEL.match(model)
    if match is None:
        raise AppraisalRefusedError("the device is no GPU that is known here.")
    return Identity(
        path=path,
        model=model,
        chip=match[0],
        architecture=_ARCHITECTURES[match[1]],
        firmware=certified_firmware(path.leaf),
        serial=path.leaf.serial_number,
    )


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    value = names[0].value if len(names) == 1 else ""
    return value if isinstance(value, str) else ""


def check_may_sign(leaf: x509.Certificate) -> None:
    """Check that a certificate's key is for signatures.

    Raises:
        AppraisalRefusedError: It is not, or the certificate does not say.
    """
    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        raise AppraisalRefusedError("a signing key's certificate allows no use.") from None
    if not usage.digital_signature:
        raise AppraisalRefusedError("a key that signed may not sign.")
