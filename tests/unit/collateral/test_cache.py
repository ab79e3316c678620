"""The collateral folder: strict about what goes in, and never worse off after a failure."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from manatee.collateral import Collateral, ItemKind, read_item, read_items
from manatee.errors import ConflictError, InputError, MalformedError, ManateeError, NotFoundError

VECTORS = Path(__file__).parents[2] / "vectors"
TDX = (VECTORS / "tdx" / "v4-b0c06f.collateral.json").read_bytes()
ROOT = (VECTORS / "tdx" / "intel-sgx-root-ca.der").read_bytes()
CHAIN = (VECTORS / "tdx" / "collateral-2026-03" / "tcb_signing_chain.pem").read_bytes()
CRL = (VECTORS / "tdx" / "collateral-2026-03" / "root_ca_crl.der").read_bytes()
ISSUER = "https://issuer.example"
NOW = datetime(2026, 4, 1, tzinfo=UTC)


def keys(kid: str) -> bytes:
    key = {"kty": "EC", "crv": "P-256", "kid": kid, "x": "AA", "y": "AA"}
    return json.dumps({"keys": [key]}).encode()


def revocations(*, issued: datetime) -> bytes:
    key = ec.derive_private_key(7, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test authority")])
    made = x509.CertificateRevocationListBuilder(name, issued, issued + timedelta(days=30))
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.fixture
def cache(tmp_path: Path) -> Collateral:
    return Collateral.open(tmp_path / "collateral")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_kind_is_kept_and_handed_out_byte_for_byte(cache: Collateral) -> None:
    items = [
        read_item(TDX, ItemKind.TDX_COLLATERAL),
        read_item(ROOT, ItemKind.CERTIFICATE),
        *read_items(CHAIN, ItemKind.CERTIFICATE_CHAIN),
        read_item(CRL, ItemKind.REVOCATION_LIST),
        read_item(keys("a"), ItemKind.JWKS, name=ISSUER),
        read_item(b"<SoftwareIdentity/>", ItemKind.RIM, name="NV_GPU_1"),
    ]
    cache.put(items, at=NOW, source="a disk")
    found = cache.endorsements()
    assert ROOT in found.certificates
    assert len(found.certificates) == 2  # the chain's root is the root above
    assert found.revocations == (CRL,)
    assert found.documents == {
        "intel-tdx/b0c06f000000": TDX,
        f"jwks/{ISSUER}": keys("a"),
        "rim/NV_GPU_1": b"<SoftwareIdentity/>",
    }


def test_only_what_a_kind_of_evidence_needs_is_handed_out(cache: Collateral) -> None:
    items = [
        read_item(TDX, ItemKind.TDX_COLLATERAL),
        read_item(ROOT, ItemKind.CERTIFICATE),
        read_item(keys("a"), ItemKind.JWKS, name=ISSUER),
    ]
    cache.put(items, at=NOW, source="a disk")
    found = cache.endorsements("intel-tdx")
    assert found.certificates == ()
    assert set(found.documents) == {"intel-tdx/b0c06f000000"}
    assert set(cache.endorsements("intel-tdx", "azure-maa").documents) == {
        "intel-tdx/b0c06f000000",
        f"jwks/{ISSUER}",
    }


def test_ages_tell_what_is_over_and_what_has_not_begun(cache: Collateral) -> None:
    item = read_item(TDX, ItemKind.TDX_COLLATERAL)
    assert item.issued == datetime(2025, 6, 19, 10, 16, 3, tzinfo=UTC)
    july = datetime(2025, 7, 1, tzinfo=UTC)
    assert not item.over(july)
    assert item.age(july) == july - item.issued
    assert item.over(datetime(2025, 8, 1, tzinfo=UTC))
    assert item.over(datetime(2025, 6, 1, tzinfo=UTC))
    assert read_item(keys("a"), ItemKind.JWKS, name=ISSUER).age(july) is None


def test_an_older_revocation_list_never_replaces_a_newer_one(
    cache: Collateral, tmp_path: Path
) -> None:
    newer = read_item(revocations(issued=NOW), ItemKind.REVOCATION_LIST)
    older = read_item(revocations(issued=NOW - timedelta(days=1)), ItemKind.REVOCATION_LIST)
    cache.put([older], at=NOW, source="a disk")
    cache.put([newer], at=NOW, source="a disk")
    before = files(tmp_path)
    with pytest.raises(ConflictError):
        cache.put([read_item(ROOT, ItemKind.CERTIFICATE), older], at=NOW, source="a disk")
    assert files(tmp_path) == before
    assert cache.endorsements().revocations == (newer.data,)


def test_two_lists_of_one_issuer_are_kept_apart_by_a_label(cache: Collateral) -> None:
    first = read_item(revocations(issued=NOW), ItemKind.REVOCATION_LIST, name="vcek")
    second = read_item(revocations(issued=NOW), ItemKind.REVOCATION_LIST, name="vlek")
    cache.put([first, second], at=NOW, source="a disk")
    assert len(cache.kept()) == 2


def test_fetched_keys_are_held_until_a_person_accepts_their_digest(cache: Collateral) -> None:
    name = f"jwks/{ISSUER}"
    fetched = read_item(keys("a"), ItemKind.JWKS, name=ISSUER)
    (kept,) = cache.put([fetched], at=NOW, source="https://issuer.example/certs", held=True)
    assert kept.held
    assert cache.endorsements().documents == {}
    with pytest.raises(NotFoundError):
        cache.accept(name, "0" * 64, at=NOW)
    assert cache.endorsements().documents == {}
    cache.accept(name, fetched.digest, at=NOW)
    assert cache.endorsements().documents == {name: keys("a")}


def test_changed_keys_wait_while_the_accepted_ones_stay_in_use(cache: Collateral) -> None:
    name = f"jwks/{ISSUER}"
    cache.put([read_item(keys("a"), ItemKind.JWKS, name=ISSUER)], at=NOW, source="a disk")
    other = read_item(keys("b"), ItemKind.JWKS, name=ISSUER)
    cache.put([other], at=NOW, source="https://issuer.example/certs", held=True)
    assert cache.endorsements().documents == {name: keys("a")}
    same = read_item(keys("a"), ItemKind.JWKS, name=ISSUER)
    (kept,) = cache.put([same], at=NOW, source="https://issuer.example/certs", held=True)
    assert not kept.held


@pytest.mark.parametrize("kind", [kind for kind in ItemKind if kind is not ItemKind.RIM])
@pytest.mark.parametrize("data", [b"", b"\0", b"{}", b"[" * 100_000, b"A" * (1 << 20)])
def test_bytes_that_are_not_of_the_kind_are_refused(kind: ItemKind, data: bytes) -> None:
    name = ISSUER if kind is ItemKind.JWKS else ""
    with pytest.raises(InputError):
        read_items(data, kind, name=name)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (CRL, ItemKind.CERTIFICATE),
        (ROOT, ItemKind.REVOCATION_LIST),
        (ROOT, ItemKind.CERTIFICATE_CHAIN),
        (CHAIN, ItemKind.CERTIFICATE),
        (ROOT + b"\0", ItemKind.CERTIFICATE),
        (CRL + b"\0", ItemKind.REVOCATION_LIST),
        (CRL[:-1], ItemKind.REVOCATION_LIST),
        (keys("a"), ItemKind.TDX_COLLATERAL),
        (TDX + b"x", ItemKind.TDX_COLLATERAL),
        (TDX[:-2], ItemKind.TDX_COLLATERAL),
    ],
)
def test_one_kind_is_not_taken_for_another(data: bytes, kind: ItemKind) -> None:
    with pytest.raises(MalformedError):
        read_items(data, kind)


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "AA", "kid": "a"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "AA", "kid": "a"},
        {"kty": "RSA", "n": "AA", "e": "AQAB"},
        {"kty": "RSA", "n": "AA", "e": "AQAB", "kid": ""},
        "key",
    ],
)
def test_a_key_set_holds_named_public_keys_only(key: object) -> None:
    data = json.dumps({"keys": [key]}).encode()
    with pytest.raises(MalformedError):
        read_item(data, ItemKind.JWKS, name=ISSUER)


@pytest.mark.parametrize(
    "data", [b"<!DOCTYPE a [<!ENTITY b 'c'>]><SoftwareIdentity/>", b"<html/>", b"SoftwareIdentity"]
)
def test_a_manifest_is_xml_without_a_document_type(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read_item(data, ItemKind.RIM, name="NV")


@pytest.mark.parametrize("name", ["", "../x y", "a" * 200, "\n"])
def test_names_of_keys_have_a_form(name: str) -> None:
    with pytest.raises(InputError):
        read_item(keys("a"), ItemKind.JWKS, name=name)


def test_a_file_changed_by_hand_is_named_and_nothing_is_handed_out(
    cache: Collateral, tmp_path: Path
) -> None:
    cache.put([read_item(ROOT, ItemKind.CERTIFICATE)], at=NOW, source="a disk")
    (path,) = (tmp_path / "collateral").glob("*.json")
    text = path.read_text()
    for bad in (text[:-1], text.replace('"held":false', '"held":true'), text.replace("MII", "MIJ")):
        path.write_text(bad)
        with pytest.raises(MalformedError, match=path.name):
            cache.endorsements()


def test_one_item_under_another_items_file_name_is_refused(
    cache: Collateral, tmp_path: Path
) -> None:
    for item in read_items(CHAIN, ItemKind.CERTIFICATE_CHAIN):
        cache.put([item], at=NOW, source="a disk")
    first, second = sorted((tmp_path / "collateral").glob("*.json"))
    first.write_bytes(second.read_bytes())
    with pytest.raises(MalformedError):
        cache.kept()


def test_half_written_files_are_left_out(cache: Collateral, tmp_path: Path) -> None:
    cache.put([read_item(ROOT, ItemKind.CERTIFICATE)], at=NOW, source="a disk")
    (tmp_path / "collateral" / ".certificate-1.json.part").write_bytes(b"{")
    assert cache.endorsements().certificates == (ROOT,)


def test_a_folder_that_cannot_be_made_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ManateeError):
        Collateral.open(tmp_path / "file" / "collateral")
