"""Recorded attestation tokens give their values, and nothing that was changed passes."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from manatee.attestation._tokens.reference import (
    NrasReference,
)
from manatee.errors import (
    MalformedError,
    ManateeError,
)
from manatee.records import Tier

sys.path.insert(0, str(Path(__file__).parent))
from tokens_forge import (
    GCP_TYPE,
    MAA_DOCUMENT,
    MAA_GIVEN,
    MAA_TYPE,
    NRAS_TYPE,
    NVIDIA,
    RUNTIME,
    TDX_AT,
    TDX_DIGEST,
    TDX_GIVEN,
    TDX_NONCE,
    b64,
    failed,
    google,
    look,
    references,
    vector,
)


def test_a_recorded_production_token_is_accepted_with_its_values() -> None:
    result = google()
    assert failed(result) == []
    claims = result.require()
    assert result.tier is Tier.HARDWARE
    assert claims.platform == "GCP_INTEL_TDX"
    assert claims.measurements == {"image-digest": TDX_DIGEST}
    assert claims.runtime_digest == RUNTIME
    assert claims.tcb_status == "UpToDate"


def test_a_recorded_debug_token_is_refused() -> None:
    result = google("pki-sev-debug", at=datetime(2025, 6, 23, 14, 30, tzinfo=UTC))
    assert {"debug", "software", "hardware"} <= set(failed(result))
    assert "signature" not in failed(result)


def test_a_recorded_token_with_a_chain_of_its_own_is_refused() -> None:
    at = datetime(2025, 6, 23, 14, 30, tzinfo=UTC)
    with pytest.raises(MalformedError):
        google("selfsigned-x5c", at=at)  # it lacks a key id, too: no production token does


@pytest.mark.parametrize(
    ("at", "max_age", "checks"),
    [
        (TDX_AT + timedelta(hours=2), 3600, ["freshness"]),
        (TDX_AT + timedelta(hours=2), None, []),  # a run bundle read later
        (TDX_AT - timedelta(hours=1), 3600, ["freshness"]),
        (datetime(2040, 1, 1, tzinfo=UTC), 3600, ["root", "signature", "freshness"]),
    ],
)
def test_a_recorded_token_has_its_time(
    at: datetime, max_age: int | None, checks: list[str]
) -> None:
    assert failed(google(at=at, max_age_seconds=max_age)) == checks


@pytest.mark.parametrize("nonce", [TDX_NONCE[:-1], TDX_NONCE + b"0", b"7" * 64])
def test_another_nonce_is_refused(nonce: bytes) -> None:
    assert failed(google(binding=nonce)) == ["binding"]


def test_a_recorded_azure_token_is_accepted_with_its_values() -> None:
    result = look(
        MAA_TYPE,
        vector("azure-maa/sevsnpvm.jwt"),
        MAA_GIVEN,
        at=datetime(2025, 12, 15, 20, tzinfo=UTC),
        binding=b"midnight-srs",
        documents=MAA_DOCUMENT,
    )
    assert failed(result) == []
    claims = result.require()
    assert claims.tcb == {"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219}
    assert not claims.debug
    assert claims.vmpl == 0
    assert claims.runtime_digest is None  # Azure's firmware is measured, and not the guest


def test_recorded_gpu_tokens_are_accepted() -> None:
    nonce = "931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb"
    result = look(
        NRAS_TYPE,
        vector("nvidia/nras-detached-eat.json"),
        references("nvidia-nras", {}, nras=NrasReference(hardware_models=("GH100",))),
        at=datetime(2025, 6, 11, 1, tzinfo=UTC),
        binding=bytes.fromhex(nonce),
        documents={f"jwks/{NVIDIA}": vector("nvidia/nras-jwks.json")},
    )
    assert failed(result) == []
    assert result.require().runtime_digest is None  # a GPU never stands alone
    assert not result.require().debug


@pytest.mark.parametrize(
    ("media_type", "path"),
    [
        (GCP_TYPE, "gcp-confidential-space/pki-tdx-production.jwt"),
        (MAA_TYPE, "azure-maa/sevsnpvm.jwt"),
    ],
)
def test_one_flipped_bit_at_every_character_is_refused(media_type: str, path: str) -> None:
    token = vector(path)
    google_given = media_type == GCP_TYPE
    for place in range(0, len(token)):
        broken = bytearray(token)
        broken[place] ^= 1 << place % 7
        try:
            result = look(
                media_type,
                bytes(broken),
                TDX_GIVEN if google_given else MAA_GIVEN,
                at=TDX_AT if google_given else datetime(2025, 12, 15, 20, tzinfo=UTC),
                binding=TDX_NONCE if google_given else b"midnight-srs",
                documents=MAA_DOCUMENT,
            )
        except ManateeError:
            continue
        assert not result.accepted, place


@pytest.mark.parametrize("media_type", [GCP_TYPE, MAA_TYPE, NRAS_TYPE])
@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"a",
        b"..",
        b"a.b.c",
        b"a.b.c.d.e",  # a JWE
        b"\xff" * 30,
        b"A" * (1 << 20),
        b64(b"[" * 5000).encode() + b".e30.AAAA",
        b64(b'{"alg":"RS256","alg":"RS256","kid":"x"}').encode() + b".e30.AAAA",
    ],
)
def test_what_is_no_token_is_malformed(media_type: str, token: bytes) -> None:
    with pytest.raises(ManateeError) as error:
        look(media_type, token, TDX_GIVEN, binding=b"x" * 43)
    assert isinstance(error.value, MalformedError) or error.value.code == "too-large"
