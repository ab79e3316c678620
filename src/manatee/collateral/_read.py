"""Reads bytes as the kind of collateral somebody said they are, strictly."""

from __future__ import annotations

import hashlib
import re

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from manatee.attestation._certificates import read_certificate, read_pem_chain
from manatee.attestation._gpu.revocation import DOCUMENT, read_statement
from manatee.attestation._tdx.collateral import read_collateral
from manatee.collateral._item import Item, ItemKind, check_size
from manatee.errors import InputError, MalformedError
from manatee.records import parse_json

_NAMED = {ItemKind.JWKS: "jwks/", ItemKind.RIM: "rim/"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,150}")
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_MAX_KEYS = 64


def read_items(data: bytes, kind: ItemKind, *, name: str = "") -> tuple[Item, ...]:
    """Read a file as one kind; only a chain gives more than one item.

    Args:
        data: The file's bytes.
        kind: What the operator says it is.
        name: For `jwks` the issuer's address, for `rim` its id, for `ocsp` the certificate's
            SHA-256 fingerprint, for `crl` what keeps two lists of one issuer apart, or nothing;
            not taken otherwise.

    Raises:
        InputError: It is too large, or a name is missing or not wanted.
        MalformedError: It is not of that kind.
    """
    if kind is not ItemKind.CERTIFICATE_CHAIN:
        return (read_item(data, kind, name=name),)
    if name:
        raise InputError("a certificate chain takes no name.")
    chain = read_pem_chain(check_size(data))
    return tuple(_certificate(item.public_bytes(Encoding.DER)) for item in chain)


def read_item(data: bytes, kind: ItemKind, *, name: str = "") -> Item:
    """Read a file that is one item; see `read_items`."""
    check_size(data)
    if kind in _NAMED:
        if not _NAME.fullmatch(name):
            raise InputError(f"{kind.value} needs the name of its issuer, or its id.")
        label = _NAMED[kind] + name
        _check_keys(data) if kind is ItemKind.JWKS else _check_xml(data)
        return Item(kind, label, data, name)
    if kind is ItemKind.OCSP:
        return _answer(data, name.replace(":", "").lower())
    if kind is ItemKind.REVOCATION_LIST and (not name or _NAME.fullmatch(name)):
        return _revocation_list(data, name)
    if name:
        raise InputError(f"{kind.value} takes no such name: it names itself.")
    if kind is ItemKind.CERTIFICATE:
        return _certificate(_certificate_der(data))
    if kind is ItemKind.TDX_COLLATERAL:
        return _tdx(data)
    raise InputError("a certificate chain is several items.")


def _certificate_der(data: bytes) -> bytes:
    if not data.startswith(b"-----"):
        return data
    return read_pem_chain(data, at_most=1)[0].public_bytes(Encoding.DER)


def _certificate(der: bytes) -> Item:
    found = read_certificate(der)
    return Item(
        ItemKind.CERTIFICATE,
        hashlib.sha256(der).hexdigest(),
        der,
        found.subject.rfc4514_string() or "no subject",
        found.not_valid_before_utc,
        found.not_valid_after_utc,
    )


def _revocation_list(data: bytes, label: str) -> Item:
    try:
        if data.startswith(b"-----"):
            found = x509.load_pem_x509_crl(data)
        else:
            found = x509.load_der_x509_crl(data)
        der = found.public_bytes(Encoding.DER)
        issuer, issued, expires = found.issuer, found.last_update_utc, found.next_update_utc
        naming, title = issuer.public_bytes(), issuer.rfc4514_string()
    except (ValueError, TypeError, x509.InvalidVersion) as error:
        raise MalformedError("a revocation list cannot be read.") from error
    name = hashlib.sha256(naming).hexdigest() + (f"/{label}" if label else "")
    return Item(ItemKind.REVOCATION_LIST, name, der, title, issued, expires)


def _answer(data: bytes, fingerprint: str) -> Item:
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise InputError("ocsp needs the SHA-256 fingerprint of the certificate it is for.")
    found = read_statement(data)
    if found is None:
        raise MalformedError("the responder says that it could not answer.")
    title = f"serial {found.single.serial_number:x}: {found.status}"
    return Item(ItemKind.OCSP, DOCUMENT + fingerprint, data, title, found.begins, found.ends)


def _tdx(data: bytes) -> Item:
    found = read_collateral(data)
    name = f"intel-tdx/{found.fmspc}"
    return Item(
        ItemKind.TDX_COLLATERAL, name, data, f"FMSPC {found.fmspc}", found.issued, found.expires
    )


def _check_keys(data: bytes) -> None:
    """Check that a key set holds public keys, each of them named."""
    value = parse_json(data)
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= _MAX_KEYS:
        raise MalformedError(f"a key set must hold 1 to {_MAX_KEYS} keys.")
    for key in keys:
        if not isinstance(key, dict) or key.get("kty") not in {"RSA", "EC", "OKP"}:
            raise MalformedError("a key set holds something that is not a public key.")
        if _PRIVATE_MEMBERS & set(key):
            raise MalformedError("a key set holds a private or a secret key.")
        if not isinstance(key.get("kid"), str) or not key["kid"]:
            raise MalformedError("a key set holds a key without an identifier.")


def _check_xml(data: bytes) -> None:
    """Check the look of a manifest; the appraisal parses it and checks its signature."""
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise MalformedError("a manifest with a document type is not read.")
    if not text.startswith(b"<") or b"SoftwareIdentity" not in data[:4096]:
        raise MalformedError("the file is not a reference integrity manifest.")
