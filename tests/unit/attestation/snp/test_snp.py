"""SEV-SNP: recorded reports give their values; each forged one fails the one check it breaks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from manatee.attestation import (
    AttestationResult,
    Endorsements,
    ExpectedBinding,
    GuestImage,
    Mark,
    ReferenceValues,
    appraise,
)
from manatee.attestation._certificates import read_certificate, read_pem_chain
from manatee.attestation._snp.endorsement import read_endorsed
from manatee.attestation._snp.reference import SnpReference
from manatee.attestation._snp.report import SIGNED_BYTES, parse_report
from manatee.attestation._snp.tcb import read_tcb
from manatee.attestation._snp.verifier import KIND, MEDIA_TYPE
from manatee.attestation._vendor_roots import der, vendor_chain
from manatee.errors import (
    AppraisalUnavailableError,
    AttestationError,
    MalformedError,
    ManateeError,
)
from manatee.records import Evidence, Tier, digest_bytes, to_base64

VECTORS = Path(__file__).parents[3] / "vectors"
EXPECTED = json.loads((VECTORS / "expected.json").read_bytes())
RUNTIME = digest_bytes(b"runtime")
ANYTHING = ExpectedBinding.exactly(b"\x01" * 64)

AT = {
    "milan-report": datetime(2026, 6, 1, tzinfo=UTC),
    "turin-report": datetime(2026, 6, 1, tzinfo=UTC),
    "genoa-v5-report": datetime(2026, 6, 1, tzinfo=UTC),
    "milan-azure-report": datetime(2024, 1, 1, tzinfo=UTC),
    "milan-vlek-report": datetime(2025, 6, 1, tzinfo=UTC),
    "milan-debug-report": datetime(2024, 1, 1, tzinfo=UTC),
}
LEAVES = {
    "milan-report": "milan-vcek.pem",
    "turin-report": "turin-vcek.pem",
    "genoa-v5-report": "genoa-v5-vcek.der",
    "milan-azure-report": "milan-azure-vcek.der",
    "milan-vlek-report": "milan-vlek.der",
    "milan-debug-report": "milan-debug-vcek.der",
}
FLOORS = {
    "Milan": {"bootloader": 2, "tee": 0, "snp": 5, "microcode": 68},
    "Genoa": {"bootloader": 10, "tee": 0, "snp": 27, "microcode": 27},
    "Turin": {"fmc": 1, "bootloader": 1, "tee": 1, "snp": 4, "microcode": 81},
}
LENIENT = SnpReference(
    minimum_tcb=FLOORS, signing_keys=("vcek", "vlek"), maximum_vmpl=3, require_alias_check=False
)


def report_bytes(name: str) -> bytes:
    return (VECTORS / "snp" / f"{name}.bin").read_bytes()


def leaf_der(file: str) -> bytes:
    data = (VECTORS / "snp" / file).read_bytes()
    return der(read_pem_chain(data)[0]) if file.endswith(".pem") else data


def references(
    measurement: str, snp: SnpReference | None = LENIENT, **members: Any
) -> ReferenceValues:
    image = GuestImage(kind=KIND, measurements={"measurement": measurement}, runtime_digest=RUNTIME)
    plain: dict[str, Any] = {"runtime_digests": (RUNTIME,), "roots": {}, "images": (image,)}
    return ReferenceValues(**(plain | {"snp": snp} | members))


def look(
    data: bytes,
    leaf: bytes,
    at: datetime,
    *,
    expected: ExpectedBinding | None = None,
    reference_values: ReferenceValues | None = None,
    more: tuple[bytes, ...] = (),
    revocations: tuple[bytes, ...] = (),
) -> AttestationResult:
    given = reference_values or references(data[0x90:0xC0].hex())
    bound = expected or ANYTHING
    if expected is None and len(data) > 0x90 and any(data[0x50:0x90]):
        bound = ExpectedBinding.exactly(data[0x50:0x90])
    return appraise(
        Evidence(media_type=MEDIA_TYPE, payload=to_base64(data)),
        at=at,
        expected_binding=bound,
        reference_values=given,
        max_age_seconds=None,
        endorsements=Endorsements(certificates=(leaf, *more), revocations=revocations),
    )


def failed(result: AttestationResult) -> list[str]:
    return [item.name for item in result.checks if item.mark is Mark.FAILED]


# --- recorded reports -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(AT))
def test_a_recorded_report_gives_its_values(name: str) -> None:
    result = look(report_bytes(name), leaf_der(LEAVES[name]), AT[name])
    want = EXPECTED[f"snp/{name}.bin"]
    claims = result.claims
    assert claims is not None
    assert result.tier is Tier.HARDWARE
    assert claims.measurements["measurement"] == want["measurement"]
    assert claims.measurements["host-data"] == want["host_data"]
    assert claims.measurements["id-key-digest"] == want["id_key_digest"]
    names = {"bl": "bootloader", "ucode": "microcode"}
    assert claims.tcb == {names.get(key, key): value for key, value in want["tcb"].items()}
    assert claims.vmpl == want["vmpl"]
    assert claims.debug is want["debug"]
    assert claims.migration is want["migma"]
    assert claims.platform == want["prod"].partition("-")[0]
    assert claims.chip_id == (want["chip"] if int(want["chip"], 16) else "")
    assert parse_report(report_bytes(name)).signing_key == want["signing"].lower()


@pytest.mark.parametrize(
    ("name", "checks"),
    [
        ("genoa-v5-report", []),
        ("milan-azure-report", []),
        ("milan-vlek-report", []),
        ("milan-report", ["binding"]),  # its report data is all zero, which binds nothing
        ("turin-report", ["binding"]),
        ("milan-debug-report", ["debug"]),
    ],
)
def test_a_recorded_report_is_accepted_or_refused_for_its_one_reason(
    name: str, checks: list[str]
) -> None:
    assert failed(look(report_bytes(name), leaf_der(LEAVES[name]), AT[name])) == checks


def test_report_data_of_ascii_is_matched_whole() -> None:
    data, leaf, at = (
        report_bytes("genoa-v5-report"),
        leaf_der("genoa-v5-vcek.der"),
        AT["genoa-v5-report"],
    )
    whole = b"hello-attestation".ljust(64, b"\0")
    assert look(data, leaf, at, expected=ExpectedBinding.exactly(whole)).accepted
    for wrong in (whole[:17], whole[:63], whole + b"\0", bytes([whole[0] ^ 1]) + whole[1:]):
        result = look(data, leaf, at, expected=ExpectedBinding.exactly(wrong))
        assert failed(result) == ["binding"]


@pytest.mark.parametrize("name", sorted(AT))
def test_evidence_expires_with_its_certificates(name: str) -> None:
    leaf = read_certificate(leaf_der(LEAVES[name]))
    for at in (
        leaf.not_valid_before_utc - timedelta(seconds=1),
        leaf.not_valid_after_utc + timedelta(seconds=1),
        datetime(2100, 1, 1, tzinfo=UTC),
    ):
        result = look(report_bytes(name), leaf_der(LEAVES[name]), at)
        assert "root" in failed(result)
        assert result.claims is None


@pytest.mark.parametrize("name", sorted(AT))
def test_one_flipped_bit_at_every_signed_byte_is_refused(name: str) -> None:
    data, leaf = report_bytes(name), leaf_der(LEAVES[name])
    good = references(data[0x90:0xC0].hex())
    bound = ExpectedBinding.exactly(data[0x50:0x90]) if any(data[0x50:0x90]) else ANYTHING
    for place in range(SIGNED_BYTES):
        broken = bytearray(data)
        broken[place] ^= 1 << place % 8
        try:
            result = look(bytes(broken), leaf, AT[name], expected=bound, reference_values=good)
        except ManateeError:
            continue
        assert "signature" in failed(result), place
        assert result.claims is None


@pytest.mark.parametrize("name", ["genoa-v5-report", "milan-azure-report"])
def test_every_byte_after_the_signed_part_counts_too(name: str) -> None:
    data, leaf = report_bytes(name), leaf_der(LEAVES[name])
    for place in range(SIGNED_BYTES, len(data)):
        broken = bytearray(data)
        broken[place] ^= 0x10
        try:
            result = look(bytes(broken), leaf, AT[name])
        except ManateeError:
            continue
        assert failed(result) == ["signature"], place


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[:1],
        lambda data: data[: len(data) // 4],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data + b"A",
        lambda data: data + bytes(1 << 16),
        lambda data: b"\0" * 4 + data[4:],
        lambda data: b"\1\0\0\0" + data[4:],
        lambda data: b"\6\0\0\0" + data[4:],
        lambda data: data[:0x34] + b"\2\0\0\0" + data[0x38:],
        lambda data: data[:-1] + b"\1",
        lambda data: data[:SIGNED_BYTES] + bytes(72) + data[SIGNED_BYTES + 72 :],
        lambda data: data[: SIGNED_BYTES + 72] + bytes(72) + data[SIGNED_BYTES + 144 :],
        lambda data: data[:SIGNED_BYTES] + b"\xff" * 48 + data[SIGNED_BYTES + 48 :],
        lambda data: data[: SIGNED_BYTES + 72] + b"\xff" * 72 + data[SIGNED_BYTES + 144 :],
    ],
)
def test_what_is_no_report_is_malformed(change: Callable[[bytes], bytes]) -> None:
    data = change(report_bytes("milan-report"))
    with pytest.raises(MalformedError):
        look(data, leaf_der("milan-vcek.pem"), AT["milan-report"])


@pytest.mark.parametrize("file", ["milan-azure-vcek-badsig-1.der", "milan-azure-vcek-badsig-2.der"])
def test_a_vcek_that_amd_did_not_sign_is_refused(file: str) -> None:
    result = look(report_bytes("milan-azure-report"), leaf_der(file), AT["milan-azure-report"])
    assert "root" in failed(result)
    assert result.claims is None


def test_the_vcek_of_another_report_is_refused() -> None:
    result = look(
        report_bytes("milan-report"), leaf_der("milan-azure-vcek.der"), AT["milan-report"]
    )
    assert {"signature", "chip", "tcb-endorsed"} <= set(failed(result))


def test_a_vcek_of_another_product_is_refused() -> None:
    result = look(report_bytes("milan-report"), leaf_der("genoa-v5-vcek.der"), AT["milan-report"])
    assert {"product", "signature"} <= set(failed(result))


@pytest.mark.parametrize("chain", ["chain-vlek-genoa", "chain-vcek-milan", "chain-vlek-turin"])
def test_a_vlek_below_another_chain_is_refused(chain: str) -> None:
    data = report_bytes("milan-vlek-report")
    upper = read_pem_chain((VECTORS / "snp" / f"{chain}.pem").read_bytes())
    given = references(data[0x90:0xC0].hex(), roots={KIND: (to_base64(der(upper[-1])),)})
    result = look(
        data,
        leaf_der("milan-vlek.der"),
        AT["milan-vlek-report"],
        reference_values=given,
        more=(der(upper[0]),),
    )
    assert "root" in failed(result)


def test_a_turin_tcb_is_not_read_as_milan() -> None:
    raw = parse_report(report_bytes("turin-report")).reported_tcb
    with pytest.raises(MalformedError):
        read_tcb(raw, "Milan")
    milan = parse_report(report_bytes("milan-report")).reported_tcb
    with pytest.raises(MalformedError):
        read_tcb(milan, "Turin")


def test_without_its_certificate_a_report_cannot_be_appraised() -> None:
    with pytest.raises(AppraisalUnavailableError, match="VCEK"):
        look(report_bytes("milan-report"), leaf_der("milan-vlek.der"), AT["milan-report"])
    with pytest.raises(AppraisalUnavailableError, match="VLEK"):
        look(report_bytes("milan-vlek-report"), leaf_der("milan-vcek.pem"), AT["milan-report"])


@pytest.mark.parametrize(
    ("conditions", "check"),
    [
        ({"signing_keys": ("vlek",)}, "signing-key"),
        ({"chip_ids": ()}, "chip"),
        ({"chip_ids": ("00" * 64,)}, "chip"),
        ({"minimum_tcb": {}}, "tcb"),
        ({"minimum_tcb": {"Genoa": {}}}, "tcb"),
        ({"minimum_tcb": {"Genoa": {"bootloader": 1}}}, "tcb"),
        ({"allow_smt": False}, None),
        ({"require_single_socket": True}, "single-socket"),
    ],
)
def test_each_condition_of_the_relying_party_is_asked(
    conditions: dict[str, Any], check: str | None
) -> None:
    data = report_bytes("genoa-v5-report")
    snp = msgspec.structs.replace(LENIENT, **conditions)
    result = look(
        data,
        leaf_der("genoa-v5-vcek.der"),
        AT["genoa-v5-report"],
        reference_values=references(data[0x90:0xC0].hex(), snp),
    )
    assert failed(result) == ([check] if check else ["smt"])


def test_a_minimum_one_above_each_component_is_refused() -> None:
    data = report_bytes("genoa-v5-report")
    for component in FLOORS["Genoa"]:
        raised = {**FLOORS["Genoa"], component: FLOORS["Genoa"][component] + 1}
        snp = msgspec.structs.replace(LENIENT, minimum_tcb={"Genoa": raised})
        result = look(
            data,
            leaf_der("genoa-v5-vcek.der"),
            AT["genoa-v5-report"],
            reference_values=references(data[0x90:0xC0].hex(), snp),
        )
        assert failed(result) == ["tcb"]


def test_the_default_conditions_ask_for_the_alias_check_and_vmpl_0() -> None:
    data = report_bytes("milan-azure-report")
    strict = references(data[0x90:0xC0].hex(), SnpReference(minimum_tcb=FLOORS))
    result = look(
        data, leaf_der("milan-azure-vcek.der"), AT["milan-azure-report"], reference_values=strict
    )
    assert failed(result) == ["alias-check"]
    data = report_bytes("milan-vlek-report")
    strict = references(data[0x90:0xC0].hex(), SnpReference(minimum_tcb=FLOORS))
    result = look(
        data, leaf_der("milan-vlek.der"), AT["milan-vlek-report"], reference_values=strict
    )
    assert failed(result) == ["signing-key", "vmpl"]


def test_a_kind_without_conditions_and_an_image_nobody_knows_are_refused() -> None:
    data, leaf, at = (
        report_bytes("genoa-v5-report"),
        leaf_der("genoa-v5-vcek.der"),
        AT["genoa-v5-report"],
    )
    result = look(data, leaf, at, reference_values=references(data[0x90:0xC0].hex(), None))
    assert "allowed-kind" in failed(result)
    result = look(data, leaf, at, reference_values=references("00" * 48))
    assert failed(result) == ["image"]
    assert result.claims is not None
    assert result.claims.runtime_digest is None


def test_an_empty_list_of_roots_pins_none() -> None:
    data = report_bytes("genoa-v5-report")
    given = references(data[0x90:0xC0].hex(), roots={KIND: ()})
    result = look(
        data, leaf_der("genoa-v5-vcek.der"), AT["genoa-v5-report"], reference_values=given
    )
    assert "root" in failed(result)


def test_a_shipped_root_that_was_changed_is_noticed() -> None:
    with pytest.raises(AttestationError, match="not the one pinned"):
        vendor_chain("_snp", "vcek-milan.pem", "00" * 32)


# --- forged: a processor of our own, so that only one thing is wrong ------------------------------

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: str,
    issuer: str,
    key: Any,
    signer: rsa.RSAPrivateKey,
    *,
    ca: bool,
    extensions: dict[str, bytes] | None = None,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
    )
    if ca:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=1), critical=True
        )
    for oid, value in (extensions or {}).items():
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), critical=False
        )
    pss = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
    return builder.sign(signer, hashes.SHA384(), rsa_padding=pss)


ARK_KEY = rsa.generate_private_key(65537, 2048)
ASK_KEY = rsa.generate_private_key(65537, 2048)
VCEK_KEY = ec.generate_private_key(ec.SECP384R1())
ARK = _certificate("ARK-Genoa", "ARK-Genoa", ARK_KEY, ARK_KEY, ca=True)
ASK = _certificate("SEV-Genoa", "ARK-Genoa", ASK_KEY, ARK_KEY, ca=True)
ARC = "1.3.6.1.4.1.3704.1"
CHIP = bytes(range(64))


def vcek(**changes: bytes | None) -> x509.Certificate:
    plain: dict[str, bytes | None] = {
        "1": b"\x02\x01\x01",
        "2": b"\x16\x05Genoa",
        "3.1": b"\x02\x01\x0a",
        "3.2": b"\x02\x01\x00",
        "3.3": b"\x02\x01\x1b",
        "3.8": b"\x02\x01\x1b",
        "4": CHIP,
    }
    chosen = plain | {
        key.removeprefix("x").replace("_", "."): value for key, value in changes.items()
    }
    extensions = {f"{ARC}.{key}": value for key, value in chosen.items() if value is not None}
    return _certificate("SEV-VCEK", "SEV-Genoa", VCEK_KEY, ASK_KEY, ca=False, extensions=extensions)


@dataclass
class Forge:
    """A report with chosen bytes at chosen places, signed by our own VCEK."""

    places: dict[int, bytes] = field(default_factory=dict)
    leaf: x509.Certificate = field(default_factory=vcek)

    def look(self, conditions: dict[str, Any] | None = None, **kwargs: Any) -> AttestationResult:
        data = bytearray(report_bytes("genoa-v5-report"))
        data[0x1A0:0x1E0] = CHIP
        for place, value in self.places.items():
            data[place : place + len(value)] = value
        der_signature = VCEK_KEY.sign(bytes(data[:SIGNED_BYTES]), ec.ECDSA(hashes.SHA384()))
        r, s = decode_dss_signature(der_signature)
        data[SIGNED_BYTES : SIGNED_BYTES + 144] = r.to_bytes(72, "little") + s.to_bytes(
            72, "little"
        )
        snp = msgspec.structs.replace(
            SnpReference(minimum_tcb=FLOORS, require_alias_check=True), **(conditions or {})
        )
        given = references(bytes(data[0x90:0xC0]).hex(), snp, roots={KIND: (to_base64(der(ARK)),)})
        return look(
            bytes(data), der(self.leaf), NOW, reference_values=given, more=(der(ASK),), **kwargs
        )


def test_the_forge_itself_is_accepted_by_whoever_pins_it() -> None:
    assert failed(Forge().look()) == []


def policy(extra: int) -> dict[int, bytes]:
    return {0x08: (0x30000 | extra).to_bytes(8, "little")}


@pytest.mark.parametrize(
    ("places", "check"),
    [
        (policy(1 << 19), "debug"),
        (policy(1 << 18), "migration"),
        ({0x160: bytes(32)}, "migration"),
        ({0x30: b"\1\0\0\0"}, "vmpl"),
        ({0x40: b"\x05" + bytes(7)}, "alias-check"),
        ({0x1A0: bytes(64)}, "chip"),
        ({0x180: bytes([9, 0, 0, 0, 0, 0, 27, 27])}, "tcb-endorsed"),
        ({0x38: bytes([10, 0, 0, 0, 0, 0, 27, 26])}, "tcb"),  # current below reported
        ({0x1F0: bytes([10, 0, 0, 0, 0, 0, 26, 27])}, "tcb"),  # launched before the floor
        ({0x48: b"\x04\0\0\0"}, None),  # says VLEK, and there is none
    ],
)
def test_each_lie_of_a_genuine_processor_fails_its_check(
    places: dict[int, bytes], check: str | None
) -> None:
    if check is None:
        with pytest.raises(AppraisalUnavailableError):
            Forge(places).look()
    else:
        found = failed(Forge(places).look())
        assert check in found
        assert set(found) <= {check, "tcb"}


@pytest.mark.parametrize(
    "changes",
    [
        {"x3_1": b"\x02\x01\x0b"},
        {"x3_1": b"\x02\x01\x09"},
        {"x3_2": b"\x02\x01\x01"},
        {"x3_3": b"\x02\x01\x1c"},
        {"x3_8": b"\x02\x01\x1a"},
        {"x3_8": None},
        {"x3_9": b"\x02\x01\x00"},
    ],
)
def test_a_certificate_for_another_tcb_is_refused(changes: dict[str, bytes | None]) -> None:
    assert failed(Forge(leaf=vcek(**changes)).look()) == ["tcb-endorsed"]


def test_a_certificate_of_another_chip_is_refused() -> None:
    assert failed(Forge(leaf=vcek(x4=bytes(64))).look()) == ["chip"]


@pytest.mark.parametrize(
    "changes",
    [
        {"x2": b"\x16\x05Gen"},
        {"x2": b"\x0c\x05Genoa"},
        {"x2": b"\x16\x05Gen\xffa"},
        {"x2": b""},
        {"x3_1": b""},
        {"x3_1": b"\x02\x01\xff"},
        {"x3_1": b"\x02\x02\x00\x05"},
        {"x3_1": b"\x04\x01\x05"},
        {"x3_4": b"\x02\x01\x01"},
        {"x4": b"short"},
        {"x4": None},
        {"x5": b"\x16\x01c"},
        {"x4": None, "x5": b"\x16\x00"},
    ],
)
def test_a_certificate_with_bad_extensions_is_malformed(changes: dict[str, bytes | None]) -> None:
    with pytest.raises(MalformedError):
        read_endorsed(vcek(**changes))


@pytest.mark.parametrize("product", [b"\x16\x05Milan", b"\x16\x05Turin", b"\x16\x06Venice"])
def test_a_certificate_of_another_product_is_refused(product: bytes) -> None:
    assert "product" in failed(Forge(leaf=vcek(x2=product)).look())


def test_an_unknown_processor_is_refused() -> None:
    assert "product" in failed(Forge({0x188: b"\x1b\x00"}).look())


def test_two_leaves_are_one_too_many() -> None:
    other = vcek(x1=b"\x02\x01\x00")
    with pytest.raises(AttestationError, match="2 VCEK"):
        Forge().look(revocations=(), expected=None) and look(
            report_bytes("milan-report"), der(other), NOW, more=(leaf_der("milan-vcek.pem"),)
        )


def _crl(serials: list[int], signer: rsa.RSAPrivateKey, *, ends: datetime) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(_name("ARK-Genoa"))
        .last_update(NOW - timedelta(hours=1))
        .next_update(ends)
    )
    for serial in serials:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(serial)
            .revocation_date(NOW - timedelta(hours=2))
            .build()
        )
    pss = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
    return builder.sign(signer, hashes.SHA384(), rsa_padding=pss).public_bytes(Encoding.DER)


def test_a_certificate_that_amd_revoked_is_refused() -> None:
    tomorrow = NOW + timedelta(days=1)
    assert failed(Forge().look(revocations=(_crl([8], ARK_KEY, ends=tomorrow),))) == []
    revoked = Forge().look(revocations=(_crl([7], ARK_KEY, ends=tomorrow),))
    assert {"root", "signature"} == set(failed(revoked))


def test_a_revocation_list_by_somebody_else_is_refused() -> None:
    forged = _crl([], ASK_KEY, ends=NOW + timedelta(days=1))
    assert "root" in failed(Forge().look(revocations=(forged,)))


def test_an_old_revocation_list_leaves_the_question_open() -> None:
    old = _crl([], ARK_KEY, ends=NOW - timedelta(minutes=1))
    with pytest.raises(AppraisalUnavailableError, match="not in force"):
        Forge().look(revocations=(old,))
    with pytest.raises(MalformedError):
        Forge().look(revocations=(b"not a list",))
