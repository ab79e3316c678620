"""What is done to evidence of every kind, and to tokens of every issuer: all of it is refused."""

from __future__ import annotations

import base64
import json
import sys
import time
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from manatee.attestation import AttestationResult, verifiers
from manatee.errors import MalformedError, ManateeError

sys.path.insert(0, str(Path(__file__).parent))
from tokens_forge import (
    AT,
    GCP_TYPE,
    KEYS,
    LEAF,
    MAA_DOCUMENT,
    MAA_GIVEN,
    MAA_TYPE,
    MIDDLE,
    NONCE,
    NRAS_TYPE,
    NVIDIA,
    ROOT,
    TDX_AT,
    TDX_GIVEN,
    TDX_NONCE,
    YEAR,
    Azure,
    Service,
    Space,
    b64,
    certificate,
    encoded,
    failed,
    google,
    hs256,
    look,
    ps256,
    references,
    signed,
    vector,
)

from manatee.attestation._tokens.reference import NrasReference

NRAS_NONCE = bytes.fromhex("931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb")
NRAS_AT = datetime.fromisoformat("2025-06-11T01:00:00+00:00")
RECORDED = {
    GCP_TYPE: vector("gcp-confidential-space/pki-tdx-production.jwt"),
    MAA_TYPE: vector("azure-maa/sevsnpvm.jwt"),
    NRAS_TYPE: vector("nvidia/nras-detached-eat.json"),
}


def look_at_service(data: bytes, **kwargs: Any) -> AttestationResult:
    plain: dict[str, Any] = {"at": NRAS_AT, "binding": NRAS_NONCE}
    return look(
        NRAS_TYPE,
        data,
        references("nvidia-nras", {}, nras=NrasReference(hardware_models=("GH100",))),
        documents={f"jwks/{NVIDIA}": vector("nvidia/nras-jwks.json")},
        **(plain | kwargs),
    )


def genuine(media_type: str, data: bytes) -> AttestationResult:
    """Look at recorded evidence as whoever accepts it would."""
    if media_type == NRAS_TYPE:
        return look_at_service(data)
    if media_type == GCP_TYPE:
        return look(media_type, data, TDX_GIVEN, at=TDX_AT, binding=TDX_NONCE)
    return look(
        media_type,
        data,
        MAA_GIVEN,
        at=datetime.fromisoformat("2025-12-15T20:00:00+00:00"),
        binding=b"midnight-srs",
        documents=MAA_DOCUMENT,
    )


def anything(media_type: str, data: bytes) -> AttestationResult:
    return look(media_type, data, references("none", {}), binding=b"x" * 43)


@pytest.mark.parametrize("media_type", sorted(RECORDED))
def test_cut_and_prolonged_tokens_are_refused(media_type: str) -> None:
    whole = RECORDED[media_type]
    size = len(whole)
    cut = [b"", whole[:1], whole[: size // 4], whole[: size // 2], whole[:-1]]
    assert genuine(media_type, whole).accepted
    for data in [*cut, whole + b"\0", whole + b"A", whole + b"\n", b" " + whole, whole + whole]:
        if media_type == NRAS_TYPE and data.strip() == whole:
            continue  # white space around JSON is JSON
        try:
            assert not genuine(media_type, data).accepted
        except MalformedError:
            continue


@pytest.mark.parametrize("media_type", sorted(RECORDED))
@pytest.mark.parametrize("filling", [b"\0", b"A", b".", b" ", b"[", b"="])
def test_a_mebibyte_of_padding_costs_nothing(media_type: str, filling: bytes) -> None:
    begun = time.perf_counter()
    with pytest.raises(ManateeError) as error:
        anything(media_type, RECORDED[media_type] + filling * (1 << 20))
    assert error.value.code in ("malformed", "too-large")
    assert time.perf_counter() - begun < 0.5


@pytest.mark.parametrize("media_type", sorted(RECORDED))
@pytest.mark.parametrize("other", sorted(item.media_type for item in verifiers()))
def test_a_token_under_another_kinds_name_is_not_accepted(media_type: str, other: str) -> None:
    if other == media_type:
        return
    try:
        result = anything(other, RECORDED[media_type])
    except ManateeError:
        return
    assert not result.accepted


def test_one_flipped_bit_in_nvidias_tokens_is_refused() -> None:
    whole = RECORDED[NRAS_TYPE]
    assert failed(look_at_service(whole)) == []
    for place in range(0, len(whole), 2):
        broken = bytearray(whole)
        broken[place] ^= 1 << place % 7
        if chr(broken[place]).isspace() and chr(whole[place]).isspace():
            continue
        try:
            result = look_at_service(bytes(broken))
        except ManateeError:
            continue
        assert not result.accepted, place


@pytest.mark.parametrize(
    "nonce",
    [NRAS_NONCE[:-1], NRAS_NONCE + b"\0", NRAS_NONCE[:-1] + b"\xca", NRAS_NONCE.hex().encode()],
)
def test_another_nonce_than_nvidia_answered_is_refused(nonce: bytes) -> None:
    assert failed(look_at_service(RECORDED[NRAS_TYPE], binding=nonce)) == ["binding"]


@pytest.mark.parametrize(
    ("at", "max_age", "checks"),
    [
        (NRAS_AT + timedelta(hours=1), 3600, ["freshness"]),
        (NRAS_AT - timedelta(hours=1), 3600, ["freshness"]),
        (NRAS_AT, 60, ["freshness"]),
        (NRAS_AT + timedelta(days=900), None, []),  # a run bundle read later
    ],
)
def test_nvidias_tokens_have_their_time(
    at: datetime, max_age: int | None, checks: list[str]
) -> None:
    result = look_at_service(RECORDED[NRAS_TYPE], at=at, max_age_seconds=max_age)
    assert failed(result) == checks


# --- headers: for every issuer alike --------------------------------------------------------------


def with_header(maker: Space | Azure | Service, header: dict[str, Any]) -> AttestationResult:
    maker.header.update(header)
    return maker.look()


@pytest.mark.parametrize("maker", [Azure, Service])
@pytest.mark.parametrize(
    "header",
    [
        {"jwk": {"kty": "RSA"}},
        {"x5c": [encoded(LEAF), encoded(MIDDLE), encoded(ROOT)]},
        {"x5u": "https://attacker.example/chain"},
        {"x5t": "abc"},
        {"x5t#S256": "abc"},
        {"crit": ["exp"]},
        {"crit": ["x"], "x": 1},
        {"b64": False, "crit": ["b64"]},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
        {"typ": "at+jwt"},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES256"},
        {"alg": "PS256"},
        {"alg": ["RS256", "ES384"]},
    ],
)
def test_headers_that_steer_are_malformed_for_every_issuer(
    maker: Callable[[], Azure | Service], header: dict[str, Any]
) -> None:
    with pytest.raises(MalformedError):
        with_header(maker(), header)


def test_addresses_of_keys_are_taken_of_azure_alone() -> None:
    address = {"jku": "https://sharedeus2.eus2.attest.azure.net/certs"}
    assert failed(with_header(Azure(), address)) == []
    for maker in (Space(), Service()):
        with pytest.raises(MalformedError):
            with_header(maker, address)


@pytest.mark.parametrize("sign", [hs256, ps256, lambda message: bytes(256), lambda message: b"A"])
def test_azure_tokens_signed_otherwise_under_the_right_name_are_refused(
    sign: Callable[[bytes], bytes],
) -> None:
    azure = Azure()
    token = signed(azure.header, azure.claims | {"x-ms-isolation-tee": azure.tee}, sign)
    result = azure.look(token)
    assert failed(result) == ["signature"]
    assert result.claims is None


@pytest.mark.parametrize(
    "key_id", ["", "k2", "K1", "k1 ", "../k1", "k" * 8_000, 5, None, ["k1"], {"kid": "k1"}]
)
@pytest.mark.parametrize("maker", [Azure, Service])
def test_key_id_tricks_find_no_key_for_every_issuer(
    maker: Callable[[], Azure | Service], key_id: object
) -> None:
    assert failed(with_header(maker(), {"kid": key_id})) == ["root", "signature"]


def test_cve_2024_28102_an_encrypted_bomb_is_malformed_before_it_is_unpacked() -> None:
    header = b64(b'{"alg":"dir","enc":"A256GCM","zip":"DEF","kid":"k1"}').encode()
    bomb = b64(zlib.compress(bytes(1 << 22))).encode()[:20_000]
    for media_type in (GCP_TYPE, MAA_TYPE):
        with pytest.raises(MalformedError):
            anything(media_type, b".".join((header, b"", b"AAAA", bomb, b"AAAA")))
        with pytest.raises(MalformedError):
            anything(media_type, b".".join((header, bomb, b"AAAA")))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_token_has_one_encoding(size: int) -> None:
    # the last character of a part may carry bits that decoding drops, and padding is optional
    space = Space()
    head, body, tail = signed(space.header, space.claims).split(b".")
    for other in (tail + b"=" * size, tail[:-1] + bytes((tail[-1] + 1,)), tail[:4] + b"\n" + tail):
        if base64.urlsafe_b64decode(tail + b"==") == tail:
            continue
        with pytest.raises(MalformedError):
            space.look(b".".join((head, body, other)))


@pytest.mark.parametrize("extra", [b".", b".AAAA", b".AAAA.AAAA"])
def test_a_token_has_three_parts(extra: bytes) -> None:
    space = Space()
    with pytest.raises(MalformedError):
        space.look(signed(space.header, space.claims) + extra)


@pytest.mark.parametrize("other", [[], "x", 5, None, True])
def test_header_and_claims_are_objects(other: object) -> None:
    space = Space()
    for header, claims in ((other, space.claims), (space.header, other)):
        with pytest.raises(MalformedError):
            space.look(signed(header, claims))


def test_a_published_key_of_another_type_verifies_nothing() -> None:
    azure, service = Azure(), Service()
    azure.published, service.published = dict(service.published), dict(azure.published)
    for maker, key_id in ((azure, "k1"), (service, "g1")):
        maker.published["kid"] = key_id
        assert failed(maker.look()) == ["signature"]


def test_a_header_or_token_over_its_size_is_malformed() -> None:
    space = Space()
    space.header["x5c"] = [encoded(LEAF)] * 14
    with pytest.raises(MalformedError, match="header"):
        space.look()
    space = Space()
    space.claims["filling"] = "x" * (32 << 10)
    with pytest.raises(MalformedError, match="at most"):
        space.look()


@pytest.mark.parametrize("depth", [40, 5_000])
def test_claims_nested_deeply_are_malformed(depth: int) -> None:
    space = Space()
    plain = json.dumps(space.claims).encode()
    nested = plain[:-1] + b',"deep":' + b"[" * depth + b"]" * depth + b"}"
    with pytest.raises(MalformedError):
        space.look(signed(space.header, nested))


# --- chains ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("late", [True, False])
def test_each_certificate_of_a_tokens_chain_has_its_time(place: int, late: bool) -> None:
    lives = [YEAR] * 3
    names = [("leaf", "middle"), ("middle", "root"), ("root", "root")]
    if late:
        lives[place] = timedelta(seconds=-1)
    begins = [AT - timedelta(days=1)] * 3
    if not late:
        begins[place] = AT + timedelta(seconds=1)
    chain = [
        certificate(
            *names[n], KEYS[2 - n], KEYS[max(1 - n, 0)], ca=n > 0, life=lives[n], begins=begins[n]
        )
        for n in range(3)
    ]
    space = Space()
    space.header["x5c"] = [encoded(item) for item in chain]
    space.root = chain[2]
    assert failed(space.look()) == ["root", "signature"]


def test_a_chain_of_the_same_names_by_somebody_else_is_refused() -> None:
    space = Space()
    space.header["x5c"] = [
        encoded(certificate("leaf", "middle", KEYS[2], KEYS[0], ca=False, life=YEAR)),
        *space.header["x5c"][1:],
    ]
    assert failed(space.look()) == ["root", "signature"]


def test_googles_own_root_is_what_is_pinned_otherwise() -> None:
    assert failed(google()) == []
    space = Space()
    found = failed(google_look(space))
    assert {"root", "signature"} <= set(found)


def google_look(space: Space) -> AttestationResult:
    given = references("gcp-confidential-space", {}, confidential_space=space.conditions)
    token = signed(space.header, space.claims)
    return look(GCP_TYPE, token, given, binding=NONCE.encode())
