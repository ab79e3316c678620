"""Keys that verify tokens are the relying party's: whoever is appraised cannot bring its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from manatee.attestation import Endorsements, appraise
from manatee.attestation._endorsements import endorsements_of
from manatee.attestation._tokens.keys import MAX_KEYS, find_key
from manatee.errors import AppraisalRefusedError, AppraisalUnavailableError, MalformedError
from manatee.records import Endorsement, Evidence, to_base64

sys.path.insert(0, str(Path(__file__).parent))
import tokens_forge
from tokens_forge import (
    AZURE,
    GOOGLE,
    NVIDIA,
    Azure,
    Service,
    Space,
    b64,
    jwk,
)


def space() -> Space:
    made = Space()
    del made.header["x5c"]  # a token of the other type: its key is one that Google publishes
    return made


@pytest.mark.parametrize(
    ("make", "issuer"),
    [(space, GOOGLE), (Azure, AZURE), (Service, NVIDIA)],
)
@pytest.mark.parametrize("own", [False, True])
def test_a_guest_that_brings_the_issuers_keys_is_refused(
    make: Callable[[], Space | Azure | Service],
    issuer: str,
    own: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = make()
    published = {"keys": [getattr(made, "published", jwk())]}
    keys = json.dumps(published).encode()
    caught: list[tuple[Evidence, dict[str, Any]]] = []
    with monkeypatch.context() as patched:
        patched.setattr(tokens_forge, "appraise", lambda item, **rest: caught.append((item, rest)))
        made.look()
    ((evidence, rest),) = caught
    rest["endorsements"] = Endorsements(documents={f"jwks/{issuer}": keys} if own else {})
    brought = Evidence(
        media_type=evidence.media_type,
        payload=evidence.payload,
        endorsements=(Endorsement(name=f"jwks/{issuer}", payload=to_base64(keys)),),
    )
    with pytest.raises(MalformedError, match="nobody signed"):
        appraise(brought, **rest)
    # the same keys, from the relying party's own collateral, are its own decision
    if own:
        assert appraise(evidence, **rest).claims is not None
    else:
        with pytest.raises(AppraisalUnavailableError, match="missing"):
            appraise(evidence, **rest)


@pytest.mark.parametrize("name", ["jwks/", f"jwks/{AZURE}", "cca-cpak/emulated"])
def test_bare_keys_do_not_travel_with_evidence(name: str) -> None:
    with pytest.raises(MalformedError, match="nobody signed"):
        endorsements_of((Endorsement(name=name, payload=to_base64(b"{}")),))


# --- published keys -------------------------------------------------------------------------------


def given(*keys: Any) -> Endorsements:
    return Endorsements(documents={"jwks/i": json.dumps({"keys": list(keys)}).encode()})


def test_a_key_is_found_by_its_exact_id() -> None:
    found = find_key(given(jwk() | {"kid": "other"}, jwk()), "i", "k1")
    assert isinstance(found, rsa.RSAPublicKey)


@pytest.mark.parametrize("key_id", ["", "K1", "k1 ", "k", "../k1", "k1\0", "k" * 201])
def test_an_id_that_is_not_exactly_a_keys_finds_none(key_id: str) -> None:
    keys = [jwk() | {"kid": name} for name in ("k1", "", "k" * 201)]
    with pytest.raises(AppraisalRefusedError):
        find_key(given(*keys), "i", key_id)


def test_two_keys_of_one_id_are_none() -> None:
    with pytest.raises(AppraisalRefusedError):
        find_key(given(jwk(), jwk()), "i", "k1")


def short() -> dict[str, str]:
    numbers = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
    return {"kty": "RSA", "kid": "k1", "e": "AQAB", "n": b64(numbers.n.to_bytes(128, "big"))}


@pytest.mark.parametrize(
    "key",
    [
        jwk() | {"n": 5},
        jwk() | {"n": "*"},
        jwk() | {"n": "é"},
        jwk() | {"n": "AQ"},
        jwk() | {"e": "AA"},
        short(),
        {"kty": "EC", "crv": "P-384", "kid": "k1", "x": "AQ", "y": "AQ"},
        {"kty": "EC", "crv": "P-256", "kid": "k1", "x": "AQ", "y": "AQ"},
        Service().published | {"kid": "k1", "crv": "P-256"},
        Service().published | {"kid": "k1", "kty": "OKP"},
        {"kty": "oct", "kid": "k1", "k": "AQ"},
        {"kid": "k1"},
    ],
)
def test_a_published_key_that_is_none_is_malformed(key: Any) -> None:
    with pytest.raises(MalformedError):
        find_key(given(key), "i", "k1")


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":5}'])
def test_published_keys_that_are_no_list_are_malformed(document: bytes) -> None:
    with pytest.raises(MalformedError):
        find_key(Endorsements(documents={"jwks/i": document}), "i", "k1")


def test_published_keys_are_bounded() -> None:
    keys = [jwk() | {"kid": str(number)} for number in range(MAX_KEYS)]
    assert find_key(given(*keys), "i", "3")
    with pytest.raises(MalformedError):
        find_key(given(*keys, jwk()), "i", "3")


def test_what_is_in_the_list_beside_keys_is_passed_over() -> None:
    assert find_key(given("x", None, jwk()), "i", "k1")
