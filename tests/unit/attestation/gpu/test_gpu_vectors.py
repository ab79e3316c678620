"""Recorded GPU reports and manifests give their values, and nothing that was changed passes."""

from __future__ import annotations

import base64
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from manatee.attestation import (
    AttestationResult,
    ExpectedBinding,
    Mark,
    ReferenceValues,
    appraise,
    max_payload_bytes,
    verifiers,
)
from manatee.attestation._certificates import build_path, read_pem_chain
from manatee.attestation._gpu.dice import certified_firmware
from manatee.attestation._gpu.identity import device_root, identify
from manatee.attestation._gpu.manifest import Manifest, manifest_root, read_manifest
from manatee.attestation._gpu.measurements import (
    driver_manifest_id,
    mismatches,
    vbios_manifest_id,
)
from manatee.attestation._gpu.opaque import GpuMode
from manatee.attestation._gpu.payload import MAX_PAYLOAD_BYTES, parse_payload
from manatee.attestation._gpu.reference import GpuReference
from manatee.attestation._gpu.report import GpuReport, parse_report, report_signed_by
from manatee.errors import (
    AppraisalRefusedError,
    AppraisalUnavailableError,
    MalformedError,
    ManateeError,
    TooLargeError,
)
from manatee.records import Evidence, to_base64

sys.path.insert(0, str(Path(__file__).parent))
from gpu_forge import MEDIA_TYPE, Gpu, failed

VECTORS = Path(__file__).parents[3] / "vectors/nvidia"
AT = datetime(2026, 6, 1, tzinfo=UTC)
HOPPER = "e97b23a1718095a0e9e35edca810768c70a6a5a389b705e753b197912bc11576"
HOLD = "931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb"
NO_FWID = "27a328247bf7935c993341cf587be6f05986ccce4fe7ba2c54100bd616a58f66"
NEEDS_COLLATERAL = {"driver-manifest", "vbios-manifest", "measurements", "revocation"}

Chain = tuple[x509.Certificate, ...]


def from_json(name: str) -> tuple[bytes, Chain]:
    (item,) = json.loads((VECTORS / name).read_bytes())
    return base64.b64decode(item["evidence"]), read_pem_chain(base64.b64decode(item["certificate"]))


def from_hex(report: str, chain: str) -> tuple[bytes, Chain]:
    return (
        bytes.fromhex((VECTORS / report).read_text().strip()),
        read_pem_chain((VECTORS / chain).read_bytes()),
    )


RECORDED = {
    "hopper": from_json("hopper-evidence.json"),
    "hopper-cert-hold": from_json("hopper-cert-hold-evidence.json"),
    "hopper-nofwid": from_hex("hopper-nofwid-report.hex", "hopper-nofwid-chain.pem"),
    "blackwell": from_hex("blackwell-report.hex", "blackwell-chain.pem"),
}


def payload(name: str, **changed: Any) -> bytes:
    report, chain = RECORDED[name]
    pem = b"".join(item.public_bytes(Encoding.PEM) for item in chain)
    item = {
        "arch": name.split("-")[0].upper(),
        "certificate": base64.b64encode(pem).decode(),
        "evidence": base64.b64encode(report).decode(),
        "nonce": report[4:36].hex(),
    }
    return json.dumps([item | changed]).encode()


def look(
    data: bytes, nonce: str, *, at: datetime = AT, media_type: str = MEDIA_TYPE, **conditions: Any
) -> AttestationResult:
    plain: dict[str, Any] = {"driver_versions": (), "vbios_versions": (), "protected_pcie": True}
    return appraise(
        Evidence(media_type=media_type, payload=to_base64(data)),
        at=at,
        expected_binding=ExpectedBinding.exactly(bytes.fromhex(nonce)),
        reference_values=ReferenceValues(
            runtime_digests=(), roots={}, gpu=GpuReference(**(plain | conditions))
        ),
        max_age_seconds=60,
    )


@pytest.mark.parametrize(
    ("name", "nonce", "driver", "vbios", "model", "fwid", "mode"),
    [
        ("hopper", HOPPER, "590.12", "96.00.A5.00.01", "GH100 A01 GSP BROM",
         "956ecf09ee4191f115224d1c", GpuMode.PROTECTED_PCIE),
        ("hopper-cert-hold", HOLD, "570.86.10", "96.00.AF.00.01", "GH100 A01 GSP BROM",
         "e9960d6a289c80281e29b852", GpuMode.UNSTATED),
        ("hopper-nofwid", NO_FWID, "535.86.09", "96.00.5E.00.01", "GH100 A01 GSP BROM",
         "", GpuMode.UNSTATED),
        ("blackwell", HOLD, "575.32", "97.00.88.00.0F", "GB100 A01 GSP BROM",
         "d090cab1b6e6ffddca83d178", GpuMode.UNSTATED),
    ],
)  # fmt: skip
def test_recorded_reports_give_their_values(
    name: str, nonce: str, driver: str, vbios: str, model: str, fwid: str, mode: GpuMode
) -> None:
    data, chain = RECORDED[name]
    report = parse_report(data)
    identity = identify(chain, [device_root()], at=AT)
    assert report_signed_by(report, identity.path.leaf.public_key())
    assert report.nonce.hex() == nonce
    assert list(report.measurements) == list(range(1, 65))
    assert all(item.digest and len(item.value) == 48 for item in report.measurements.values())
    assert report.opaque.driver_version == driver
    assert report.opaque.vbios_version == vbios
    assert report.opaque.mode is mode
    assert not report.opaque.nvdec0_enabled
    assert report.opaque.fwid.hex()[:24] == fwid
    assert identity.model == model
    assert identity.firmware.secure
    assert not fwid or identity.firmware.identifier == report.opaque.fwid


@pytest.mark.parametrize(("name", "nonce"), [("hopper", HOPPER), ("blackwell", HOLD)])
def test_a_genuine_report_lacks_only_what_was_not_asked_for(name: str, nonce: str) -> None:
    # no version is accepted here, and no collateral is at hand; everything else is in order
    found = set(failed(look(payload(name), nonce)))
    assert found == {"driver", "vbios"} | NEEDS_COLLATERAL


def test_nvidias_own_file_is_evidence_as_it_is() -> None:
    data = (VECTORS / "hopper-evidence.json").read_bytes()
    assert set(failed(look(data, HOPPER))) == {"driver", "vbios"} | NEEDS_COLLATERAL


def test_a_genuine_report_without_collateral_cannot_be_appraised() -> None:
    with pytest.raises(AppraisalUnavailableError, match=r"NV_GPU_DRIVER_GH100_590\.12"):
        look(
            payload("hopper"),
            HOPPER,
            driver_versions=("590.12",),
            vbios_versions=("96.00.A5.00.01",),
        )


def test_protected_pcie_is_refused_unless_it_is_accepted() -> None:
    assert "mode" in failed(look(payload("hopper"), HOPPER, protected_pcie=False))


def test_a_report_that_does_not_name_its_firmware_is_refused() -> None:
    result = look(payload("hopper-nofwid"), NO_FWID)
    assert "firmware" in failed(result)
    assert "signature" not in failed(result)


def test_a_recorded_report_with_a_bad_signature_is_refused() -> None:
    report = bytes.fromhex((VECTORS / "hopper-badsig-report.hex").read_text().strip())
    data = payload(
        "hopper-nofwid", evidence=base64.b64encode(report).decode(), nonce=report[4:36].hex()
    )
    result = look(data, report[4:36].hex())
    assert "signature" in failed(result)
    assert result.claims is None


def test_manifest_ids_are_nvidias() -> None:
    hopper, blackwell = (parse_report(RECORDED[name][0]) for name in ("hopper", "blackwell"))
    assert driver_manifest_id(hopper.opaque, "hopper") == "NV_GPU_DRIVER_GH100_590.12"
    assert driver_manifest_id(blackwell.opaque, "blackwell") == "NV_GPU_CC_DRIVER_GB100_575.32"
    assert vbios_manifest_id(hopper.opaque) == "NV_GPU_VBIOS_G520_0200_885_9600A50001"
    assert vbios_manifest_id(blackwell.opaque) == "NV_GPU_VBIOS_G525_0220_886_970088000F"


# --- manifests ------------------------------------------------------------------------------------


def driver_manifest(name: str = "rim-driver-gh100-550.144.03.xml", at: datetime = AT) -> Manifest:
    return read_manifest((VECTORS / name).read_bytes(), [manifest_root()], at=at)


def test_a_recorded_manifest_gives_its_values() -> None:
    found = driver_manifest()
    assert found.version == "550.144.03"
    assert found.chip == "GH100"
    assert sorted(found.measurements) == [7, *range(21, 41)]
    assert len(found.measurements[35]) == 4
    assert found.measurements[7] == {
        bytes.fromhex(
            "4a5e4b3d501fe31f91bd8b6f2921b58437704a504dbedba971440e840c938c80"
            "5612689ae3ac04b1009515a179063d49"
        )
    }


@pytest.mark.parametrize("name", ["rim-driver-badsig.xml", "rim-driver-badchain.xml"])
def test_recorded_manifests_with_a_bad_signature_or_chain_are_refused(name: str) -> None:
    with pytest.raises(AppraisalRefusedError):
        driver_manifest(name)


@pytest.mark.parametrize(
    "at", [datetime(2024, 12, 30, 16, 56, 49, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC)]
)
def test_a_manifest_counts_while_its_certificates_do(at: datetime) -> None:
    with pytest.raises(AppraisalRefusedError, match="not valid at the time"):
        driver_manifest(at=at)


def test_a_real_report_and_the_real_manifest_of_its_vbios_differ_in_one_place() -> None:
    report = parse_report(RECORDED["hopper-nofwid"][0])
    at = datetime(2025, 7, 1, tzinfo=UTC)
    vbios = driver_manifest("rim-vbios-gh100-96.00.5E.00.01.xml", at)
    assert vbios.version == report.opaque.vbios_version
    nothing = Manifest("", "", {}, vbios.path)
    assert sorted(vbios.measurements) == [*range(7), *range(8, 13)]
    assert mismatches(report, nothing, vbios) == (9,)


def test_one_flipped_bit_in_what_a_manifest_signs_is_refused() -> None:
    data = (VECTORS / "rim-driver-gh100-550.144.03.xml").read_bytes()
    end = data.index(b"</ds:SignatureValue>")
    for place in [*range(0, end, 61), *range(end - 1500, end, 7)]:
        broken = bytearray(data)
        broken[place] ^= 1 << place % 7
        with pytest.raises((AppraisalRefusedError, MalformedError)):
            read_manifest(bytes(broken), [manifest_root()], at=AT)


# --- what is done to every kind of evidence -------------------------------------------------------


def genuine(data: bytes, chain: Chain) -> bool:
    report: GpuReport = parse_report(data)
    return report_signed_by(report, chain[0].public_key())


@pytest.mark.parametrize(("name", "step"), [("hopper", 1), ("hopper-nofwid", 9), ("blackwell", 9)])
def test_one_flipped_bit_in_a_report_is_refused(name: str, step: int) -> None:
    data, chain = RECORDED[name]
    assert genuine(data, chain)
    for place in range(0, len(data), step):
        broken = bytearray(data)
        broken[place] ^= 1 << place % 8
        try:
            assert not genuine(bytes(broken), chain), place
        except MalformedError:
            continue


def test_cut_and_prolonged_reports_are_malformed() -> None:
    data, _ = RECORDED["hopper"]
    size = len(data)
    whole = [b"", data[:1], data[: size // 4], data[: size // 2], data[:-1]]
    for broken in [*whole, data + b"\0", data + b"A", data + bytes(1 << 20), data + data]:
        with pytest.raises(MalformedError):
            parse_report(broken)
    with pytest.raises(MalformedError, match="at most"):
        parse_report(data + bytes(1 << 20))


def test_cut_and_prolonged_payloads_are_malformed() -> None:
    data = payload("hopper")
    size = len(data)
    for broken in (b"", data[:1], data[: size // 4], data[: size // 2], data[:-1], data + b"A"):
        with pytest.raises(MalformedError):
            look(broken, HOPPER)
    for broken in (data + b" " * (1 << 20), bytes(1 << 20), b"[" * (1 << 20)):
        with pytest.raises(ManateeError) as error:
            look(broken, HOPPER)
        assert error.value.code in ("too-large", "malformed")


def test_the_reports_of_eight_gpus_fit_and_one_byte_over_the_cap_is_too_large() -> None:
    data = json.dumps(json.loads(payload("hopper")) * 8, indent=1).encode()
    assert len(data) > 64 << 10  # what other kinds of evidence may have
    assert len(parse_payload(data)) == 8
    whole = data + b" " * (MAX_PAYLOAD_BYTES - len(data))
    assert "devices" in failed(look(whole, HOPPER))
    with pytest.raises(TooLargeError):
        look(whole + b" ", HOPPER)
    assert max_payload_bytes(MEDIA_TYPE) == MAX_PAYLOAD_BYTES


def test_nine_gpus_are_malformed() -> None:
    items = [{}] * 9
    with pytest.raises(MalformedError, match="1 to 8"):
        parse_payload(json.dumps(items).encode())


def test_the_chain_of_another_gpu_or_another_root_is_refused() -> None:
    other = json.loads(payload("hopper-cert-hold"))[0]["certificate"]
    assert "signature" in failed(look(payload("hopper", certificate=other), HOPPER))
    forged = Gpu().item()["certificate"]
    assert {"root", "signature"} <= set(failed(look(payload("hopper", certificate=forged), HOPPER)))


@pytest.mark.parametrize("place", range(5))
def test_each_certificate_has_its_time(place: int) -> None:
    chain = RECORDED["hopper"][1]
    before = chain[place].not_valid_before_utc - timedelta(seconds=1)
    with pytest.raises(AppraisalRefusedError, match="not valid at the time"):
        build_path(chain[0], chain[1:], [device_root()], at=before)
    assert "root" in failed(look(payload("hopper"), HOPPER, at=before))


@pytest.mark.parametrize(
    "nonce", [HOPPER[:-2], HOPPER + "00", HOPPER[:-1] + "7", "11" * 32, HOPPER[:2]]
)
def test_another_nonce_is_refused(nonce: str) -> None:
    assert "binding" in failed(look(payload("hopper"), nonce))


def test_the_gpus_own_nonce_is_not_the_requests() -> None:
    report = parse_report(RECORDED["hopper"][0])
    own = report.responder_nonce.hex()
    assert "binding" in failed(look(payload("hopper"), own))
    assert "binding" in failed(look(payload("hopper", nonce=own), own))


@pytest.mark.parametrize("other", [item.media_type for item in verifiers()])
def test_a_report_under_another_kinds_name_is_not_accepted(other: str) -> None:
    if other == MEDIA_TYPE:
        return
    try:
        result = look(payload("hopper"), HOPPER, media_type=other)
    except ManateeError:
        return
    assert not result.accepted


def test_evidence_of_another_kind_under_this_name_is_malformed() -> None:
    for path in VECTORS.parent.rglob("*"):
        if path.is_file() and path.name not in (
            "hopper-evidence.json",
            "hopper-cert-hold-evidence.json",
        ):
            data = path.read_bytes()[: 60 << 10]
            with pytest.raises(MalformedError):
                look(data, HOPPER)


def test_the_same_report_twice_is_one_gpu_too_few() -> None:
    (item,) = json.loads(payload("hopper"))
    result = look(json.dumps([item, item]).encode(), HOPPER)
    assert "devices" in failed(result)


def test_what_a_boot_rom_certified_is_read_in_both_forms() -> None:
    hopper, blackwell = (RECORDED[name][1][0] for name in ("hopper", "blackwell"))
    assert certified_firmware(hopper).identifier.hex().startswith("956ecf09ee4191f1")
    assert certified_firmware(blackwell).identifier.hex().startswith("d090cab1b6e6ffdd")
    with pytest.raises(AppraisalRefusedError):
        certified_firmware(RECORDED["hopper"][1][1])


def test_no_conditions_for_gpus_accept_none() -> None:
    result = appraise(
        Evidence(media_type=MEDIA_TYPE, payload=to_base64(payload("hopper"))),
        at=AT,
        expected_binding=ExpectedBinding.exactly(bytes.fromhex(HOPPER)),
        reference_values=ReferenceValues(runtime_digests=(), roots={}),
        max_age_seconds=60,
    )
    assert {"allowed-kind", "architecture"} <= set(failed(result))
    assert Mark.PASSED in {item.mark for item in result.checks}
