"""TDX: recorded quotes give their values; each forged one fails the one check it breaks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
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
from manatee.attestation._certificates import read_certificate
from manatee.attestation._tdx.quote import parse_quote
from manatee.attestation._tdx.reference import TdxReference
from manatee.attestation._tdx.verifier import KIND, MEDIA_TYPE
from manatee.errors import (
    AppraisalUnavailableError,
    AttestationError,
    MalformedError,
    ManateeError,
)
from manatee.records import Evidence, Tier, digest_bytes, to_base64

VECTORS = Path(__file__).parents[3] / "vectors"
TDX = VECTORS / "tdx"
EXPECTED = json.loads((VECTORS / "expected.json").read_bytes())
RUNTIME = digest_bytes(b"runtime")
JULY = datetime(2025, 7, 1, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
AT = {"v4-b0c06f": JULY, "v5-90c06f": APRIL}


def quote_bytes(name: str) -> bytes:
    return (TDX / f"{name}.quote").read_bytes()


def inner(file: str, member: str) -> tuple[str, str]:
    """Return the exact text of a signed inner object, and its signature."""
    text = (TDX / "collateral-2026-03" / file).read_text()
    start = text.index(f'"{member}":') + len(member) + 3
    _, end = json.JSONDecoder().raw_decode(text, start)
    return text[start:end], json.loads(text)["signature"]


def pem_of(certificates: tuple[bytes, ...]) -> str:
    return "".join(
        read_certificate(item).public_bytes(Encoding.PEM).decode() for item in certificates
    )


def march_2026(fmspc: str) -> dict[str, str]:
    folder = TDX / "collateral-2026-03"
    chain = parse_quote(quote_bytes("v5-90c06f"))[0].certificates
    tcb_info, tcb_signature = inner(f"tcb_info_{fmspc}.json", "tcbInfo")
    identity, identity_signature = inner("td_qe_identity.json", "enclaveIdentity")
    return {
        "pck_crl_issuer_chain": pem_of(chain[1:]),
        "root_ca_crl": (folder / "root_ca_crl.der").read_bytes().hex(),
        "pck_crl": (folder / "pck_crl_platform.der").read_bytes().hex(),
        "tcb_info_issuer_chain": (folder / "tcb_signing_chain.pem").read_text(),
        "tcb_info": tcb_info,
        "tcb_info_signature": tcb_signature,
        "qe_identity_issuer_chain": (folder / "qe_identity_signing_chain.pem").read_text(),
        "qe_identity": identity,
        "qe_identity_signature": identity_signature,
    }


def july_2025() -> dict[str, str]:
    return dict(json.loads((TDX / "v4-b0c06f.collateral.json").read_bytes()))


DOCUMENTS = {
    "intel-tdx/b0c06f000000": json.dumps(july_2025()).encode(),
    "intel-tdx/90c06f000000": json.dumps(march_2026("90c06f000000")).encode(),
    "intel-tdx/50806f000000": json.dumps(march_2026("50806f000000")).encode(),
}


def references(quote: bytes, **members: Any) -> ReferenceValues:
    fields = parse_quote(quote)[0]
    image = GuestImage(
        kind=KIND,
        measurements={
            "mrtd": fields.mr_td.hex(),
            **{f"rtmr{number}": item.hex() for number, item in enumerate(fields.rtmrs)},
        },
        runtime_digest=RUNTIME,
    )
    plain: dict[str, Any] = {
        "runtime_digests": (RUNTIME,),
        "roots": {},
        "images": (image,),
        "tdx": TdxReference(),
    }
    return ReferenceValues(**(plain | members))


def look(
    quote: bytes,
    at: datetime,
    *,
    given: ReferenceValues | None = None,
    expected: ExpectedBinding | None = None,
    documents: dict[str, bytes] | None = None,
) -> AttestationResult:
    if expected is None:
        expected = ExpectedBinding.exactly(parse_quote(quote)[0].report_data)
    return appraise(
        Evidence(media_type=MEDIA_TYPE, payload=to_base64(quote)),
        at=at,
        expected_binding=expected,
        reference_values=given or references(quote),
        max_age_seconds=None,
        endorsements=Endorsements(documents=DOCUMENTS if documents is None else documents),
    )


def failed(result: AttestationResult) -> list[str]:
    return [item.name for item in result.checks if item.mark is Mark.FAILED]


NOT_SIGNED = {"signature", "tcb-status", "advisories"}


# --- recorded quotes ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(AT))
def test_a_recorded_quote_is_accepted_with_its_values(name: str) -> None:
    result = look(quote_bytes(name), AT[name])
    want = EXPECTED[f"tdx/{name}.quote"]
    assert failed(result) == []
    assert result.tier is Tier.HARDWARE
    claims = result.require()
    assert claims.measurements["mrtd"] == want["mrtd"]
    assert [claims.measurements[f"rtmr{number}"] for number in range(4)] == want["rtmr"]
    assert claims.measurements["mrseam"] == want["mrseam"]
    assert claims.measurements["mrconfigid"] == want["mrconfigid"]
    assert claims.measurements["xfam"] == want["xfam"]
    assert claims.measurements["td-attributes"] == want["attrs"]
    assert bytes(claims.tcb.values()).hex() == want["tee_tcb_svn"]
    assert claims.platform == f"FMSPC {want['fmspc'].lower()}"
    assert claims.tcb_status == want["dcap_qvl_0_7_0"]["status"]
    assert claims.advisories == tuple(want["dcap_qvl_0_7_0"]["advisories"])
    assert claims.runtime_digest == RUNTIME
    quote, exact = parse_quote(quote_bytes(name))
    assert quote.version == want["ver"]
    assert len(quote_bytes(name)) - len(exact) == want["trail"]


@pytest.mark.parametrize(
    ("name", "at", "also"),
    [
        ("v4-b0c06f", datetime(2025, 8, 1, tzinfo=UTC), {"collateral"}),  # TCB info expired
        ("v4-b0c06f", datetime(2025, 6, 1, tzinfo=UTC), {"collateral"}),  # issued in the future
        ("v4-b0c06f", datetime(2026, 11, 1, tzinfo=UTC), {"collateral"}),
        ("v4-50806f-debug", APRIL, {"debug"}),
        ("v5-90c06f-oldtcb", APRIL, {"migration"}),
    ],
)
def test_a_recorded_quote_is_refused_for_its_reason(
    name: str, at: datetime, also: set[str]
) -> None:
    result = look(quote_bytes(name), at)
    assert set(failed(result)) == NOT_SIGNED | also
    assert result.claims is None


@pytest.mark.parametrize("name", ["sgx-v3", "v4-50806f-trailing"])
def test_an_sgx_quote_and_trailing_bytes_are_malformed(name: str) -> None:
    with pytest.raises(MalformedError):
        parse_quote(quote_bytes(name))


@pytest.mark.parametrize("name", sorted(AT))
def test_one_flipped_bit_at_every_byte_is_refused(name: str) -> None:
    whole = quote_bytes(name)
    exact = parse_quote(whole)[1]
    given = references(whole)
    expected = ExpectedBinding.exactly(parse_quote(whole)[0].report_data)
    survived = []
    for place in range(len(exact)):
        broken = bytearray(exact)
        broken[place] ^= 1 << place % 8
        try:
            result = look(bytes(broken), AT[name], given=given, expected=expected)
        except ManateeError:
            continue
        if not failed(result):
            survived.append(place)
    # four header bytes that Intel reserves, and PEM text that stands for the same certificates
    assert [place for place in survived if not 8 <= place < 12] == []


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[:1],
        lambda data: data[: len(data) // 4],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"A",
        lambda data: data + bytes(4097),
        lambda data: data + bytes(1 << 20),
        lambda data: b"\3\0" + data[2:],
        lambda data: b"\6\0" + data[2:],
        lambda data: data[:2] + b"\3\0" + data[4:],
        lambda data: data[:4] + bytes(4) + data[8:],
        lambda data: data[:12] + bytes(16) + data[28:],
        lambda data: data[:632] + b"\xff\xff\xff\xff" + data[636:],
        lambda data: data[:764] + b"\5\0" + data[766:],
    ],
)
def test_what_is_no_quote_is_malformed(change: Callable[[bytes], bytes]) -> None:
    exact = parse_quote(quote_bytes("v4-b0c06f"))[1]
    with pytest.raises(MalformedError):
        parse_quote(change(exact))


def test_zero_padding_is_no_part_of_a_quote() -> None:
    quote = quote_bytes("v5-90c06f")
    assert look(quote + bytes(100), APRIL).accepted


@pytest.mark.parametrize("length", [0, 63, 65])
def test_report_data_is_matched_whole(length: int) -> None:
    quote = quote_bytes("v5-90c06f")
    data = (parse_quote(quote)[0].report_data + b"\1")[:length] or b"\1"
    assert failed(look(quote, APRIL, expected=ExpectedBinding.exactly(data))) == ["binding"]


def test_report_data_off_by_one_bit_is_refused() -> None:
    quote = quote_bytes("v5-90c06f")
    data = bytearray(parse_quote(quote)[0].report_data)
    data[63] ^= 1
    result = look(quote, APRIL, expected=ExpectedBinding.exactly(bytes(data)))
    assert failed(result) == ["binding"]


@pytest.mark.parametrize(
    ("conditions", "check"),
    [
        ({"tcb_statuses": ()}, "tcb-status"),
        ({"tcb_statuses": ("OutOfDate",)}, "tcb-status"),
        ({"maximum_collateral_age_seconds": 86400}, "collateral"),
        ({"minimum_tcb_evaluation_number": 1000}, "tcb-evaluation"),
        ({"fmspcs": ()}, "platform"),
        ({"fmspcs": ("b0c06f000000",)}, "platform"),
    ],
)
def test_each_condition_of_the_relying_party_is_asked(
    conditions: dict[str, Any], check: str
) -> None:
    quote = quote_bytes("v5-90c06f")
    tdx = msgspec.structs.replace(TdxReference(), **conditions)
    assert failed(look(quote, APRIL, given=references(quote, tdx=tdx))) == [check]


def test_a_kind_without_conditions_is_refused() -> None:
    quote = quote_bytes("v5-90c06f")
    assert "allowed-kind" in failed(look(quote, APRIL, given=references(quote, tdx=None)))


def test_an_image_nobody_knows_is_refused() -> None:
    quote = quote_bytes("v5-90c06f")
    assert failed(look(quote, APRIL, given=references(quote, images=()))) == ["image"]


@pytest.mark.parametrize("roots", [(), (to_base64(b"another"),)])
def test_another_root_is_refused(roots: tuple[str, ...]) -> None:
    quote = quote_bytes("v5-90c06f")
    result = look(quote, APRIL, given=references(quote, roots={KIND: roots}))
    assert set(failed(result)) == NOT_SIGNED


def test_without_collateral_a_quote_cannot_be_appraised() -> None:
    with pytest.raises(AppraisalUnavailableError, match="90c06f000000"):
        look(quote_bytes("v5-90c06f"), APRIL, documents={})


def test_collateral_of_another_platform_is_refused() -> None:
    other = {"intel-tdx/90c06f000000": DOCUMENTS["intel-tdx/50806f000000"]}
    result = look(quote_bytes("v5-90c06f"), APRIL, documents=other)
    assert set(failed(result)) == NOT_SIGNED
    reasons = [item.reason for item in result.checks if item.name == "signature"]
    assert "Fmspc mismatch" in reasons[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found | {"tcb_info_signature": found["qe_identity_signature"]},
        lambda found: found | {"qe_identity_signature": found["tcb_info_signature"]},
        lambda found: found | {"tcb_info": found["tcb_info"].replace('"svn":', '"svn": ', 1)},
        lambda found: found | {"tcb_info": found["tcb_info"].replace("UpToDate", "UpToDatf", 1)},
        lambda found: found | {"root_ca_crl": found["pck_crl"]},
        lambda found: found | {"pck_crl": found["root_ca_crl"]},
    ],
)
def test_collateral_that_was_changed_is_refused(
    change: Callable[[dict[str, str]], dict[str, str]],
) -> None:
    document = json.dumps(change(march_2026("90c06f000000"))).encode()
    result = look(quote_bytes("v5-90c06f"), APRIL, documents={"intel-tdx/90c06f000000": document})
    assert "signature" in failed(result)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"[]",
        json.dumps(march_2026("90c06f000000") | {"more": "x"}).encode(),
        json.dumps(march_2026("90c06f000000") | {"root_ca_crl": "zz"}).encode(),
        json.dumps(march_2026("90c06f000000") | {"tcb_info": "[]"}).encode(),
        json.dumps(march_2026("90c06f000000") | {"tcb_info": "{}"}).encode(),
        json.dumps(march_2026("90c06f000000") | {"tcb_info": "{" * 5000}).encode(),
        json.dumps(march_2026("90c06f000000") | {"qe_identity": '{"issueDate":1}'}).encode(),
        b" " * (2 << 20),
    ],
)
def test_collateral_that_is_none_is_malformed(document: bytes) -> None:
    with pytest.raises(ManateeError) as error:
        look(quote_bytes("v5-90c06f"), APRIL, documents={"intel-tdx/90c06f000000": document})
    assert not isinstance(error.value, AttestationError)


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "dcap_qvl", None)
    with pytest.raises(AttestationError, match="attest"):
        look(quote_bytes("v4-b0c06f"), JULY)


# --- forged: a platform of our own, so that only one thing is wrong -------------------------------


class ForgedIntel:
    """A root, PCK chain, quoting enclave and collateral of our own, with Intel's own values."""

    def __init__(self) -> None:
        self.genuine = parse_quote(quote_bytes("v5-90c06f"))[0]
        self.keys = {
            name: ec.generate_private_key(ec.SECP256R1()) for name in "root ca pck tcb ak".split()
        }
        real = [read_certificate(item) for item in self.genuine.certificates]
        self.root = self._certificate(real[2].subject, real[2].subject, "root", "root", ca=True)
        self.ca = self._certificate(real[1].subject, real[2].subject, "ca", "root", ca=True)
        sgx = next(
            item for item in real[0].extensions if item.oid.dotted_string == "1.2.840.113741.1.13.1"
        )
        self.pck = self._certificate(
            real[0].subject, real[1].subject, "pck", "ca", ca=False, more=sgx.value
        )
        tcb_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Intel SGX TCB Signing")])
        self.tcb = self._certificate(tcb_name, real[2].subject, "tcb", "root", ca=False)
        plain = march_2026("90c06f000000")
        self.tcb_info: dict[str, Any] = json.loads(plain["tcb_info"])
        self.identity: dict[str, Any] = json.loads(plain["qe_identity"])
        self.revoked: list[int] = []
        self.body: dict[int, bytes] = {}
        self.qe: dict[int, bytes] = {}
        self.auth = b"\5" * 32
        self.qe_hash_tail = bytes(32)

    def _certificate(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: str,
        signer: str,
        *,
        ca: bool,
        more: x509.ExtensionType | None = None,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(self.keys[key].public_key())
            .serial_number(1000 + len(key))
            .not_valid_before(APRIL - timedelta(days=30))
            .not_valid_after(APRIL + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self.keys[key].public_key()),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.keys[signer].public_key()),
                critical=False,
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not ca,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=ca,
                    crl_sign=ca,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        )
        if more is not None:
            builder = builder.add_extension(more, critical=False)
        return builder.sign(self.keys[signer], hashes.SHA256())

    def _crl(self, issuer: x509.Certificate, signer: str, serials: list[int]) -> str:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.subject)
            .last_update(APRIL - timedelta(days=2))
            .next_update(APRIL + timedelta(days=20))
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.keys[signer].public_key()),
                critical=False,
            )
        )
        for serial in serials:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(serial)
                .revocation_date(APRIL - timedelta(days=3))
                .build()
            )
        return builder.sign(self.keys[signer], hashes.SHA256()).public_bytes(Encoding.DER).hex()

    def _sign(self, key: str, data: bytes) -> bytes:
        r, s = decode_dss_signature(self.keys[key].sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def collateral(self) -> dict[str, bytes]:
        chain = self.tcb.public_bytes(Encoding.PEM) + self.root.public_bytes(Encoding.PEM)
        texts = [json.dumps(item, separators=(",", ":")) for item in (self.tcb_info, self.identity)]
        document = {
            "pck_crl_issuer_chain": (
                self.ca.public_bytes(Encoding.PEM) + self.root.public_bytes(Encoding.PEM)
            ).decode(),
            "root_ca_crl": self._crl(self.root, "root", []),
            "pck_crl": self._crl(self.ca, "ca", self.revoked),
            "tcb_info_issuer_chain": chain.decode(),
            "tcb_info": texts[0],
            "tcb_info_signature": self._sign("tcb", texts[0].encode()).hex(),
            "qe_identity_issuer_chain": chain.decode(),
            "qe_identity": texts[1],
            "qe_identity_signature": self._sign("tcb", texts[1].encode()).hex(),
        }
        return {"intel-tdx/90c06f000000": json.dumps(document).encode()}

    def quote(self) -> bytes:
        data = bytearray(parse_quote(quote_bytes("v5-90c06f"))[1])
        body_bytes = int.from_bytes(data[50:54], "little")
        start, end = 54, 54 + body_bytes
        for place, value in self.body.items():
            data[start + place : start + place + len(value)] = value
        signed = bytes(data[:end])
        public = self.keys["ak"].public_key().public_numbers()
        raw = public.x.to_bytes(32, "big") + public.y.to_bytes(32, "big")
        report = bytearray(data[end + 4 + 134 : end + 4 + 134 + 384])
        for place, value in self.qe.items():
            report[place : place + len(value)] = value
        report[320:384] = hashlib.sha256(raw + self.auth).digest() + self.qe_hash_tail
        pem = pem_of(
            tuple(item.public_bytes(Encoding.DER) for item in (self.pck, self.ca, self.root))
        ).encode()
        certification = (
            bytes(report)
            + self._sign("pck", bytes(report))
            + len(self.auth).to_bytes(2, "little")
            + self.auth
            + b"\5\0"
            + len(pem).to_bytes(4, "little")
            + pem
        )
        signature = (
            self._sign("ak", signed)
            + raw
            + b"\6\0"
            + len(certification).to_bytes(4, "little")
            + certification
        )
        return signed + len(signature).to_bytes(4, "little") + signature

    def look(self, **conditions: Any) -> AttestationResult:
        quote = self.quote()
        given = references(
            quote,
            roots={KIND: (to_base64(self.root.public_bytes(Encoding.DER)),)},
            tdx=msgspec.structs.replace(TdxReference(), **conditions),
        )
        return look(quote, APRIL, given=given, documents=self.collateral())


@pytest.fixture
def intel() -> ForgedIntel:
    return ForgedIntel()


def test_the_forged_platform_is_accepted_by_whoever_pins_it(intel: ForgedIntel) -> None:
    result = intel.look()
    assert failed(result) == [], [item.reason for item in result.checks]


ATTRIBUTES = 120


@pytest.mark.parametrize(
    ("place", "value", "checks"),
    [
        (ATTRIBUTES, (1 << 29 | 1 << 28).to_bytes(8, "little"), {"migration"}),
        (ATTRIBUTES, bytes(8), {"sept-ve"}),
        (ATTRIBUTES, (1 << 28 | 1 << 20).to_bytes(8, "little"), {"attributes"}),
        (ATTRIBUTES, (1 << 28 | 1).to_bytes(8, "little"), {"debug"} | NOT_SIGNED),
        (ATTRIBUTES, (1 << 28 | 1 << 4).to_bytes(8, "little"), {"debug"} | NOT_SIGNED),
    ],
)
def test_each_lie_of_a_genuine_platform_fails_its_check(
    intel: ForgedIntel, place: int, value: bytes, checks: set[str]
) -> None:
    intel.body[place] = value
    found = set(failed(intel.look()))
    assert checks & found
    assert found <= checks | NOT_SIGNED


def test_a_module_of_another_signer_is_refused(intel: ForgedIntel) -> None:
    intel.body[64] = b"\1" * 48
    assert "module" in failed(intel.look())


def test_seam_attributes_are_refused(intel: ForgedIntel) -> None:
    intel.body[112] = b"\1"
    assert "module" in failed(intel.look())


def test_a_revoked_pck_certificate_is_refused(intel: ForgedIntel) -> None:
    intel.revoked = [intel.pck.serial_number]
    assert set(failed(intel.look())) == NOT_SIGNED


@pytest.mark.parametrize(
    ("member", "value"),
    [("mrsigner", "00" * 32), ("isvprodid", 99), ("issueDate", "2027-01-01T00:00:00Z")],
)
def test_cve_2026_22696_a_quoting_enclave_of_another_identity_is_refused(
    intel: ForgedIntel, member: str, value: object
) -> None:
    intel.identity[member] = value
    assert NOT_SIGNED <= set(failed(intel.look()))


def test_an_enclave_that_is_no_quoting_enclave_is_refused(intel: ForgedIntel) -> None:
    intel.qe[128] = b"\7" * 32  # MRSIGNER of the QE report
    assert set(failed(intel.look())) == NOT_SIGNED


def test_a_debuggable_quoting_enclave_is_refused(intel: ForgedIntel) -> None:
    intel.qe[48] = b"\x13"
    assert set(failed(intel.look())) == NOT_SIGNED


def test_bytes_after_the_hash_in_the_qe_report_are_refused(intel: ForgedIntel) -> None:
    intel.qe_hash_tail = bytes(31) + b"\1"
    with pytest.raises(MalformedError, match="QE report"):
        intel.quote() and parse_quote(intel.quote())


def test_an_attestation_key_that_the_qe_did_not_certify_is_refused(intel: ForgedIntel) -> None:
    quote = bytearray(intel.quote())
    other = ForgedIntel()
    at = len(quote) - 100
    assert at > 0
    intel.keys["ak"] = other.keys["ak"]
    signed_by_other = intel.quote()
    # the other key's signature and public key, over the first key's QE report
    end = 54 + int.from_bytes(quote[50:54], "little") + 4
    mixed = bytes(quote[:end]) + signed_by_other[end : end + 128] + bytes(quote[end + 128 :])
    given = references(mixed, roots={KIND: (to_base64(intel.root.public_bytes(Encoding.DER)),)})
    result = look(mixed, APRIL, given=given, documents=intel.collateral())
    assert set(failed(result)) == NOT_SIGNED


@pytest.mark.parametrize(
    ("status", "accepted"),
    [("SWHardeningNeeded", False), ("OutOfDate", False), ("Revoked", False), ("UpToDate", True)],
)
def test_the_status_is_appraised_and_not_only_returned(
    intel: ForgedIntel, status: str, accepted: bool
) -> None:
    for level in intel.tcb_info["tcbLevels"]:
        level["tcbStatus"] = status
    assert intel.look().accepted is accepted


def test_an_open_advisory_is_refused_unless_the_relying_party_names_others(
    intel: ForgedIntel,
) -> None:
    for level in intel.tcb_info["tcbLevels"]:
        level["advisoryIDs"] = ["INTEL-SA-09999"]
    assert failed(intel.look()) == ["advisories"]
    assert failed(intel.look(refused_advisories=("INTEL-SA-09999",))) == ["advisories"]
    assert failed(intel.look(refused_advisories=("INTEL-SA-00001",))) == []


def test_tcb_info_with_a_higher_svn_matches_no_level(intel: ForgedIntel) -> None:
    for level in intel.tcb_info["tcbLevels"]:
        level["tcb"]["pcesvn"] = 65535
    assert set(failed(intel.look())) == NOT_SIGNED
