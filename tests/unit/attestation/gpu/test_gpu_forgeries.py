"""Forged GPU evidence, by a GPU and authorities of our own: each fails the one thing it breaks."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509

from manatee.attestation import ReferenceValues
from manatee.attestation._gpu.opaque import GpuMode
from manatee.attestation._gpu.payload import parse_payload
from manatee.attestation._gpu.report import parse_report
from manatee.errors import MalformedError, ManateeError
from manatee.records import Tier

sys.path.insert(0, str(Path(__file__).parent))
from gpu_forge import (
    AT,
    COMPOSITE,
    FWID,
    HASH,
    NONCE,
    ROOT,
    SHA384,
    TCB_INFO,
    Gpu,
    certificate,
    composite,
    der_tag,
    failed,
    fwid_sequence,
    tcb_info,
)

NEEDS_REPORT = ["driver-manifest", "vbios-manifest", "measurements", "revocation"]
OTHER = bytes.fromhex("cd" * 48)


@pytest.fixture
def gpu() -> Gpu:
    return Gpu()


@pytest.mark.parametrize("architecture", ["hopper", "blackwell"])
def test_the_forged_gpu_is_accepted_by_whoever_pins_its_roots(architecture: str) -> None:
    result = Gpu(architecture).look()
    assert failed(result) == []
    claims = result.require()
    assert result.tier is Tier.HARDWARE
    assert claims.runtime_digest is None  # a GPU never stands alone
    assert claims.job_digest is None
    assert not claims.debug
    assert claims.collateral_from == AT - timedelta(hours=1)
    assert claims.measurements == {"gpu0-firmware": FWID.hex()}


def test_whoever_pins_nvidias_roots_refuses_the_forged_gpu(gpu: Gpu) -> None:
    references = ReferenceValues(runtime_digests=(), roots={}, gpu=gpu.conditions)
    result = gpu.look(references=references)
    assert {"root", "signature", "devices", *NEEDS_REPORT} <= set(failed(result))
    assert result.claims is None


@pytest.mark.parametrize("name", ["nvidia-gpu", "nvidia-rim"])
def test_an_empty_list_of_roots_accepts_nothing(gpu: Gpu, name: str) -> None:
    references = gpu.references()
    bare = msgspec.structs.replace(references, roots={**references.roots, name: ()})
    expected = {"nvidia-gpu": "root", "nvidia-rim": "driver-manifest"}[name]
    assert expected in failed(gpu.look(references=bare))


def test_the_root_of_manifests_vouches_for_no_device_nor_the_other_way_round(gpu: Gpu) -> None:
    roots = gpu.references().roots
    swapped = {"nvidia-gpu": roots["nvidia-rim"], "nvidia-rim": roots["nvidia-gpu"]}
    references = msgspec.structs.replace(gpu.references(), roots=swapped)
    assert "root" in failed(gpu.look(references=references))
    swapped["nvidia-gpu"] = roots["nvidia-gpu"]
    references = msgspec.structs.replace(gpu.references(), roots=swapped)
    assert failed(gpu.look(references=references)) == [
        "driver-manifest",
        "vbios-manifest",
        "measurements",
    ]


# --- several GPUs ---------------------------------------------------------------------------------


def test_several_gpus_are_accepted_together(gpu: Gpu) -> None:
    # their manifests are made anew by each, so the second's collateral is the first's
    second = Gpu(serial=100)
    second.driver, second.vbios = gpu.driver, gpu.vbios
    upper = gpu.chain[1:]
    second.change_chain = lambda chain: [chain[0], *upper]
    result = gpu.look(second)
    assert failed(result) == []
    assert len(result.require().measurements) == 2
    assert result.require().chip_id == ""


@pytest.mark.parametrize("first_is_bad", [True, False])
def test_one_bad_gpu_among_several_is_refused(gpu: Gpu, first_is_bad: bool) -> None:
    second = Gpu(serial=100)
    upper = gpu.chain[1:]
    second.change_chain = lambda chain: [chain[0], *upper]
    (gpu if first_is_bad else second).nonce = bytes(31) + b"\1"
    assert failed(gpu.look(second)) == ["binding"]


def test_one_gpu_twice_is_refused(gpu: Gpu) -> None:
    assert failed(gpu.look(gpu)) == ["devices"]


# --- the report -----------------------------------------------------------------------------------


def test_a_report_signed_by_another_key_is_refused(gpu: Gpu) -> None:
    gpu.signing_key = "brom"
    result = gpu.look()
    assert failed(result) == ["devices", "signature", *NEEDS_REPORT]
    assert result.claims is None


@pytest.mark.parametrize("r", [0, 1])
@pytest.mark.parametrize("s", [0, 1])
def test_cve_2022_21449_signature_numbers_of_nothing_are_refused(gpu: Gpu, r: int, s: int) -> None:
    report = gpu.unsigned() + r.to_bytes(48, "big") + s.to_bytes(48, "big")
    assert "signature" in failed(gpu.look(payload=json.dumps([gpu.item(report)]).encode()))


def test_signature_numbers_not_below_the_group_order_are_refused(gpu: Gpu) -> None:
    report = gpu.unsigned() + b"\xff" * 96
    assert "signature" in failed(gpu.look(payload=json.dumps([gpu.item(report)]).encode()))


def test_the_binding_must_be_in_the_requests_nonce(gpu: Gpu) -> None:
    gpu.nonce, gpu.responder_nonce = bytes(31) + b"\1", NONCE
    assert failed(gpu.look()) == ["binding"]


def test_a_nonce_said_beside_the_report_must_be_the_reports(gpu: Gpu) -> None:
    gpu.said = {"nonce": "00" * 32}
    assert failed(gpu.look()) == ["binding"]


@pytest.mark.parametrize(
    "binding", [NONCE[:-1], NONCE + b"\0", NONCE[:-1] + b"\x1e", NONCE * 2, NONCE[:1] + b"\1"]
)
def test_another_binding_is_refused(gpu: Gpu, binding: bytes) -> None:
    assert failed(gpu.look(binding=binding)) == ["binding"]


def patch(place: int, value: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data[:place] + value + data[place + len(value) :]


RECORD_AT = 37 + 8
"""Where the measurement record begins."""


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, b"\x10"),  # SPDM 1.0
        (0, b"\x12"),  # SPDM 1.2
        (1, b"\xe1"),  # another request
        (2, b"\x00"),  # no signature wanted
        (3, b"\x01"),  # one measurement
        (3, b"\x00"),  # only their number
        (36, b"\x01"),  # another slot
        (37, b"\x12"),
        (38, b"\x7f"),  # an error
        (39, b"\x40"),
        (40, b"\x01"),  # answered for another slot
        (41, b"\x00"),  # no blocks
        (41, b"\x3f"),  # one block fewer
        (41, b"\x41"),  # one block more
        (42, b"\xff\xff\xff"),  # record length past the end
        (42, b"\x00\x00\x00"),
        (42, b"\xc1\x0d\x00"),  # one byte more
        (RECORD_AT, b"\x00"),  # block 0
        (RECORD_AT, b"\x02"),  # block 2 twice
        (RECORD_AT + 1, b"\x02"),  # not DMTF's form
        (RECORD_AT + 2, b"\x32\x00"),  # a block shorter than its value
        (RECORD_AT + 2, b"\xff\xff"),
        (RECORD_AT + 5, b"\x2f\x00"),  # a value shorter than its block
        (RECORD_AT + 5, b"\xff\xff"),
        (-2, b"\x05\x00"),  # placed by the test
    ],
)
def test_a_report_of_another_shape_is_malformed(gpu: Gpu, place: int, value: bytes) -> None:
    if place < 0:
        place = len(gpu.unsigned()) - 4 - 1  # the last field's type and length, and one byte
        value = struct.pack("<HH", 21, 2)
    gpu.change_report = patch(place, value)
    with pytest.raises(MalformedError):
        gpu.look()


def test_a_report_without_measurements_is_malformed(gpu: Gpu) -> None:
    gpu.values = {}
    with pytest.raises(MalformedError, match="at least one"):
        gpu.look()


def test_opaque_data_of_a_later_version_is_malformed_whatever_it_says(gpu: Gpu) -> None:
    gpu.fields |= {34: b"\2\0", 36: b"\1\0"}
    with pytest.raises(MalformedError, match="version"):
        gpu.look()


@pytest.mark.parametrize(
    "change",
    [
        lambda item: [],
        lambda item: item,
        lambda item: [[item]],
        lambda item: [item | {"uuid": "x"}],
        lambda item: [{name: value for name, value in item.items() if name != "arch"}],
        lambda item: [item | {"evidence": 5}],
        lambda item: [item | {"evidence": "*"}],
        lambda item: [item | {"evidence": "é"}],
        lambda item: [item | {"certificate": ""}],
    ],
)
def test_a_payload_of_another_shape_is_malformed(
    gpu: Gpu, change: Callable[[dict[str, Any]], Any]
) -> None:
    with pytest.raises(MalformedError):
        parse_payload(json.dumps(change(gpu.item())).encode())


def test_a_signing_key_that_names_its_firmware_in_both_forms_is_refused(gpu: Gpu) -> None:
    gpu.leaf_options = {"another_extension": (TCB_INFO, tcb_info())}
    assert "root" in failed(gpu.look())


def test_blocks_out_of_order_are_malformed(gpu: Gpu) -> None:
    data = gpu.unsigned()
    first, second = (data[RECORD_AT + n * 55 : RECORD_AT + (n + 1) * 55] for n in (0, 1))
    gpu.change_report = patch(RECORD_AT, second + first)
    with pytest.raises(MalformedError, match="out of order"):
        gpu.look()


@pytest.mark.parametrize("trailing", [b"\0", b"A", bytes(1 << 10)])
def test_spdm_trailing_bytes_are_malformed(gpu: Gpu, trailing: bytes) -> None:
    with pytest.raises(MalformedError):
        gpu.look(payload=json.dumps([gpu.item(gpu.report() + trailing)]).encode())


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (3, None),  # no driver version
        (6, None),
        (11, None),
        (17, None),
        (3, b"\0"),
        (3, b"550/../x\0"),
        (3, b"5" * 40),
        (3, b"\xff\xfe"),
        (6, bytes(7)),
        (11, b"\x00"),
        (11, b"\x55\x55"),
        (20, FWID[:-1]),
        (20, FWID + b"\0"),
        (21, b"\x01"),
        (26, b""),  # unknown
        (37, b"\0"),
        (255, b""),
        (34, b"\x02\x00"),  # a later version of the data
        (34, b"\x01\x00"),  # ... which would have to name the mode
        (36, b"\x03\x00"),
        (35, b""),
    ],
)
def test_opaque_data_of_another_shape_is_malformed(
    gpu: Gpu, kind: int, value: bytes | None
) -> None:
    if value is None:
        del gpu.fields[kind]
    else:
        gpu.fields[kind] = value
    with pytest.raises(MalformedError):
        parse_report(gpu.report())


def test_a_field_of_the_opaque_data_may_stand_once(gpu: Gpu) -> None:
    data = gpu.unsigned()
    field = struct.pack("<HH", 20, 48) + OTHER
    gpu.change_report = lambda _: longer
    at = data.index(struct.pack("<HH", 6, 8))
    size = int.from_bytes(data[at - 2 : at], "little") + len(field)
    longer = data[: at - 2] + size.to_bytes(2, "little") + data[at:] + field
    with pytest.raises(MalformedError, match="twice"):
        gpu.look()


@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ({34: b"\1\0", 36: b"\0\0"}, GpuMode.MULTIPLE),
        ({34: b"\1\0", 36: b"\1\0"}, GpuMode.SINGLE),
        ({34: b"\0\0"}, GpuMode.UNSTATED),
        ({34: b"\1\0", 36: b"\2\0"}, GpuMode.PROTECTED_PCIE),
        ({21: b"\xaa"}, GpuMode.PROTECTED_PCIE),
        ({21: b"\xaa", 34: b"\1\0", 36: b"\1\0"}, GpuMode.PROTECTED_PCIE),
    ],
)
def test_protected_pcie_needs_leave(gpu: Gpu, fields: dict[int, bytes], mode: GpuMode) -> None:
    gpu.fields |= fields
    assert parse_report(gpu.report()).opaque.mode is mode
    assert failed(gpu.look()) == (["mode"] if mode is GpuMode.PROTECTED_PCIE else [])
    gpu.conditions = msgspec.structs.replace(gpu.conditions, protected_pcie=True)
    assert failed(gpu.look()) == []


# --- firmware and identity ------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["hopper", "blackwell"])
def test_a_report_by_other_firmware_than_the_keys_is_refused(architecture: str) -> None:
    gpu = Gpu(architecture)
    gpu.fields[20] = OTHER
    assert failed(gpu.look()) == ["firmware"]


@pytest.mark.parametrize("fields", [{20: b""}, None])
def test_fwid_missing_from_the_report_is_refused(gpu: Gpu, fields: dict[int, bytes] | None) -> None:
    if fields is None:
        del gpu.fields[20]
    else:
        gpu.fields |= fields
    assert failed(gpu.look()) == ["firmware"]


@pytest.mark.parametrize("flags", [b"\x00\x10", b"\x00\x20", b"\x00\x40", b"\x00\x90\x00\x00\x01"])
def test_firmware_that_is_debugged_insecure_or_recovering_is_refused(flags: bytes) -> None:
    gpu = Gpu("blackwell")
    gpu.extension = (TCB_INFO, tcb_info(flags=flags))
    assert failed(gpu.look()) == ["firmware"]


@pytest.mark.parametrize(
    "extension",
    [
        None,
        ("2.23.133.5.4.2", composite()),
        (COMPOSITE, b""),
        (COMPOSITE, FWID),  # the last 48 bytes alone are not enough
        (COMPOSITE, composite(version=b"\2")),
        (COMPOSITE, composite(FWID[:-1])),
        (COMPOSITE, composite() + b"\0"),
        (COMPOSITE, composite()[:-1]),
        (COMPOSITE, composite() * 2),
        (COMPOSITE, b"\x31" + composite()[1:]),
        (COMPOSITE, b"\x30\x82\x00" + composite()[2:]),  # not the shortest length
        (COMPOSITE, composite().replace(SHA384, SHA384[:-1] + b"\x01")),  # SHA-256, it says
        (COMPOSITE, composite().replace(b"\x04\x30" + FWID, b"\x05\x30" + FWID)),
        (TCB_INFO, tcb_info().replace(fwid_sequence(FWID), b"\x31" + fwid_sequence(FWID)[1:])),
        (COMPOSITE, der_tag(0x30, fwid_sequence(FWID))),
        (TCB_INFO, composite()),
        (TCB_INFO, der_tag(0x30, der_tag(0x80, b"NVIDIA"))),
        (TCB_INFO, der_tag(0x30, der_tag(0xA6, b""))),
        (TCB_INFO, der_tag(0x30, der_tag(0xA6, FWID))),
        (TCB_INFO, der_tag(0x30, der_tag(0xA6, fwid_sequence(FWID)) * 2)),
        (TCB_INFO, der_tag(0x30, der_tag(0xA6, fwid_sequence(FWID)) + der_tag(0x8F, b""))),
        (TCB_INFO, tcb_info(flags=b"\x00")),
        (TCB_INFO, tcb_info(flags=b"\x09\x00")),
        (TCB_INFO, b"\x30\x84\xff\xff\xff\xff"),
        (TCB_INFO, b"\x30\x81\x05" + bytes(5)),  # not the shortest length
        (TCB_INFO, b"\x30\x80" + bytes(9)),  # no length
    ],
)
def test_a_signing_key_that_names_its_firmware_otherwise_is_refused(
    gpu: Gpu, extension: tuple[str, bytes] | None
) -> None:
    gpu.extension = extension  # type: ignore[assignment]
    assert "root" in failed(gpu.look())


def test_a_gpu_of_an_architecture_that_is_not_listed_is_refused() -> None:
    gpu = Gpu("blackwell")
    gpu.conditions = msgspec.structs.replace(gpu.conditions, architectures=("hopper",))
    assert failed(gpu.look()) == ["architecture"]


def test_what_the_evidence_says_of_its_architecture_counts_for_nothing() -> None:
    gpu = Gpu("blackwell")
    gpu.conditions = msgspec.structs.replace(gpu.conditions, architectures=("hopper",))
    gpu.said = {"arch": "HOPPER"}
    assert failed(gpu.look()) == ["architecture"]


@pytest.mark.parametrize(
    "model", ["LS10 A01 FSP BROM", "GA100 A01 GSP BROM", "XGH100", "GH1000 A01", "", "gh100"]
)
def test_a_device_that_is_no_known_gpu_is_refused(gpu: Gpu, model: str) -> None:
    gpu.model = model
    if model:
        assert "root" in failed(gpu.look())
    else:
        with pytest.raises((ValueError, ManateeError)):  # there is no such certificate
            gpu.look()


@pytest.mark.parametrize(
    "change",
    [
        lambda chain: chain[:1],
        lambda chain: chain[:-1],  # without its root
        lambda chain: chain[1:],
        lambda chain: [chain[0], chain[2], chain[1], *chain[3:]],
        lambda chain: [*chain, chain[-1]],
        lambda chain: [*chain[:3], chain[3], chain[3]],
        lambda chain: list(reversed(chain)),
    ],
)
def test_a_chain_that_is_cut_reordered_or_padded_is_refused(
    gpu: Gpu, change: Callable[[list[x509.Certificate]], list[x509.Certificate]]
) -> None:
    gpu.change_chain = change
    assert {"root", "signature"} <= set(failed(gpu.look()))


def test_a_chain_of_a_hundred_certificates_is_malformed(gpu: Gpu) -> None:
    gpu.change_chain = lambda chain: chain[:1] * 40
    with pytest.raises(ManateeError):
        gpu.look()


@pytest.mark.parametrize(
    "options",
    [
        {"ends": AT - timedelta(seconds=1)},
        {"begins": AT + timedelta(seconds=1)},
        {"signs": False},
    ],
)
def test_a_signing_key_out_of_time_or_for_another_use_is_refused(
    gpu: Gpu, options: dict[str, Any]
) -> None:
    gpu.leaf_options = options
    assert failed(gpu.look()) == ["devices", "root", "signature", "architecture", "firmware",
                                  *NEEDS_REPORT]  # fmt: skip


def test_a_boot_rom_of_the_same_name_without_nvidia_is_refused(gpu: Gpu) -> None:
    fake_ica = certificate("ica", "foreign", "ica", "foreign", ca=True, serial=3)
    brom = certificate(gpu.model, "brom", "ica", "foreign", ca=True, serial=2)
    gpu.change_chain = lambda chain: [chain[0], brom, fake_ica, chain[3], ROOT]
    assert {"root", "signature"} <= set(failed(gpu.look()))


# --- versions and manifests -----------------------------------------------------------------------


def test_versions_that_are_not_listed_are_refused(gpu: Gpu) -> None:
    gpu.conditions = msgspec.structs.replace(gpu.conditions, driver_versions=("550.144.0",))
    assert failed(gpu.look()) == ["driver"]
    gpu.conditions = msgspec.structs.replace(
        gpu.conditions, driver_versions=("550.144.03",), vbios_versions=()
    )
    assert failed(gpu.look()) == ["vbios"]


@pytest.mark.parametrize("which", ["driver", "vbios"])
@pytest.mark.parametrize(
    "member", [{"version": "550.144.04"}, {"version": ""}, {"chip": "GB100"}, {"chip": "LS10"}]
)
def test_a_manifest_of_another_version_or_product_is_refused(
    gpu: Gpu, which: str, member: dict[str, str]
) -> None:
    for name, value in member.items():
        setattr(getattr(gpu, which), name, value)
    assert failed(gpu.look()) == [f"{which}-manifest", "measurements"]


def test_a_switches_manifest_is_refused(gpu: Gpu) -> None:
    gpu.vbios.edition = "SWITCH"
    assert failed(gpu.look()) == ["vbios-manifest", "measurements"]


@pytest.mark.parametrize("index", [7, 21, 22, 0, 1, 9])
def test_one_measurement_that_is_not_as_stated_is_refused(gpu: Gpu, index: int) -> None:
    gpu.values[index + 1] = OTHER
    result = gpu.look()
    assert failed(result) == ["measurements"]
    assert str(index) in next(item.reason for item in result.checks if item.name == "measurements")


def test_a_measurement_that_is_not_there_is_refused(gpu: Gpu) -> None:
    del gpu.values[23]  # the manifest's 22
    assert failed(gpu.look()) == ["measurements"]


def test_a_raw_value_is_no_digest(gpu: Gpu) -> None:
    place = RECORD_AT + 22 * 55 + 4  # the kind of block 23
    gpu.change_report = patch(place, b"\x81")
    assert failed(gpu.look()) == ["measurements"]


def test_any_of_the_stated_alternatives_will_do(gpu: Gpu) -> None:
    gpu.driver.stated[21] = [OTHER, bytes((22,)) * 48]
    assert failed(gpu.look()) == []
    gpu.values[22] = OTHER
    assert failed(gpu.look()) == []


def test_inactive_measurements_are_not_compared(gpu: Gpu) -> None:
    gpu.driver.inactive = {60: [OTHER]}
    assert failed(gpu.look()) == []


def test_measurement_35_counts_where_the_decoder_is_there(gpu: Gpu) -> None:
    gpu.driver.stated[35] = [OTHER]
    assert failed(gpu.look()) == []
    gpu.fields[11] = b"\xaa"
    assert failed(gpu.look()) == ["measurements"]


def test_manifests_that_state_one_index_both_are_refused(gpu: Gpu) -> None:
    gpu.vbios.stated[7] = gpu.driver.stated[7]
    assert failed(gpu.look()) == ["measurements"]


def test_a_manifest_that_states_nothing_is_refused(gpu: Gpu) -> None:
    gpu.vbios.stated = {}
    assert failed(gpu.look()) == ["vbios-manifest", "measurements"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('active="True"', 'active="true"'),
        ('active="True"', ""),
        ('index="21"', 'index="22"'),
        ('index="21"', 'index="-1"'),
        ('index="21"', 'index="021"'),
        ('index="21"', 'index="254"'),
        ('index="21"', ""),
        ('alternatives="1"', 'alternatives="0"'),
        ('alternatives="1"', 'alternatives="2"'),
        ('alternatives="1"', 'alternatives="999"'),
        ('h:Hash0="16', f'h:Hash1="{"00" * 48}" h:Hash0="16'),
        ('size="48"', 'size="32"'),
        ('type="Measurement"', 'type="Other"'),
        ("<Payload>", '<Payload><Resource type="x"/>'),
        ("<Payload>", "<Payload><Other/>"),
        ("<Payload>", "<Payload/><Payload>"),
        ("<Payload>", '<Meta colloquialVersion="1" edition="GPU" product="GH100"/><Payload>'),
        ('h:Hash0="16', 'h:Hash0="1G'),
        (f'xmlns:h="{HASH}"', 'xmlns:h="http://www.w3.org/2001/04/xmlenc#sha256"'),
        ("<SoftwareIdentity", "<Other"),
        ("http://standards.iso.org/iso/19770/-2/2015/schema.xsd", "http://example"),
    ],
)
def test_a_signed_manifest_of_another_shape_is_refused(gpu: Gpu, old: str, new: str) -> None:
    def change(text: str) -> str:
        assert old in text
        whole = text.replace(old, new, 1)
        return whole.replace("</SoftwareIdentity>", "</Other>") if new == "<Other" else whole

    gpu.driver.change = change
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]
