"""Reference integrity manifests: the measurements NVIDIA states for a driver or a VBIOS version.

SWID tags (ISO/IEC 19770-2:2015) in the profile of TCG's Reference Integrity Manifest, version
1.01, signed by a chain that ends in NVIDIA's root for reference values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from manatee.attestation._certificates import Path, build_path
from manatee.attestation._gpu.identity import check_may_sign
from manatee.attestation._gpu.manifest_xml import read_xml, signed_part, signers
from manatee.attestation._vendor_roots import der, vendor_chain
from manatee.errors import AppraisalRefusedError, MalformedError

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

ROOT_SHA256 = "12977b5115acb0381179279fffeb5a8c4d264971ebb32298023a465fa41df5d1"

_SWID = "{http://standards.iso.org/iso/19770/-2/2015/schema.xsd}"
_HASH = "{http://www.w3.org/2001/04/xmlenc#sha384}Hash"
_DIGEST = re.compile(r"[0-9a-f]{96}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,2}")
_DIGEST_BYTES = 48
_MAX_INDEX = 253
_MAX_ALTERNATIVES = 64


@dataclass(frozen=True)
class Manifest:
    """What a manifest states, once its signature held.

    Attributes:
        version: Of the driver or VBIOS.
        chip: The product it is for, such as `GH100`.
        measurements: Index, from 0, to the values allowed there; inactive ones left out.
        path: The signer's certificates.
    """

    version: str
    chip: str
    measurements: Mapping[int, frozenset[bytes]]
    path: Path


def manifest_root() -> bytes:
    """Return NVIDIA's root for reference values, DER."""
    return der(vendor_chain("_gpu", "reference-manifests.pem", ROOT_SHA256)[-1])


def read_manifest(data: bytes, roots: Sequence[bytes], *, at: datetime) -> Manifest:
    """Verify a manifest and read what is signed of it.

    Args:
        data: XML.
        roots: Pinned roots, DER.
        at: The moment all certificates must be valid at.

    Raises:
        AppraisalRefusedError: Signature or path do not hold.
        MalformedError: It is not such a manifest.
        AttestationError: A library is not installed.
    """
    root = read_xml(data)
    if root.tag != f"{_SWID}SoftwareIdentity":
        raise MalformedError("the document is not a reference manifest.")
    chain = signers(root)
    path = build_path(chain[0], chain[1:], roots, at=at)
    check_may_sign(path.leaf)
    signed = signed_part(root, path.leaf, at=at)
    meta = signed.findall(f"{_SWID}Meta")
    payloads = signed.findall(f"{_SWID}Payload")
    if len(meta) != 1 or len(payloads) != 1 or meta[0].get("edition") != "GPU":
        raise MalformedError("a GPU's manifest has one Meta of edition GPU, and one Payload.")
    version, chip = meta[0].get("colloquialVersion"), meta[0].get("product")
    if not version or not chip:
        raise MalformedError("a manifest names its version and product.")
    return Manifest(version, chip, _measurements(payloads[0]), path)


def _measurements(payload: Element) -> dict[int, frozenset[bytes]]:
    """Return the active measurements; every one is read strictly, the inactive ones too."""
    found: dict[int, frozenset[bytes]] = {}
    seen: set[int] = set()
    for resource in payload:
        if resource.tag != f"{_SWID}Resource" or resource.get("type") != "Measurement":
            raise MalformedError("a manifest's payload holds measurements only.")
        index = _number(resource, "index", _MAX_INDEX)
        active = resource.get("active")
        if index in seen or active not in ("True", "False"):
            raise MalformedError("a measurement stands twice, or is neither active nor not.")
        seen.add(index)
        if _number(resource, "size", _DIGEST_BYTES) != _DIGEST_BYTES:
            raise MalformedError("a measurement is not SHA-384.")
        values = _values(resource, _number(resource, "alternatives", _MAX_ALTERNATIVES))
        if active == "True":
            found[index] = values
    if not found:
        raise AppraisalRefusedError("the manifest states no measurement.")
    return found


def _values(resource: Element, count: int) -> frozenset[bytes]:
    texts = [resource.get(f"{_HASH}{number}", "") for number in range(count)]
    stated = sum(str(name).startswith(_HASH) for name in resource.attrib)
    if not texts or stated != count or not all(_DIGEST.fullmatch(text) for text in texts):
        raise MalformedError("a measurement's values are not as many digests as it says.")
    return frozenset(bytes.fromhex(text) for text in texts)


def _number(resource: Element, name: str, at_most: int) -> int:
    text = resource.get(name, "")
    if not _NUMBER.fullmatch(text) or int(text) > at_most:
        raise MalformedError("a measurement's number is missing or too large.")
    return int(text)
