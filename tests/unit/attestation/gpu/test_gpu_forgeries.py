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

from manatee.attestation import ReferenceValues
from manatee.attestation._gpu.opaque import GpuMode
from manatee.attestation._gpu.payload import parse_payload
from manatee.attestation._gpu.report import parse_report
from manatee.errors import MalformedError
from manatee.records import Tier

sys.path.insert(0, str(Path(__file__).parent))
from gpu_forge import (
    AT,
    FWID,
    NONCE,
    RECORD_AT,
    TCB_INFO,
    Gpu,
    failed,
    patch,
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
    assert failed(result) == ["root", "architecture", "firmware", *NEEDS_REPORT]
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
    second = Gpu(serial=100)
    result = gpu.look(second)
    assert failed(result) == []
    assert len(result.require().measurements) == 2
    assert result.require().chip_id == ""


def test_the_eight_gpus_of_one_machine_are_accepted_together(gpu: Gpu) -> None:
    result = gpu.look(*(Gpu(serial=serial) for serial in range(1, 8)))
    assert len(result.require().measurements) == 8


@pytest.mark.parametrize("first_is_bad", [True, False])
def test_one_bad_gpu_among_several_is_refused(gpu: Gpu, first_is_bad: bool) -> None:
    second = Gpu(serial=100)
    (gpu if first_is_bad else second).nonce = bytes(31) + b"\1"
    assert failed(gpu.look(second)) == ["binding"]


def test_one_gpu_twice_is_refused(gpu: Gpu) -> None:
    assert failed(gpu.look(gpu)) == ["devices"]


def test_one_gpu_does_not_pass_for_two_by_a_second_signing_key(gpu: Gpu) -> None:
    second = Gpu(serial=100)
    second.rom_key = gpu.rom_key
    upper = gpu.chain[1:]
    second.change_chain = lambda chain: [chain[0], *upper]
    assert failed(gpu.look(second)) == ["devices"]


# --- the report -----------------------------------------------------------------------------------


def test_a_report_signed_by_another_key_is_refused(gpu: Gpu) -> None:
    gpu.signing_key = "brom"
    result = gpu.look()
    assert failed(result) == ["signature", *NEEDS_REPORT]
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
