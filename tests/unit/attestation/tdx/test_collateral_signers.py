"""Whose word counts for a TDX platform: its own certificates, and Intel's TCB signer alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from manatee.attestation import (
    AttestationResult,
    Endorsements,
    ExpectedBinding,
    GuestImage,
    ReferenceValues,
    appraise,
)
from manatee.attestation._certificates import read_certificate
from manatee.attestation._tdx.collateral import read_collateral
from manatee.attestation._tdx.quote import fmspc_of, parse_quote
from manatee.attestation._tdx.reference import TdxReference
from manatee.attestation._tdx.signers import check_signers
from manatee.attestation._tdx.verifier import KIND, MEDIA_TYPE
from manatee.errors import AppraisalRefusedError, MalformedError
from manatee.records import Evidence, digest_bytes, to_base64

TDX = Path(__file__).parents[3] / "vectors" / "tdx"
QUOTE = (TDX / "v4-b0c06f.quote").read_bytes()
OTHER = (TDX / "v5-90c06f.quote").read_bytes()
COLLATERAL: dict[str, Any] = json.loads((TDX / "v4-b0c06f.collateral.json").read_bytes())
JULY = datetime(2025, 7, 1, tzinfo=UTC)
RUNTIME = digest_bytes(b"runtime")


def chain_of(quote: bytes) -> str:
    certificates = parse_quote(quote)[0].certificates
    return "".join(
        read_certificate(item).public_bytes(Encoding.PEM).decode() for item in certificates
    )


def with_chain(quote: bytes, pem: bytes) -> bytes:
    """Return a version 4 quote with another PCK chain, its three length fields made to fit."""
    exact = parse_quote(quote)[1]
    start = exact.index(b"-----BEGIN")
    more = len(pem) - (len(exact) - start)
    made = bytearray(exact[:start] + pem)
    for at in (632, 636 + 64 + 64 + 2, start - 4):
        length = int.from_bytes(made[at : at + 4], "little") + more
        made[at : at + 4] = length.to_bytes(4, "little")
    return bytes(made)


def look(quote: bytes, fmspc: str, **changed: str) -> AttestationResult:
    fields = parse_quote(quote)[0]
    rtmrs = {f"rtmr{number}": value.hex() for number, value in enumerate(fields.rtmrs)}
    image = GuestImage(
        kind=KIND, measurements={"mrtd": fields.mr_td.hex(), **rtmrs}, runtime_digest=RUNTIME
    )
    document = json.dumps(COLLATERAL | changed).encode()
    return appraise(
        Evidence(media_type=MEDIA_TYPE, payload=to_base64(quote)),
        at=JULY,
        expected_binding=ExpectedBinding.exactly(fields.report_data),
        reference_values=ReferenceValues(
            runtime_digests=(RUNTIME,),
            roots={},
            images=(image,),
            tdx=TdxReference(fmspcs=(fmspc,)),
        ),
        max_age_seconds=None,
        endorsements=Endorsements(documents={f"intel-tdx/{fmspc}": document}),
    )


def test_a_pck_chain_beside_the_collateral_is_left_out() -> None:
    assert look(QUOTE, "b0c06f000000", pck_certificate_chain=chain_of(OTHER)).accepted


def test_a_platform_cannot_pass_as_another_that_is_on_the_list() -> None:
    # the quote shows the certificates of a listed platform; those of the one that really signed
    # stand beside the collateral, where the library would prefer them
    posing = with_chain(QUOTE, chain_of(OTHER).encode())
    result = look(posing, "90c06f000000", pck_certificate_chain=chain_of(QUOTE))
    assert not result.accepted
    assert result.claims is None


def test_collateral_under_another_platforms_name_is_not_even_tried() -> None:
    posing = with_chain(QUOTE, chain_of(OTHER).encode())
    reasons = {item.name: item.reason for item in look(posing, "90c06f000000").checks}
    assert "another platform" in reasons["signature"]


def test_a_certificate_names_exactly_one_platform() -> None:
    leaf = parse_quote(QUOTE)[0].certificates[0]
    assert fmspc_of(leaf) == "b0c06f000000"
    marker = bytes.fromhex("060a2a864886f84d010d01040406")
    for bad in (b"", leaf.replace(marker, b""), leaf + marker + bytes(6), marker + b"12345"):
        with pytest.raises(MalformedError):
            fmspc_of(bad)


def test_putting_the_same_chain_back_changes_nothing() -> None:
    assert look(with_chain(QUOTE, chain_of(QUOTE).encode()), "b0c06f000000").accepted


@pytest.mark.parametrize("member", ["tcb_info_issuer_chain", "qe_identity_issuer_chain"])
def test_a_platforms_own_certificate_may_not_sign_collateral(member: str) -> None:
    changed = COLLATERAL | {member: chain_of(QUOTE)}
    with pytest.raises(AppraisalRefusedError, match="TCB signing"):
        check_signers(read_collateral(json.dumps(changed).encode()).body)
    result = look(QUOTE, "b0c06f000000", **{member: chain_of(QUOTE)})
    reasons = {item.name: item.reason for item in result.checks}
    assert "TCB signing certificate" in reasons["signature"]
    assert result.claims is None


@pytest.mark.parametrize("chain", ["", "é", "-----BEGIN CERTIFICATE-----\n", "A" * 500_000])
def test_a_chain_that_is_no_pem_is_malformed(chain: str) -> None:
    with pytest.raises(MalformedError):
        look(QUOTE, "b0c06f000000", tcb_info_issuer_chain=chain)
