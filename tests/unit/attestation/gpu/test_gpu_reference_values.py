"""Genuine reports of the wrong GPU, firmware, version or measurement, by a GPU of our own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509

from manatee.errors import ManateeError

sys.path.insert(0, str(Path(__file__).parent))
from gpu_forge import (
    AT,
    COMPOSITE,
    FWID,
    HASH,
    RECORD_AT,
    ROOT,
    SHA384,
    TCB_INFO,
    Gpu,
    certificate,
    composite,
    der_tag,
    failed,
    fwid_sequence,
    patch,
    tcb_info,
)

NEEDS_REPORT = ["driver-manifest", "vbios-manifest", "measurements", "revocation"]
OTHER = bytes.fromhex("cd" * 48)


@pytest.fixture
def gpu() -> Gpu:
    return Gpu()


def with_firmware(firmware: bytes) -> bytes:
    """Return Hopper's form with another member for the firmware."""
    plain = composite()
    return der_tag(0x30, plain[3 : -len(fwid_sequence(FWID))] + firmware)


def test_a_long_statement_of_the_boot_rom_is_read() -> None:
    gpu = Gpu("blackwell")
    gpu.extension = (TCB_INFO, tcb_info(vendor=b"N" * 300))
    assert failed(gpu.look()) == []


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
        (COMPOSITE, b"\x30\x83\x00\x00" + composite()[2:]),  # three bytes of length
        (
            COMPOSITE,
            with_firmware(b"\x30\x81" + fwid_sequence(FWID)[1:]),
        ),  # not the shortest within
        (COMPOSITE, der_tag(0x30, der_tag(0x04, b"\1") + composite()[6:])),  # no version
        (TCB_INFO, tcb_info(vendor=b"N" * 4096)),  # too long
        (TCB_INFO, tcb_info(vendor=b"N") + tcb_info(vendor=b"N")),
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


def test_evidence_that_says_another_architecture_than_its_certificates_is_refused() -> None:
    gpu = Gpu("blackwell")
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
    found = failed(gpu.look())
    assert "root" in found
    assert "devices" not in found


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
    assert failed(gpu.look()) == ["root", "architecture", "firmware", *NEEDS_REPORT]


def test_a_boot_rom_of_the_same_name_without_nvidia_is_refused(gpu: Gpu) -> None:
    fake_ica = certificate("ica", "foreign", "ica", "foreign", ca=True, serial=3)
    brom = certificate(gpu.model, gpu.rom_key, "ica", "foreign", ca=True, serial=2)
    gpu.change_chain = lambda chain: [chain[0], brom, fake_ica, chain[3], ROOT]
    assert "root" in failed(gpu.look())


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


def test_a_measurement_without_a_value_is_refused_even_where_it_is_inactive(gpu: Gpu) -> None:
    gpu.driver.inactive = {60: []}
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


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
        ("</Payload>", "</Payload><Payload/>"),
        ('<Resource type="Measurement" index="60"', '<Other type="Measurement" index="60"'),
        ('colloquialVersion="550.144.03"', ""),
        ('product="GH100"', ""),
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
