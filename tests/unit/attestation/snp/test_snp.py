"""Recorded SEV-SNP reports give their values; what differs from them is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from manatee.attestation import (
    ExpectedBinding,
)
from manatee.attestation._certificates import read_certificate, read_pem_chain
from manatee.attestation._snp.reference import SnpReference
from manatee.attestation._snp.report import SIGNED_BYTES, parse_report
from manatee.attestation._snp.tcb import read_tcb
from manatee.attestation._snp.verifier import KIND
from manatee.attestation._vendor_roots import der, vendor_chain
from manatee.errors import (
    AppraisalUnavailableError,
    AttestationError,
    MalformedError,
    ManateeError,
)
from manatee.records import Tier, to_base64

sys.path.insert(0, str(Path(__file__).parent))
from snp_forge import (
    ANYTHING,
    AT,
    EXPECTED,
    FLOORS,
    LEAVES,
    LENIENT,
    VECTORS,
    failed,
    leaf_der,
    look,
    references,
    report_bytes,
)

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


@pytest.mark.parametrize("size", [0, 1, 1183, 1185, 1184 + (1 << 20)])
def test_the_length_is_looked_at_first(size: int) -> None:
    with pytest.raises(MalformedError, match="1184 bytes"):
        parse_report(report_bytes("milan-report").ljust(size, b"\0")[:size])


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
