"""Azure confidential VMs: four layers, each recorded, each broken on its own."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from manatee.attestation import (
    TPM_MEDIA_TYPE,
    AttestationResult,
    ExpectedBinding,
    GuestImage,
    Mark,
    ReferenceValues,
    appraise,
)
from manatee.attestation._azure.hcl import parse_hcl_report
from manatee.attestation._azure.payload import read_payload
from manatee.attestation._azure.reference import AzureCvmReference
from manatee.attestation._azure.runtime_data import read_runtime_data
from manatee.attestation._azure.verifier import KIND, MEDIA_TYPE
from manatee.attestation._snp.reference import SnpReference
from manatee.attestation._snp.verifier import MEDIA_TYPE as SNP_MEDIA_TYPE
from manatee.attestation._tdx.quote import parse_quote
from manatee.attestation._tdx.reference import TdxReference
from manatee.attestation._tdx.verifier import MEDIA_TYPE as TDX_MEDIA_TYPE
from manatee.attestation._tpm.quote import parse_attest
from manatee.errors import AppraisalUnavailableError, MalformedError, ManateeError
from manatee.records import Evidence, Tier, digest_bytes, to_base64

VECTORS = Path(__file__).parents[3] / "vectors"
EXPECTED = json.loads((VECTORS / "expected.json").read_bytes())
AT = datetime(2026, 1, 1, tzinfo=UTC)
RUNTIME = digest_bytes(b"runtime")
FLOOR = {"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219}
NAMES = ("snp-v1", "snp-v2")


def document(name: str) -> dict[str, Any]:
    return dict(json.loads((VECTORS / "azure-cvm" / f"{name}.json").read_bytes()))


def nonce_of(name: str) -> bytes:
    return bytes.fromhex(EXPECTED[f"azure-cvm/{name}.json"]["tpm_nonce_hex"])


def references(name: str, **members: Any) -> ReferenceValues:
    payload = read_payload(json.dumps(document(name)).encode())
    measured = {
        "measurement": EXPECTED[f"azure-cvm/{name}.json"]["measurement"],
        **{f"pcr{index}": payload.pcrs[index].hex() for index in (4, 8, 9)},
    }
    image = GuestImage(kind=KIND, measurements=measured, runtime_digest=RUNTIME)
    plain: dict[str, Any] = {
        "runtime_digests": (RUNTIME,),
        "roots": {},
        "images": (image,),
        "azure_cvm": AzureCvmReference(),
        "snp": SnpReference(minimum_tcb={"Milan": FLOOR}),
    }
    return ReferenceValues(**(plain | members))


def look(
    name: str,
    data: bytes | None = None,
    *,
    given: ReferenceValues | None = None,
    nonce: bytes | None = None,
    at: datetime = AT,
) -> AttestationResult:
    payload = json.dumps(document(name)).encode() if data is None else data
    return appraise(
        Evidence(media_type=MEDIA_TYPE, payload=to_base64(payload)),
        at=at,
        expected_binding=ExpectedBinding.exactly(nonce or nonce_of(name) or b"any"),
        reference_values=given or references(name),
        max_age_seconds=None,
    )


def failed(result: AttestationResult) -> list[str]:
    return [item.name for item in result.checks if item.mark is Mark.FAILED]


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_machine_is_accepted_with_its_values(name: str) -> None:
    result = look(name)
    assert failed(result) == []
    assert result.tier is Tier.HARDWARE
    want = EXPECTED[f"azure-cvm/{name}.json"]
    claims = result.require()
    assert claims.measurements["measurement"] == want["measurement"]
    for register in ("pcr0", "pcr4", "pcr7"):
        assert claims.measurements[register] == want[register]
    assert claims.tcb == FLOOR
    assert claims.vmpl == want["vmpl"]
    assert claims.runtime_digest == RUNTIME


def test_a_quote_without_a_nonce_is_refused() -> None:
    assert parse_attest(read_payload(json.dumps(document("snp-empty-nonce")).encode()).message)
    assert failed(look("snp-empty-nonce")) == ["binding"]


@pytest.mark.parametrize("nonce", [b"challengE", b"challeng", b"challenge\0", b"x"])
def test_another_nonce_is_refused(nonce: bytes) -> None:
    assert failed(look("snp-v1", nonce=nonce)) == ["binding"]


def test_the_layers_of_a_recorded_machine_over_tdx_hold_up_to_the_td() -> None:
    payload = read_payload(json.dumps(document("tdx-v1")).encode())
    want = EXPECTED["azure-cvm/tdx-v1.json"]
    hcl = parse_hcl_report(payload.hcl_report)
    assert hcl.hardware == "intel-tdx"
    quote, _ = parse_quote(payload.td_quote)
    assert hcl.bound_in(quote.report_data)
    assert quote.mr_td.hex() == want["mrtd"]
    assert f"{quote.td_attributes:016x}" == want["td_attributes"]
    key = read_runtime_data(hcl.runtime_data).attestation_key
    key.verify(payload.signature, payload.message, padding.PKCS1v15(), hashes.SHA256())
    assert parse_attest(payload.message).extra_data == b"challenge"
    for register in ("pcr0", "pcr4", "pcr7"):
        assert payload.pcrs[int(register[3:])].hex() == want[register]


def test_a_machine_over_tdx_needs_intels_collateral() -> None:
    given = references("snp-v1", tdx=TdxReference())
    with pytest.raises(AppraisalUnavailableError, match="00806f050000"):
        look("tdx-v1", given=given, nonce=b"challenge")


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_machine_is_refused_outside_its_certificates_time(name: str) -> None:
    for at in (datetime(2020, 1, 1, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)):
        result = look(name, at=at)
        assert "root" in failed(result)
        assert result.claims is None


def test_evidence_of_a_machine_under_another_kinds_name_is_malformed() -> None:
    payload = to_base64(json.dumps(document("snp-v1")).encode())
    for media_type in (SNP_MEDIA_TYPE, TDX_MEDIA_TYPE, TPM_MEDIA_TYPE):
        with pytest.raises(MalformedError):
            appraise(
                Evidence(media_type=media_type, payload=payload),
                at=AT,
                expected_binding=ExpectedBinding.exactly(b"challenge"),
                reference_values=references("snp-v1"),
                max_age_seconds=None,
            )
    report = parse_hcl_report(decode(document("snp-v1")["hcl_report"])).report
    with pytest.raises(MalformedError):
        look("snp-v1", report)


@pytest.mark.parametrize(
    ("members", "check"),
    [
        ({"azure_cvm": None}, "allowed-kind"),
        ({"snp": None}, "allowed-kind"),
        ({"images": ()}, "image"),
        ({"azure_cvm": AzureCvmReference(required_pcrs=())}, "pcr-required"),
        ({"azure_cvm": AzureCvmReference(required_pcrs=(16,))}, "pcr-required"),
        ({"azure_cvm": AzureCvmReference(required_pcrs=(4, 8, 9, 10))}, "image"),
        ({"roots": {KIND: ()}}, "root"),
        (
            {"snp": SnpReference(minimum_tcb={"Milan": {**FLOOR, "microcode": 220}})},
            "tcb",
        ),
    ],
)
def test_each_condition_is_asked(members: dict[str, Any], check: str) -> None:
    result = look("snp-v1", given=references("snp-v1", **members))
    assert check in failed(result)
    assert not result.accepted


def test_the_machine_s_registers_are_part_of_its_image() -> None:
    given = references("snp-v1")
    (image,) = given.images
    for register in ("pcr4", "pcr8", "pcr9", "measurement"):
        other = {**image.measurements, register: "11" * (48 if register == "measurement" else 32)}
        changed = GuestImage(kind=KIND, measurements=other, runtime_digest=RUNTIME)
        result = look("snp-v1", given=references("snp-v1", images=(changed,)))
        assert failed(result) == ["image"]


# --- one layer broken -----------------------------------------------------------------------------


def encode(data: bytes, like: str) -> str:
    if "-" in like or "_" in like or (not like.endswith("=") and len(like) % 4):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    return base64.b64encode(data).decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(
        text.replace("+", "-").replace("/", "_") + "=" * (-len(text) % 4)
    )


def changed_hcl(found: dict[str, Any], change: Callable[[bytes], bytes]) -> dict[str, Any]:
    text = found["hcl_report"]
    return found | {"hcl_report": encode(change(decode(text)), text)}


def refused(name: str, found: dict[str, Any]) -> set[str]:
    try:
        result = look(name, json.dumps(found).encode())
    except ManateeError as error:
        return {type(error).__name__}
    assert not result.accepted
    return set(failed(result))


def test_the_quote_of_one_machine_with_the_report_of_another_is_refused() -> None:
    mixed = document("snp-v1") | {"tpm_quote": document("snp-v2")["tpm_quote"]}
    assert "quote-signature" in refused("snp-v1", mixed)


def test_another_attestation_key_in_the_runtime_data_is_caught_by_its_hash() -> None:
    other = parse_hcl_report(decode(document("snp-v2")["hcl_report"])).runtime_data
    own = parse_hcl_report(decode(document("snp-v1")["hcl_report"])).runtime_data
    assert len(own) == len(other)
    swapped = changed_hcl(document("snp-v1"), lambda data: data.replace(own, other))
    swapped["tpm_quote"] = document("snp-v2")["tpm_quote"]
    result = look("snp-v1", json.dumps(swapped).encode(), nonce=nonce_of("snp-v2"))
    assert failed(result) == ["runtime-data", "image"]
    assert result.claims is None


def test_runtime_data_that_was_serialised_anew_is_refused() -> None:
    own = parse_hcl_report(decode(document("snp-v1")["hcl_report"])).runtime_data
    anew = json.dumps(json.loads(own), sort_keys=True).encode()
    assert anew != own
    found = changed_hcl(document("snp-v1"), lambda data: data.replace(own, anew))
    assert refused("snp-v1", found) == {"MalformedError"}  # its sizes no longer fit
    same_size = json.loads(own)
    same_size["vm-configuration"]["secure-boot"] = None  # as long as true
    anew = json.dumps(same_size, separators=(",", ":")).encode()
    found = changed_hcl(document("snp-v1"), lambda data: data.replace(own, anew))
    assert refused("snp-v1", found) == {"runtime-data"}


@pytest.mark.parametrize("index", range(0, 24, 5))
def test_a_register_that_was_changed_is_refused(index: int) -> None:
    found = document("snp-v1")
    pcrs = list(found["tpm_quote"]["pcrs"])
    pcrs[index] = ("1" if pcrs[index][0] == "0" else "0") + pcrs[index][1:]
    found["tpm_quote"] = found["tpm_quote"] | {"pcrs": pcrs}
    assert "pcr-digest" in refused("snp-v1", found)


def test_a_register_too_few_is_refused() -> None:
    found = document("snp-v1")
    found["tpm_quote"] = found["tpm_quote"] | {"pcrs": found["tpm_quote"]["pcrs"][:-1]}
    assert refused("snp-v1", found) == {"pcr-selection", "pcr-digest"}


def test_one_flipped_bit_at_each_byte_of_the_report_is_refused() -> None:
    found, given = document("snp-v1"), references("snp-v1")
    report = decode(found["hcl_report"])
    for place in range(len(report)):
        broken = bytearray(report)
        broken[place] ^= 1 << place % 8
        changed = found | {"hcl_report": encode(bytes(broken), found["hcl_report"])}
        try:
            result = look("snp-v1", json.dumps(changed).encode(), given=given)
        except ManateeError:
            continue
        assert not result.accepted, place


@pytest.mark.parametrize("member", ["message", "signature"])
def test_one_flipped_bit_at_each_byte_of_the_quote_is_refused(member: str) -> None:
    found, given = document("snp-v1"), references("snp-v1")
    quote = bytes.fromhex(found["tpm_quote"][member])
    for place in range(len(quote)):
        broken = bytearray(quote)
        broken[place] ^= 1 << place % 8
        changed = found | {"tpm_quote": found["tpm_quote"] | {member: broken.hex()}}
        try:
            result = look("snp-v1", json.dumps(changed).encode(), given=given)
        except ManateeError:
            continue
        assert "quote-signature" in failed(result), place
        assert result.claims is None


@pytest.mark.parametrize("size", [0, 1, 100, 1184, 1300])
def test_a_cut_report_is_malformed(size: int) -> None:
    found = changed_hcl(document("snp-v1"), lambda data: data[:size])
    assert refused("snp-v1", found) == {"MalformedError"}


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"{" * 5000, b'{"version":1}', b"A" * (1 << 20)]
)
def test_what_is_no_evidence_raises_our_errors(data: bytes) -> None:
    with pytest.raises(ManateeError):
        look("snp-v1", data)
