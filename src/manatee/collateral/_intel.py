"""Joins the bodies of Intel's Provisioning Certification Service (v4) into one document.

The signatures cover the exact bytes of the inner JSON objects. They are cut out of the bodies as
they are and never written anew (Intel, PCS API 4.0, "Get TDX TCB Info").
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from manatee.collateral._item import Item, ItemKind, check_size
from manatee.collateral._read import read_item
from manatee.errors import MalformedError
from manatee.records import canonical_json, parse_json

_SIGNATURE = re.compile(r"[0-9a-fA-F]{128}")


@dataclass(frozen=True)
class TdxParts:
    """What Intel answers for one platform, as received.

    Attributes:
        tcb_info: Body of `tdx/certification/v4/tcb`.
        tcb_info_chain: PEM, its signing certificate first.
        qe_identity: Body of `tdx/certification/v4/qe/identity`.
        qe_identity_chain: PEM.
        pck_crl: DER.
        pck_crl_chain: PEM.
        root_crl: DER.
    """

    tcb_info: bytes
    tcb_info_chain: bytes
    qe_identity: bytes
    qe_identity_chain: bytes
    pck_crl: bytes
    pck_crl_chain: bytes
    root_crl: bytes


def read_tdx_parts(parts: TdxParts) -> Item:
    """Join the parts and read the result strictly, verifying no signature.

    Raises:
        InputError: A part is empty or too large.
        MalformedError: A part is not what it should be.
    """
    for part in vars(parts).values():
        check_size(part)
    tcb_info, tcb_signature = _cut(parts.tcb_info, "tcbInfo")
    identity, identity_signature = _cut(parts.qe_identity, "enclaveIdentity")
    document = canonical_json(
        {
            "pck_crl_issuer_chain": _pem(parts.pck_crl_chain),
            "root_ca_crl": parts.root_crl.hex(),
            "pck_crl": parts.pck_crl.hex(),
            "tcb_info_issuer_chain": _pem(parts.tcb_info_chain),
            "tcb_info": tcb_info,
            "tcb_info_signature": tcb_signature,
            "qe_identity_issuer_chain": _pem(parts.qe_identity_chain),
            "qe_identity": identity,
            "qe_identity_signature": identity_signature,
        }
    )
    return read_item(document, ItemKind.TDX_COLLATERAL)


def _cut(body: bytes, member: str) -> tuple[str, str]:
    """Return the exact text of the signed member and its signature in hexadecimal."""
    value = parse_json(body)
    if not isinstance(value, dict) or set(value) != {member, "signature"}:
        raise MalformedError(f"Intel's answer must hold {member} and its signature alone.")
    signature = value["signature"]
    if not isinstance(signature, str) or not _SIGNATURE.fullmatch(signature):
        raise MalformedError("Intel's answer holds no ECDSA P-256 signature.")
    if not isinstance(value[member], dict):
        raise MalformedError(f"{member} in Intel's answer is not an object.")
    text = body.decode()
    opening = re.match(rf'\s*\{{\s*"{member}"\s*:\s*', text)
    if opening is None:
        raise MalformedError(f"{member} does not come first in Intel's answer.")
    # the whole body parsed above, strictly and of bounded depth: this finds where the member ends
    _, end = json.JSONDecoder().raw_decode(text, opening.end())
    return text[opening.end() : end], signature.lower()


def _pem(chain: bytes) -> str:
    try:
        text = chain.decode("ascii")
    except UnicodeDecodeError as error:
        raise MalformedError("a chain of Intel's is not PEM.") from error
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise MalformedError("a chain of Intel's is not PEM.")
    return text
