"""Runtime data of Azure's paravisor: JSON naming the virtual TPM's keys and the VM's settings.

The hardware's report holds the hash of the exact bytes, so nothing is ever serialised anew.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from manatee.attestation._azure.hcl import MAX_RUNTIME_DATA_BYTES
from manatee.errors import MalformedError
from manatee.records import parse_json

ATTESTATION_KEY = "HCLAkPub"
MAX_KEYS = 8
_EXPONENT = 65537
_MODULUS_BITS = (2048, 3072, 4096)


@dataclass(frozen=True)
class RuntimeData:
    """What the paravisor says.

    Attributes:
        attestation_key: The virtual TPM's: the paravisor made it, and it signs only what its TPM
            made.
        secure_boot: Whether the VM's firmware checks signatures; None: not said.
        vm_id: The VM's identifier, or empty.
        user_data: 64 bytes, hexadecimal, that software in the VM chose; or empty.
    """

    attestation_key: rsa.RSAPublicKey
    secure_boot: bool | None
    vm_id: str
    user_data: str


def read_runtime_data(data: bytes) -> RuntimeData:
    """Read runtime data strictly; members this code does not know are passed over.

    Raises:
        MalformedError, TooLargeError: It is not strict JSON, or does not name exactly one
            attestation key.
    """
    found = parse_json(data, max_bytes=MAX_RUNTIME_DATA_BYTES)
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise MalformedError("the runtime data names no keys, or too many.")
    ours = [key for key in keys if isinstance(key, dict) and key.get("kid") == ATTESTATION_KEY]
    if len(ours) != 1:
        raise MalformedError(f"the runtime data must name exactly one {ATTESTATION_KEY}.")
    settings = found.get("vm-configuration")
    settings = settings if isinstance(settings, dict) else {}
    secure_boot = settings.get("secure-boot")
    return RuntimeData(
        attestation_key=_key(ours[0]),
        secure_boot=secure_boot if isinstance(secure_boot, bool) else None,
        vm_id=_text(settings.get("vmUniqueId")),
        user_data=_text(found.get("user-data")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) and value.isascii() and len(value) <= 128 else ""


def _key(key: dict[str, Any]) -> rsa.RSAPublicKey:
    if key.get("kty") != "RSA" or key.get("key_ops") != ["sign"]:
        raise MalformedError(f"{ATTESTATION_KEY} must be an RSA key that signs.")
    modulus, exponent = _number(key.get("n")), _number(key.get("e"))
    if modulus.bit_length() not in _MODULUS_BITS or exponent != _EXPONENT:
        raise MalformedError(f"{ATTESTATION_KEY} must have 2048 to 4096 bits and exponent 65537.")
    try:
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError as error:
        raise MalformedError(f"{ATTESTATION_KEY} is not an RSA key.") from error


def _number(text: object) -> int:
    """Read a Base64urlUInt (RFC 7518, section 2)."""
    if not isinstance(text, str) or not text.isascii() or not 0 < len(text) <= 1024:
        raise MalformedError(f"{ATTESTATION_KEY} lacks a number.")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError(f"a number of {ATTESTATION_KEY} is not base64url.") from error
    return int.from_bytes(raw, "big")
