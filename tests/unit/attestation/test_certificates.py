"""Certificates have one encoding; a path holds only if every step of it does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from manatee.attestation._certificates import (
    MAX_CERTIFICATE_BYTES,
    build_path,
    issued_by,
    read_certificate,
    read_pem_chain,
)
from manatee.errors import AppraisalRefusedError, MalformedError

VECTORS = Path(__file__).parents[2] / "vectors"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CURVE = ec.SECP256R1()
KEYS: dict[str, Any] = {
    name: ec.generate_private_key(CURVE) for name in ("root", "upper", "lower", "leaf", "other")
}
ODD = x509.ObjectIdentifier("1.3.6.1.4.1.55555.1")


def name_of(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def make(
    subject: str,
    issuer: str,
    *,
    ca: bool | None,
    length: int | None = None,
    key: Any = None,
    signer: Any = None,
    begins: datetime = NOW - DAY,
    ends: datetime = NOW + DAY,
    more: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    digest: Any = None,
    issuer_name: str = "",
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(name_of(subject))
        .issuer_name(name_of(issuer_name or issuer))
        .public_key((key or KEYS[subject]).public_key())
        .serial_number(5)
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    if ca is not None:
        constraints = x509.BasicConstraints(ca=ca, path_length=length if ca else None)
        builder = builder.add_extension(constraints, critical=True)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signer or KEYS[issuer], digest or hashes.SHA256())


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def chain(**changes: dict[str, Any]) -> tuple[list[x509.Certificate], x509.Certificate]:
    """Return leaf, lower and upper, each as it should be but for its changes; and the root."""
    plain: dict[str, dict[str, Any]] = {
        "leaf": {"issuer": "lower", "ca": False},
        "lower": {"issuer": "upper", "ca": True, "length": 0},
        "upper": {"issuer": "root", "ca": True, "length": 1},
        "root": {"issuer": "root", "ca": True, "length": 2},
    }
    made = {name: make(name, **(plain[name] | changes.get(name, {}))) for name in plain}
    return [made["leaf"], made["lower"], made["upper"]], made["root"]


def test_a_path_that_holds_runs_from_leaf_to_root() -> None:
    (leaf, *above), root = chain(leaf={"ends": NOW + DAY / 2})
    path = build_path(leaf, above, [der(root)], at=NOW)
    assert path.certificates == (leaf, *above, root)
    assert path.leaf == leaf
    assert path.ends == NOW + DAY / 2
    assert build_path(leaf, [*above, root], [der(root)], at=NOW) == path


@pytest.mark.parametrize("which", ["leaf", "lower", "upper", "root"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"begins": NOW + timedelta(seconds=1)}, "not valid at the time"),
        ({"ends": NOW - timedelta(seconds=1)}, "not valid at the time"),
        ({"digest": hashes.SHA224()}, "too weak"),
        ({"more": ((x509.UnrecognizedExtension(ODD, b"\5\0"), True),)}, "critical extension"),
        ({"more": ((x509.InhibitAnyPolicy(0), True),)}, "critical extension"),
    ],
)
def test_every_certificate_of_the_path_is_checked(
    which: str, change: dict[str, Any], reason: str
) -> None:
    (leaf, *above), root = chain(**{which: change})
    with pytest.raises(AppraisalRefusedError, match=reason):
        build_path(leaf, above, [der(root)], at=NOW)


@pytest.mark.parametrize("which", ["leaf", "lower", "upper"])
@pytest.mark.parametrize(
    "change",
    [{"signer": KEYS["other"]}, {"issuer_name": "somebody"}],
    ids=["signed by another key", "names another issuer"],
)
def test_every_step_is_signed_and_named(which: str, change: dict[str, Any]) -> None:
    (leaf, *above), root = chain(**{which: change})
    with pytest.raises(AppraisalRefusedError):
        build_path(leaf, above, [der(root)], at=NOW)
    with pytest.raises(AppraisalRefusedError, match="not signed by the next"):
        build_path(leaf, [*above, root], [der(root)], at=NOW)


@pytest.mark.parametrize("which", ["lower", "upper", "root"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ca": False}, "not an authority"),
        ({"ca": None}, "not an authority"),
        ({"more": ((usage(signs_certificates=False), True),)}, "may not sign certificates"),
    ],
)
def test_every_issuer_is_an_authority(which: str, change: dict[str, Any], reason: str) -> None:
    (leaf, *above), root = chain(**{which: change})
    with pytest.raises(AppraisalRefusedError, match=reason):
        build_path(leaf, above, [der(root)], at=NOW)


@pytest.mark.parametrize(("which", "length"), [("upper", 0), ("root", 1), ("root", 0)])
def test_no_more_authorities_than_an_issuer_allows(which: str, length: int) -> None:
    (leaf, *above), root = chain(**{which: {"length": length}})
    with pytest.raises(AppraisalRefusedError, match="longer than an issuer allows"):
        build_path(leaf, above, [der(root)], at=NOW)


def test_an_issuer_that_states_no_limit_or_use_is_not_limited() -> None:
    free = {"length": None, "more": ((usage(signs_certificates=True), True),)}
    (leaf, *above), root = chain(lower=free, upper=free, root=free)
    assert build_path(leaf, above, [der(root)], at=NOW).leaf == leaf


def test_the_leaf_is_no_authority() -> None:
    (leaf, *above), root = chain(leaf={"ca": True}, lower={"length": None})
    with pytest.raises(AppraisalRefusedError, match="end certificate"):
        build_path(leaf, above, [der(root)], at=NOW)
    with pytest.raises(AppraisalRefusedError, match="stands in it twice"):
        build_path(root, [], [der(root)], at=NOW)


def test_only_a_pinned_root_ends_a_path() -> None:
    (leaf, *above), root = chain()
    same_name = make("root", "root", ca=True, key=KEYS["other"], signer=KEYS["other"])
    renewed = make("root", "root", ca=True, ends=NOW + 2 * DAY)
    with pytest.raises(AppraisalRefusedError, match="no root is pinned"):
        build_path(leaf, [*above, root], [], at=NOW)
    with pytest.raises(AppraisalRefusedError, match="not end in a pinned root"):
        build_path(leaf, [*above, root], [der(same_name)], at=NOW)
    # the pinned key under another certificate: a root counts byte for byte
    assert build_path(leaf, above, [der(renewed)], at=NOW).certificates[-1] == renewed
    with pytest.raises(AppraisalRefusedError):
        build_path(leaf, [*above, renewed], [der(root)], at=NOW)
    assert build_path(leaf, above, [der(same_name), der(root)], at=NOW).certificates[-1] == root


def test_a_pinned_certificate_that_is_no_root_ends_no_path() -> None:
    (leaf, lower, upper), root = chain()
    with pytest.raises(AppraisalRefusedError, match="not signed by itself"):
        build_path(leaf, [lower], [der(upper)], at=NOW)
    assert build_path(leaf, [lower, upper], [der(root)], at=NOW).leaf == leaf


def test_intermediates_stand_in_order_and_none_is_left_over() -> None:
    (leaf, lower, upper), root = chain()
    for wrong in (
        [],
        [upper],
        [lower],
        [upper, lower],
        [lower, lower, upper],
        [lower, upper, leaf],
    ):
        with pytest.raises(AppraisalRefusedError):
            build_path(leaf, wrong, [der(root)], at=NOW)


def test_a_long_path_is_refused() -> None:
    names = [f"level{number}" for number in range(8)]
    KEYS.update({name: ec.generate_private_key(CURVE) for name in names})
    root = make("root", "root", ca=True)
    above = [
        make(name, issuer, ca=True)
        for name, issuer in zip(names, [*names[1:], "root"], strict=True)
    ]
    leaf = make("leaf", "level0", ca=False)
    with pytest.raises(AppraisalRefusedError, match="longer than"):
        build_path(leaf, above, [der(root)], at=NOW)
    short = make("leaf", "level4", ca=False)
    assert len(build_path(short, above[4:], [der(root)], at=NOW).certificates) == 6


def test_a_critical_extension_that_the_caller_checks_is_let_through() -> None:
    odd = ((x509.UnrecognizedExtension(ODD, b"\5\0"), True),)
    (leaf, *above), root = chain(leaf={"more": odd})
    assert build_path(leaf, above, [der(root)], at=NOW, understood=frozenset({ODD})).leaf == leaf


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024),
        ec.generate_private_key(ec.SECP224R1()),
        ec.generate_private_key(ec.SECP256K1()),
        ed448.Ed448PrivateKey.generate(),
    ],
    ids=["rsa-1024", "p-224", "secp256k1", "ed448"],
)
@pytest.mark.parametrize("which", ["leaf", "lower"])
def test_weak_or_unknown_keys_are_refused(which: str, key: Any) -> None:
    changes: dict[str, Any] = {which: {"key": key}}
    if which == "lower":
        digest = None if isinstance(key, ed448.Ed448PrivateKey) else hashes.SHA256()
        (_, *above), root = chain(**changes)
        builder = x509.CertificateBuilder().subject_name(name_of("leaf"))
        leaf = (
            builder.issuer_name(name_of("lower"))
            .public_key(KEYS["leaf"].public_key())
            .serial_number(5)
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + DAY)
            .sign(key, digest)
        )
    else:
        (leaf, *above), root = chain(**changes)
    with pytest.raises(AppraisalRefusedError, match="too weak"):
        build_path(leaf, above, [der(root)], at=NOW)


def test_sha1_signs_nothing() -> None:
    key = rsa.generate_private_key(65537, 2048)
    root = make("root", "root", ca=True, key=key, signer=key)
    good = make("leaf", "root", ca=False, signer=key)
    assert build_path(good, [], [der(root)], at=NOW).leaf == good
    sha256, sha1 = (bytes.fromhex("06092a864886f70d0101") + end for end in (b"\x0b", b"\x05"))
    signed = good.tbs_certificate_bytes.replace(sha256, sha1)
    resigned = key.sign(signed, padding.PKCS1v15(), hashes.SHA1())
    weak = read_certificate(der(good).replace(sha256, sha1).replace(good.signature, resigned))
    assert isinstance(weak.signature_hash_algorithm, hashes.SHA1)
    with pytest.raises(AppraisalRefusedError):
        build_path(weak, [], [der(root)], at=NOW)


# --- one encoding ---------------------------------------------------------------------------------

LEAF_DER = der(chain()[0][0])
VCEK = (VECTORS / "snp" / "milan-azure-vcek.der").read_bytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x00",
        b"\x30\x80\x00\x00",
        b"\x30\x84\xff\xff\xff\xff",
        LEAF_DER[:1],
        LEAF_DER[: len(LEAF_DER) // 2],
        LEAF_DER[:-1],
        LEAF_DER + b"\0",
        LEAF_DER + b"A",
        LEAF_DER + LEAF_DER,
        LEAF_DER + bytes(1 << 20),
        b"-----BEGIN CERTIFICATE-----",
        chain()[1].public_bytes(Encoding.PEM),
        b"\x30\x83\x00" + LEAF_DER[2:4] + LEAF_DER[4:],  # a length that is not the shortest
    ],
)
def test_what_is_not_exactly_one_certificate_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read_certificate(data)


@pytest.mark.parametrize("data", [LEAF_DER, VCEK], ids=["ours", "vcek"])
def test_no_flipped_bit_leaves_a_certificate_of_the_same_issuer(data: bytes) -> None:
    if data is VCEK:
        file = VECTORS / "snp" / "chain-vcek-milan.pem"
        issuer = read_pem_chain(file.read_bytes())[0]
    else:
        issuer = chain()[0][1]
        data = der(make("leaf", "lower", ca=False))
    assert issued_by(read_certificate(data), issuer)
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 1 << place % 8
        try:
            read = read_certificate(bytes(broken))
        except MalformedError:
            continue
        assert not issued_by(read, issuer), place


def test_amd_certificates_with_serial_number_0_are_read_without_a_warning() -> None:
    read = read_certificate(VCEK)  # warnings are errors here
    with pytest.warns(CryptographyDeprecationWarning, match="serial number"):
        assert read.serial_number == 0


def test_a_pem_chain_is_read_in_order_and_counted() -> None:
    (leaf, *above), root = chain()
    pem = b"".join(item.public_bytes(Encoding.PEM) for item in (leaf, *above, root))
    assert read_pem_chain(pem) == (leaf, *above, root)
    with pytest.raises(MalformedError, match="1 to 3"):
        read_pem_chain(pem, at_most=3)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"\0" * 100,
        b"-----BEGIN CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n" * 9,
        b"-----BEGIN CERTIFICATE-----\n" + b"A" * (1 << 20),
    ],
)
def test_what_is_no_pem_chain_is_malformed(pem: bytes) -> None:
    with pytest.raises(MalformedError):
        read_pem_chain(pem)


def test_a_certificate_over_the_cap_is_not_even_parsed() -> None:
    with pytest.raises(MalformedError, match="over"):
        read_certificate(b"\x30" * (MAX_CERTIFICATE_BYTES + 1))


def test_the_algorithm_outside_the_signed_part_is_the_one_inside() -> None:
    sha256 = bytes.fromhex("2a8648ce3d040302")
    assert LEAF_DER.count(sha256) == 2
    place = LEAF_DER.rindex(sha256) + len(sha256) - 1
    for other in (0x01, 0x03, 0x04, 0x7F):
        with pytest.raises(MalformedError, match="outside"):
            read_certificate(LEAF_DER[:place] + bytes([other]) + LEAF_DER[place + 1 :])
