"""Forged manifests and answers on revocation: XML tricks, wrong signers, revoked certificates."""

from __future__ import annotations

import itertools
import re
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from manatee.attestation._gpu.manifest import read_manifest
from manatee.attestation._gpu.manifest_xml import read_xml
from manatee.attestation._gpu.revocation import DOCUMENT
from manatee.errors import AppraisalRefusedError, AppraisalUnavailableError, MalformedError

sys.path.insert(0, str(Path(__file__).parent))
from gpu_forge import (
    AT,
    OCSP_SIGNING,
    RIM_CA,
    RIM_ROOT,
    ROOT,
    Answer,
    Gpu,
    certificate,
    der,
    failed,
)

DEVICE, MODEL, AUTHORITY, DRIVER_RIM, VBIOS_RIM, RIM_AUTHORITY = range(6)
SECOND = timedelta(seconds=1)


@pytest.fixture
def gpu() -> Gpu:
    return Gpu()


# --- XML ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "after",
    [
        lambda data: b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + data,
        lambda data: b'<!DOCTYPE x [<!ENTITY a "b">]>' + data,
        lambda data: b'<!DOCTYPE x [<!ENTITY a SYSTEM "http://attacker.example/">]>' + data,
        lambda data: b'<?xml version="1.0" encoding="utf-16"?>' + data,
        lambda data: b'<?xml version="1.0" encoding="utf-7"?>' + data,
        lambda data: data.decode().encode("utf-16"),
        lambda data: data.decode().encode("utf-16-le"),
        lambda data: data.replace(b"<Payload>", b"<!-- a --><Payload>"),
        lambda data: data.replace(b"<Payload>", b"<?a b?><Payload>"),
        lambda data: data.replace(b"<Payload>", b"<![CDATA[a]]><Payload>"),
        lambda data: data + b"<x/>",
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data + b"\xff",
        lambda data: b"",
        lambda data: data.replace(b"<Payload>", b"<x>" * 40 + b"<Payload>"),
        lambda data: data + b" " * (1 << 20),
    ],
)
def test_a_manifest_that_is_not_plain_xml_is_malformed(
    gpu: Gpu, after: Callable[[bytes], bytes]
) -> None:
    data = after(gpu.driver.build())
    with pytest.raises(MalformedError):
        read_xml(data)
    gpu.driver.after = after
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


def test_an_xml_bomb_costs_nothing() -> None:
    names = "abcdefghij"
    entities = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in itertools.pairwise(names))
    bomb = f'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{entities}]><x>&j;</x>'.encode()
    deep = b"<a>" * 60_000 + b"</a>" * 30_000
    wide = b"<a>" + b"<b/>" * 50_000 + b"</a>"
    begun = time.perf_counter()
    for data in (bomb, deep, wide, b"<" * (1 << 20)):
        with pytest.raises(MalformedError):
            read_xml(data)
    assert time.perf_counter() - begun < 1


END = b"</SoftwareIdentity>"


def signature_of(data: bytes) -> bytes:
    found = re.search(rb"<ds:Signature .*</ds:Signature>", data, re.DOTALL)
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    "after",
    [
        # a second signature, before, behind and inside the first
        lambda data: data.replace(END, signature_of(data) + END),
        lambda data: data.replace(b"<Payload>", signature_of(data) + b"<Payload>"),
        lambda data: data.replace(
            b"</ds:Signature>", b"<ds:Object>" + signature_of(data) + b"</ds:Object></ds:Signature>"
        ),
        # none
        lambda data: data.replace(signature_of(data), b""),
        # moved away from the end
        lambda data: data.replace(signature_of(data), b"").replace(
            b"<Payload>", signature_of(data) + b"<Payload>"
        ),
        # wrapped: what was signed stands inside something else
        lambda data: b"<SoftwareIdentity>" + data + signature_of(data) + b"</SoftwareIdentity>",
        # over a part, by an identifier
        lambda data: data.replace(b'URI=""', b'URI="#t"'),
        lambda data: data.replace(b' URI=""', b""),
        # other algorithms
        lambda data: data.replace(b"xmldsig-more#ecdsa-sha384", b"xmldsig-more#ecdsa-sha256"),
        lambda data: data.replace(b"xmldsig-more#ecdsa-sha384", b"xmldsig-more#hmac-sha384"),
        lambda data: data.replace(b"xmldsig-more#sha384", b"xmldsig#sha1"),
        lambda data: data.replace(b"#enveloped-signature", b"#base64"),
        lambda data: re.sub(rb"<ds:Transforms>.*</ds:Transforms>", b"", data),
        lambda data: re.sub(
            rb"<ds:Reference .*</ds:Reference>", lambda found: found[0] * 2, data
        ),
        lambda data: re.sub(rb"<ds:KeyInfo>.*</ds:KeyInfo>", b"", data, flags=re.DOTALL),
        lambda data: data.replace(b'colloquialVersion="', b'colloquialVersion="1'),
        lambda data: data.replace(b'active="False"', b'active="True"'),
    ],
)  # fmt: skip
def test_a_manifest_whose_signature_is_not_one_over_all_of_it_is_refused(
    gpu: Gpu, after: Callable[[bytes], bytes]
) -> None:
    data = gpu.driver.build()
    changed = after(data)
    if changed == data:
        pytest.fail("the attack changed nothing")
    gpu.driver.after = after
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


def test_another_canonical_form_is_refused(gpu: Gpu) -> None:
    gpu.driver.canonical = "EXCLUSIVE_XML_CANONICALIZATION_1_0"
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


def test_a_signature_over_what_an_identifier_names_is_refused(gpu: Gpu) -> None:
    gpu.driver.change = lambda text: text.replace("<SoftwareIdentity", '<SoftwareIdentity Id="x"')
    gpu.driver.signed_part = "x"
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


def other_root() -> x509.Certificate:
    return certificate("rim root", "foreign", "rim root", "foreign", ca=True)


@pytest.mark.parametrize(
    "how", ["foreign chain", "device's root", "reordered", "no authority", "a device's key"]
)
def test_a_manifest_signed_by_somebody_else_is_refused(gpu: Gpu, how: str) -> None:
    manifest = gpu.driver
    if how == "foreign chain":
        authority = certificate("rim ca", "rim-ca", "rim root", "foreign", ca=True)
        manifest.chain = [manifest.signer, authority, other_root()]
    elif how == "device's root":
        authority = certificate("rim ca", "rim-ca", "device root", "root", ca=True)
        manifest.chain = [manifest.signer, authority, ROOT]
    elif how == "reordered":
        manifest.chain = [manifest.signer, RIM_ROOT, RIM_CA]
    elif how == "no authority":
        manifest.chain = [manifest.signer, RIM_ROOT]
    else:
        manifest.key, manifest.chain = "leaf", gpu.chain
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


def test_a_manifest_signed_by_another_key_than_its_certificates_is_refused(gpu: Gpu) -> None:
    gpu.driver.key = "foreign"
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


def test_a_manifest_signed_by_an_authority_itself_is_refused(gpu: Gpu) -> None:
    gpu.driver.key, gpu.driver.chain = "rim-ca", [RIM_CA, RIM_ROOT]
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


@pytest.mark.parametrize("options", [{"ends": AT - SECOND}, {"begins": AT + SECOND},
                                     {"signs": False}])  # fmt: skip
def test_a_manifests_signer_must_be_in_office(gpu: Gpu, options: dict[str, object]) -> None:
    signer = certificate("rim signer", "rim", "rim ca", "rim-ca", ca=False, **options)  # type: ignore[arg-type]
    gpu.driver.signer, gpu.driver.chain = signer, [signer, RIM_CA, RIM_ROOT]
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


def test_time_is_the_argument_alone(gpu: Gpu) -> None:
    signer = certificate(
        "rim signer", "rim", "rim ca", "rim-ca", ca=False,
        begins=AT - timedelta(days=900), ends=AT - timedelta(days=800),
    )  # fmt: skip
    old = [
        certificate(name, key, "rim root", "rim-root", ca=True, begins=AT - timedelta(days=900))
        for name, key in (("rim ca", "rim-ca"), ("rim root", "rim-root"))
    ]
    gpu.driver.signer, gpu.driver.chain = signer, [signer, *old]
    then = AT - timedelta(days=850)
    found = read_manifest(gpu.driver.build(), [der(old[1])], at=then)
    assert found.version == "550.144.03"
    with pytest.raises(AppraisalRefusedError):
        read_manifest(gpu.driver.build(), [der(old[1])], at=AT)


def test_certificates_in_a_manifest_that_are_no_base64_are_refused(gpu: Gpu) -> None:
    gpu.driver.after = lambda data: data.replace(b"<ds:X509Certificate>", b"<ds:X509Certificate>*")
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


# --- collateral that is missing -------------------------------------------------------------------


def drop(part: str) -> Callable[[dict[str, bytes]], None]:
    def change(found: dict[str, bytes]) -> None:
        for name in [name for name in found if part in name]:
            del found[name]

    return change


@pytest.mark.parametrize("part", ["NV_GPU_DRIVER", "NV_GPU_VBIOS", DOCUMENT])
def test_what_lacks_nothing_but_collateral_cannot_be_appraised(gpu: Gpu, part: str) -> None:
    gpu.documents = drop(part)
    with pytest.raises(AppraisalUnavailableError, match=part):
        gpu.look()


def test_what_is_refused_anyway_says_so_even_without_collateral(gpu: Gpu) -> None:
    gpu.documents = drop("")
    gpu.nonce = bytes(31) + b"\1"
    assert failed(gpu.look()) == [
        "binding",
        "driver-manifest",
        "vbios-manifest",
        "measurements",
        "revocation",
    ]


def test_one_gpu_that_lacks_collateral_does_not_hide_another_that_is_refused(gpu: Gpu) -> None:
    second = Gpu(serial=100)
    upper = gpu.chain[1:]
    second.change_chain = lambda chain: [chain[0], *upper]
    second.fields[3] = b"550.144.04\0"
    second.values[8] = bytes(48)
    gpu.conditions = msgspec.structs.replace(
        gpu.conditions, driver_versions=("550.144.03", "550.144.04")
    )
    with pytest.raises(AppraisalUnavailableError, match=r"550\.144\.04"):
        gpu.look(second)
    gpu.values[8] = bytes(48)
    assert failed(gpu.look(second)) == ["driver-manifest", "measurements"]


# --- revocation -----------------------------------------------------------------------------------


def answer(which: int, change: Callable[[Answer], None]) -> Callable[[list[Answer]], None]:
    return lambda answers: change(answers[which])


def revoked(reason: x509.ReasonFlags | None) -> Callable[[Answer], None]:
    def change(given: Answer) -> None:
        given.status, given.reason = ocsp.OCSPCertStatus.REVOKED, reason

    return change


EVERYONE = [DEVICE, MODEL, AUTHORITY, DRIVER_RIM, RIM_AUTHORITY]


@pytest.mark.parametrize("which", EVERYONE)
@pytest.mark.parametrize(
    "reason", [None, x509.ReasonFlags.key_compromise, x509.ReasonFlags.certificate_hold]
)
def test_a_certificate_that_is_revoked_or_on_hold_is_refused(
    gpu: Gpu, which: int, reason: x509.ReasonFlags | None
) -> None:
    gpu.change_answers = answer(which, revoked(reason))
    assert failed(gpu.look()) == ["revocation"]


@pytest.mark.parametrize("required", [True, False])
def test_a_status_that_is_unknown_is_refused(gpu: Gpu, required: bool) -> None:
    def unknown(given: Answer) -> None:
        given.status = ocsp.OCSPCertStatus.UNKNOWN

    gpu.change_answers = answer(DEVICE, unknown)
    gpu.conditions = msgspec.structs.replace(gpu.conditions, require_revocation_status=required)
    assert failed(gpu.look()) == ["revocation"]


def test_without_required_answers_those_that_are_there_count(gpu: Gpu) -> None:
    gpu.conditions = msgspec.structs.replace(gpu.conditions, require_revocation_status=False)
    gpu.change_answers = answer(DEVICE, revoked(None))
    assert failed(gpu.look()) == ["revocation"]
    gpu.documents = drop(DOCUMENT)
    result = gpu.look()
    assert failed(result) == []
    assert result.require().collateral_from is None


def stale(given: Answer) -> None:
    given.begins, given.ends = AT - timedelta(hours=3), AT - timedelta(seconds=61)


def of_tomorrow(given: Answer) -> None:
    given.begins, given.ends = AT + timedelta(seconds=61), AT + timedelta(days=1)


def without_end(given: Answer) -> None:
    given.begins, given.ends = AT - timedelta(hours=1, seconds=61), None


def of_last_week(given: Answer) -> None:
    given.begins, given.ends = AT - timedelta(days=7, seconds=1), AT + timedelta(days=7)


@pytest.mark.parametrize("which", EVERYONE)
@pytest.mark.parametrize("change", [stale, of_tomorrow, without_end, of_last_week])
def test_an_answer_out_of_time_is_none(
    gpu: Gpu, which: int, change: Callable[[Answer], None]
) -> None:
    gpu.change_answers = answer(which, change)
    with pytest.raises(AppraisalUnavailableError, match="ocsp/"):
        gpu.look()


def within_skew(given: Answer) -> None:
    given.begins, given.ends = AT - timedelta(hours=1), AT - timedelta(seconds=59)


def of_just_now(given: Answer) -> None:
    given.begins, given.ends = AT + timedelta(seconds=59), None


@pytest.mark.parametrize("change", [within_skew, of_just_now])
def test_clocks_may_differ_by_a_minute(gpu: Gpu, change: Callable[[Answer], None]) -> None:
    gpu.change_answers = answer(DEVICE, change)
    assert failed(gpu.look()) == []


def test_what_was_revoked_stays_so_when_the_answer_is_out_of_date(gpu: Gpu) -> None:
    def change(given: Answer) -> None:
        stale(given)
        revoked(None)(given)

    gpu.change_answers = answer(DEVICE, change)
    assert failed(gpu.look()) == ["revocation"]


def test_an_answer_for_another_certificate_is_refused(gpu: Gpu) -> None:
    other = certificate(gpu.model, "brom", "ica", "ica", ca=True, serial=12)

    def change(given: Answer) -> None:
        given.about = other

    gpu.change_answers = answer(DEVICE, change)
    assert failed(gpu.look()) == ["revocation"]


@pytest.mark.parametrize("issuer", [("ica", "foreign"), ("ico", "ica")])
def test_an_answer_for_another_issuers_certificate_of_that_number_is_refused(
    gpu: Gpu, issuer: tuple[str, str]
) -> None:
    name, key = issuer

    def change(given: Answer) -> None:
        given.about_issuer = certificate(name, key, name, key, ca=True)
        given.about = certificate(gpu.model, "brom", name, key, ca=True, serial=2)

    gpu.change_answers = answer(DEVICE, change)
    assert failed(gpu.look()) == ["revocation"]


def appointed(key: str = "foreign", **options: object) -> Callable[[Answer], None]:
    """Let somebody whom the issuer certified for that answer in its place."""

    def change(given: Answer) -> None:
        plain: dict[str, object] = {"purpose": OCSP_SIGNING}
        signer = certificate("answers", "foreign", "ica", "ica", ca=False, **(plain | options))  # type: ignore[arg-type]
        given.appointed, given.key = [signer], key
        given.responder = signer if key == "foreign" else given.issuer

    return change


def test_somebody_appointed_by_the_issuer_may_answer(gpu: Gpu) -> None:
    gpu.change_answers = answer(DEVICE, appointed())
    assert failed(gpu.look()) == []


@pytest.mark.parametrize(
    "change",
    [
        appointed(purpose=None),
        appointed(purpose=x509.oid.ExtendedKeyUsageOID.SERVER_AUTH),
        appointed(ends=AT - SECOND),
        appointed(begins=AT + SECOND),
        appointed(key="ica"),  # the issuer's signature beside another's certificate
    ],
)
def test_somebody_not_in_office_may_not_answer(gpu: Gpu, change: Callable[[Answer], None]) -> None:
    gpu.change_answers = answer(DEVICE, change)
    assert failed(gpu.look()) == ["revocation"]


def test_somebody_appointed_by_another_issuer_may_not_answer(gpu: Gpu) -> None:
    gpu.change_answers = answer(MODEL, appointed())  # appointed by the issuer below
    assert failed(gpu.look()) == ["revocation"]


@pytest.mark.parametrize("key", ["leaf", "brom", "foreign", "root"])
def test_an_answer_signed_by_another_key_is_refused(gpu: Gpu, key: str) -> None:
    def change(given: Answer) -> None:
        given.key = key
        given.responder = certificate("ica", key, "ica", key, ca=True)

    gpu.change_answers = answer(DEVICE, change)
    assert failed(gpu.look()) == ["revocation"]


@pytest.mark.parametrize("critical", [True, False])
def test_an_answer_with_a_critical_extension_is_refused(gpu: Gpu, critical: bool) -> None:
    def change(given: Answer) -> None:
        given.extension_critical = critical

    gpu.change_answers = answer(DEVICE, change)
    assert failed(gpu.look()) == (["revocation"] if critical else [])


def test_an_answer_that_reports_a_failure_is_none(gpu: Gpu) -> None:
    unsuccessful = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)

    def change(found: dict[str, bytes]) -> None:
        name = next(name for name in found if name.startswith(DOCUMENT))
        found[name] = unsuccessful.public_bytes(Encoding.DER)

    gpu.documents = change
    with pytest.raises(AppraisalUnavailableError):
        gpu.look()


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"0" * 5000, bytes(1 << 20), b"\x30\x82\xff"])
def test_an_answer_that_cannot_be_read_is_refused(gpu: Gpu, data: bytes) -> None:
    def change(found: dict[str, bytes]) -> None:
        for name in [name for name in found if name.startswith(DOCUMENT)]:
            found[name] = data

    gpu.documents = change
    result = gpu.look()
    assert failed(result) == ["revocation"]
    assert ("at most" in result.checks[-1].reason) == (len(data) > 1 << 14)


def test_one_flipped_bit_in_an_answer_is_never_good(gpu: Gpu) -> None:
    collateral = dict(gpu.collateral().documents)
    name = next(name for name in collateral if name.startswith(DOCUMENT))
    whole = collateral[name]
    for place in range(0, len(whole), 3):
        broken = bytearray(whole)
        broken[place] ^= 1 << place % 8

        def change(found: dict[str, bytes], broken: bytes = bytes(broken)) -> None:
            found.update(collateral)
            found[name] = broken

        gpu.documents = change
        try:
            assert failed(gpu.look()) == ["revocation"], place
        except AppraisalUnavailableError:
            continue
