"""Forged Confidential Space tokens: each fails the one thing it breaks."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from manatee.errors import (
    AppraisalUnavailableError,
    MalformedError,
)
from manatee.records import Tier

sys.path.insert(0, str(Path(__file__).parent))
from tokens_forge import (
    DIGEST,
    GCP_TYPE,
    GOOGLE,
    KEYS,
    NONCE,
    NOW,
    YEAR,
    Space,
    b64,
    certificate,
    encoded,
    failed,
    hs256,
    jwk,
    look,
    ps256,
    references,
    signed,
)


@pytest.fixture
def space() -> Space:
    return Space()


def test_the_forged_space_is_accepted_by_whoever_pins_it(space: Space) -> None:
    assert failed(space.look()) == []


def test_a_token_of_the_published_key_type_is_accepted_too(space: Space) -> None:
    del space.header["x5c"]
    space.documents = {f"jwks/{GOOGLE}": json.dumps({"keys": [jwk()]}).encode()}
    assert failed(space.look()) == []


@pytest.mark.parametrize(
    ("claims", "checks"),
    [
        ({"iss": GOOGLE + "/"}, ["issuer"]),
        ({"iss": GOOGLE.upper()}, ["issuer"]),
        ({"iss": None}, ["issuer"]),
        ({"aud": "https://broker.example/"}, ["audience"]),
        ({"aud": ["https://broker.example"]}, ["audience"]),
        ({"aud": ["https://broker.example", "https://other.example"]}, ["audience"]),
        ({"aud": None}, ["audience"]),
        ({"swname": "GCE"}, ["software"]),
        ({"secboot": False}, ["software"]),
        ({"secboot": "true"}, ["software"]),
        ({"dbgstat": "enabled"}, ["debug"]),
        ({"dbgstat": None}, ["debug"]),
        ({"hwmodel": "GCP_AMD_SEV"}, ["hardware"]),
        ({"hwmodel": None}, ["hardware"]),
        ({"eat_nonce": "m" * 43}, ["binding"]),
        ({"eat_nonce": ["m" * 43, NONCE]}, ["binding"]),
        ({"eat_nonce": [NONCE, "m" * 43]}, ["binding"]),
        ({"eat_nonce": None}, ["binding"]),
        ({"eat_nonce": 5}, ["binding"]),
        ({"submods": None}, ["software", "image"]),
        ({"submods": {"container": {"image_digest": DIGEST}}}, ["software"]),
        ({"iat": NOW + 61, "nbf": NOW}, ["freshness"]),
        ({"nbf": NOW + 61}, ["freshness"]),
        ({"exp": NOW - 1}, ["freshness"]),
        ({"exp": NOW + 30 * 86400}, ["freshness"]),
        ({"iat": NOW - 4000, "nbf": NOW - 4000}, ["freshness"]),
    ],
)
def test_each_claim_that_is_otherwise_fails_its_check(
    space: Space, claims: dict[str, Any], checks: list[str]
) -> None:
    for name, value in claims.items():
        if value is None:
            del space.claims[name]
        else:
            space.claims[name] = value
    assert failed(space.look()) == checks


def test_a_nonce_in_a_list_of_one_is_that_nonce(space: Space) -> None:
    space.claims["eat_nonce"] = [NONCE]
    assert space.look().accepted


@pytest.mark.parametrize("length", [9, 75])
def test_a_nonce_of_a_length_google_does_not_allow_is_none(space: Space, length: int) -> None:
    space.claims["eat_nonce"] = "n" * length
    assert failed(space.look(binding=b"n" * length)) == ["binding"]


@pytest.mark.parametrize(
    "digest",
    ["ab" * 32, "SHA256:" + "ab" * 32, "sha256:" + "AB" * 32, "sha256:" + "ab" * 31, None, 5],
)
def test_an_image_digest_of_another_form_is_no_image(space: Space, digest: object) -> None:
    space.claims["submods"]["container"]["image_digest"] = digest
    result = space.look()
    assert failed(result) == ["image"]
    assert result.claims is not None
    assert result.claims.measurements == {}


def test_conditions_that_name_no_issuer_or_audience_accept_none(space: Space) -> None:
    space.conditions = msgspec.structs.replace(space.conditions, issuer="", audience="")
    space.claims |= {"iss": "", "aud": ""}
    assert failed(space.look()) == ["issuer", "audience"]


def test_an_image_that_is_not_supported_as_asked_is_refused(space: Space) -> None:
    space.claims["submods"]["confidential_space"]["support_attributes"] = ["USABLE"]
    assert failed(space.look()) == ["software"]
    space.conditions = msgspec.structs.replace(space.conditions, support_attributes=())
    assert failed(space.look()) == ["software"]


@pytest.mark.parametrize(
    ("container", "checks"),
    [
        ({"cmd_override": ["/bin/sh"]}, ["overrides"]),
        ({"cmd_override": "x"}, ["overrides"]),
        ({"cmd_override": None, "env_override": None}, []),
        ({"cmd_override": [], "env_override": {}}, []),
        ({"env_override": {"LD_PRELOAD": "/evil.so"}}, ["overrides"]),
        ({"env_override": {"BROKER": "a", "LD_PRELOAD": "/evil.so"}}, ["overrides"]),
        ({"env_override": {"BROKER": "https://broker.example"}}, []),
        ({"env_override": ["BROKER"]}, ["overrides"]),
        ({"env_override": "BROKER"}, ["overrides"]),
    ],
)
def test_what_the_operator_overrides_in_the_container_is_refused(
    space: Space, container: dict[str, Any], checks: list[str]
) -> None:
    space.conditions = msgspec.structs.replace(space.conditions, environment_overrides=("BROKER",))
    space.claims["submods"]["container"] |= container
    assert failed(space.look()) == checks


@pytest.mark.parametrize(
    "supported", [[{"a": 1}, "STABLE"], [5, "STABLE"], "STABLE", {"STABLE": 1}]
)
def test_support_that_is_no_list_of_texts_is_none(space: Space, supported: object) -> None:
    space.claims["submods"]["confidential_space"]["support_attributes"] = supported
    assert failed(space.look()) == ["software"]


def test_projects_are_asked_where_they_are_named(space: Space) -> None:
    for listed in ("ours", ""):
        space.conditions = msgspec.structs.replace(space.conditions, project_ids=(listed,))
        assert failed(space.look()) == ["project"]
    space.conditions = msgspec.structs.replace(space.conditions, project_ids=("ours",))
    space.claims["submods"]["gce"] = {"project_id": "theirs"}
    assert failed(space.look()) == ["project"]
    space.claims["submods"]["gce"] = {"project_id": "ours"}
    assert failed(space.look()) == []


@pytest.mark.parametrize(
    ("model", "tier"),
    [
        ("GCP_INTEL_TDX", Tier.HARDWARE),
        ("GCP_AMD_SEV_SNP", Tier.HARDWARE),
        ("GCP_AMD_SEV", Tier.HARDWARE_VTPM),
        ("GCP_AMD_SEV_ES", Tier.HARDWARE_VTPM),
        ("GCP_SHIELDED_VM", Tier.SOFTWARE_TPM),
        ("GCP_NEXT_YEAR", Tier.SOFTWARE_TPM),
    ],
)
def test_the_tier_follows_the_hardware_even_where_it_is_listed(
    space: Space, model: str, tier: Tier
) -> None:
    space.claims["hwmodel"] = model
    space.conditions = msgspec.structs.replace(space.conditions, hardware_models=(model,))
    result = space.look()
    assert result.accepted
    assert result.tier is tier


def test_service_accounts_are_asked_where_they_are_named(space: Space) -> None:
    space.conditions = msgspec.structs.replace(space.conditions, service_accounts=("a@example",))
    assert space.look().accepted
    space.conditions = msgspec.structs.replace(space.conditions, service_accounts=())
    assert failed(space.look()) == ["service-account"]


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": "soon"},
        {"exp": None},
        {"exp": True},
        {"iat": True},
        {"exp": 1.5},
        {"exp": 10**15},
        {"nbf": "x"},
        {"iat": None},
        {"exp": NOW - 10, "nbf": NOW},
    ],
)
def test_times_that_are_none_are_malformed(space: Space, claims: dict[str, Any]) -> None:
    for name, value in claims.items():
        if value is None:
            del space.claims[name]
        else:
            space.claims[name] = value
    with pytest.raises(MalformedError):
        space.look()


@pytest.mark.parametrize("number", [b"NaN", b"1e400", b"Infinity", b"1" * 400])
def test_numbers_that_are_not_json_are_malformed(space: Space, number: bytes) -> None:
    claims = (
        json.dumps(space.claims).encode().replace(b'"exp": %d' % (NOW + 3595), b'"exp": ' + number)
    )
    assert number in claims
    with pytest.raises(MalformedError):
        space.look(signed(space.header, claims))


@pytest.mark.parametrize("where", ["header", "payload"])
def test_duplicate_members_are_malformed(space: Space, where: str) -> None:
    header, claims = (json.dumps(item).encode() for item in (space.header, space.claims))
    if where == "header":
        header = header.replace(b"{", b'{"kid": "k1", ', 1)
    else:
        claims = claims.replace(b"{", b'{"aud": "https://other.example", ', 1)
    with pytest.raises(MalformedError):
        space.look(signed(header, claims))


@pytest.mark.parametrize(
    ("algorithm", "sign"),
    [
        ("none", lambda message: b""),
        ("None", lambda message: b"x"),
        ("HS256", hs256),
        ("ES256", lambda message: bytes(64)),
        ("PS256", ps256),
        ("RS512", lambda message: bytes(256)),
        (None, None),
    ],
)
def test_cve_2022_29217_another_algorithm_is_malformed(
    space: Space, algorithm: str | None, sign: Callable[[bytes], bytes] | None
) -> None:
    space.header["alg"] = algorithm
    with pytest.raises(MalformedError):
        space.look(signed(space.header, space.claims, sign))


def test_a_signature_by_hmac_under_the_right_name_is_refused(space: Space) -> None:
    for sign in (hs256, ps256, lambda message: bytes(256)):
        result = space.look(signed(space.header, space.claims, sign))
        assert failed(result) == ["signature"]
        assert result.claims is None


@pytest.mark.parametrize(
    "member",
    [
        {"jwk": {"kty": "RSA"}},
        {"jku": "https://attacker.example/keys"},
        {"x5u": "https://attacker.example/chain"},
        {"x5t": "abc"},
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": False},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
        {"cty": "JWT"},
        {"typ": "JOSE"},
    ],
)
def test_cve_2025_59420_header_members_that_steer_are_malformed(
    space: Space, member: dict[str, Any]
) -> None:
    space.header |= member
    with pytest.raises(MalformedError):
        space.look()


@pytest.mark.parametrize(
    "order",
    ["leaf only", "reordered", "other root", "hundred", "no root", "text", "none", "empty", "five"],
)
def test_a_chain_that_is_not_leaf_intermediate_root_is_refused(space: Space, order: str) -> None:
    other = rsa.generate_private_key(65537, 2048)
    foreign = certificate("root", "root", other, other, ca=True, life=YEAR)
    leaf, middle, root = space.header["x5c"]
    links = [("middle", "b", 1, 1), ("b", "a", 1, 1), ("a", "root", 1, 0)]
    above = [
        encoded(certificate(name, by, KEYS[own], KEYS[signer], ca=True, life=YEAR))
        for name, by, own, signer in links
    ]
    five = [leaf, *above, root]  # each signs the one before it
    space.header["x5c"] = {
        "leaf only": [leaf],
        "reordered": [middle, leaf, root],
        "other root": [leaf, middle, encoded(foreign)],
        "hundred": [leaf, *[middle] * 98, root],
        "no root": [leaf, middle],
        "text": "abc",
        "none": None,
        "empty": [],
        "five": five,
    }[order]
    try:
        assert failed(space.look()) == ["root", "signature"]
    except MalformedError:
        assert order == "hundred"  # the header alone is too large


@pytest.mark.parametrize("item", [5, None, "*", "é", "AAAA", ""])
def test_a_chain_of_what_is_no_certificate_is_malformed(space: Space, item: object) -> None:
    space.header["x5c"][0] = item
    with pytest.raises(MalformedError):
        space.look()


def test_an_empty_list_of_roots_and_no_conditions_accept_nothing(space: Space) -> None:
    given = references("gcp-confidential-space", {"image-digest": DIGEST})
    result = look(GCP_TYPE, signed(space.header, space.claims), given, binding=NONCE.encode())
    assert {"allowed-kind", "root", "audience", "software", "hardware"} <= set(failed(result))


@pytest.mark.parametrize(
    "key_id", ["", "k2", "../../etc/passwd", "k1' OR '1'='1", "k" * 10_000, 5, None]
)
def test_key_id_tricks_find_no_key(space: Space, key_id: object) -> None:
    del space.header["x5c"]
    space.header["kid"] = key_id
    space.documents = {f"jwks/{GOOGLE}": json.dumps({"keys": [jwk()]}).encode()}
    assert failed(space.look()) == ["root", "signature"]


def test_a_published_key_without_an_id_is_nobodys(space: Space) -> None:
    del space.header["x5c"]
    space.header["kid"] = ""
    keys = [jwk() | {"kid": ""}]
    space.documents = {f"jwks/{GOOGLE}": json.dumps({"keys": keys}).encode()}
    assert failed(space.look()) == ["root", "signature"]


def test_a_key_id_must_be_there(space: Space) -> None:
    del space.header["kid"]
    with pytest.raises(MalformedError):
        space.look()


@pytest.mark.parametrize("keys", [[], [jwk(), jwk()], [jwk() | {"kid": "other"}]])
def test_no_key_or_two_of_that_id_are_none(space: Space, keys: object) -> None:
    del space.header["x5c"]
    space.documents = {f"jwks/{GOOGLE}": json.dumps({"keys": keys}).encode()}
    assert failed(space.look()) == ["root", "signature"]


@pytest.mark.parametrize(
    "keys",
    [
        [{**jwk(), "n": b64(b"\5" * 64)}],
        [{**jwk(), "kty": "oct"}],
        "keys",
        [{**jwk(), "n": 5}],
        [jwk() | {"kid": f"k{number}"} for number in range(100)],
    ],
)
def test_published_keys_that_are_none_are_malformed(space: Space, keys: object) -> None:
    del space.header["x5c"]
    space.documents = {f"jwks/{GOOGLE}": json.dumps({"keys": keys}).encode()}
    with pytest.raises(MalformedError):
        space.look()


def test_without_published_keys_a_token_cannot_be_appraised(space: Space) -> None:
    del space.header["x5c"]
    with pytest.raises(AppraisalUnavailableError):
        space.look()
