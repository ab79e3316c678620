"""Times, numbers and doubled members, in the tokens of Azure and of NVIDIA as in Google's."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from manatee.attestation import AttestationResult
from manatee.errors import MalformedError

sys.path.insert(0, str(Path(__file__).parent))
from tokens_forge import (
    AZURE,
    GPU_NONCE,
    NOW,
    NRAS_TYPE,
    NVIDIA,
    Azure,
    Service,
    es384,
    failed,
    look,
    references,
    signed,
)


def azure(header: bytes | None = None, claims: bytes | None = None, **members: Any) -> Any:
    """Look at an Azure token whose claims, or whose bytes before signing, are set."""
    made = Azure()
    plain = {**made.claims, "x-ms-isolation-tee": made.tee, **members}
    present = {name: value for name, value in plain.items() if value is not None}
    whole = json.dumps(present).encode() if claims is None else claims
    return made.look(signed(header or made.header, whole))


def nvidia(header: bytes | None = None, claims: bytes | None = None, **members: Any) -> Any:
    """Look at NVIDIA's overall token, with one GPU's beside it, in the same way."""
    made = Service()
    gpu = signed(made.header, {"ueid": "GPU-0"} | made.gpu, es384).decode()
    named = {"GPU-0": ["DIGEST", ["SHA-256", hashlib.sha256(gpu.encode()).hexdigest()]]}
    plain = {**made.overall, "submods": named, **members}
    present = {name: value for name, value in plain.items() if value is not None}
    whole = json.dumps(present).encode() if claims is None else claims
    overall = signed(header or made.header, whole, es384).decode()
    result: AttestationResult = look(
        NRAS_TYPE,
        json.dumps([["JWT", overall], {"GPU-0": gpu}]).encode(),
        references("nvidia-nras", {}, nras=made.conditions),
        binding=GPU_NONCE,
        documents={f"jwks/{NVIDIA}": json.dumps({"keys": [made.published]}).encode()},
    )
    return result


BOTH = pytest.mark.parametrize("token", [azure, nvidia])


@BOTH
def test_the_tokens_changed_below_are_accepted_as_they_are(token: Any) -> None:
    assert failed(token()) == []


@BOTH
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", [None, "soon", True, 1.5, 10**15, [], {}])
def test_a_time_that_is_none_is_malformed(token: Any, name: str, value: object) -> None:
    with pytest.raises(MalformedError):
        token(**{name: value})


@BOTH
def test_a_token_that_ends_before_it_begins_is_malformed(token: Any) -> None:
    with pytest.raises(MalformedError):
        token(nbf=NOW, exp=NOW)
    with pytest.raises(MalformedError):
        token(iat=NOW + 20, nbf=NOW, exp=NOW + 10)


@BOTH
@pytest.mark.parametrize(
    ("times", "holds"),
    [
        ({"iat": NOW + 60, "nbf": NOW + 60}, True),
        ({"iat": NOW + 61}, False),
        ({"nbf": NOW + 61}, False),
        ({"iat": NOW - 50, "nbf": NOW - 50, "exp": NOW}, True),
        ({"iat": NOW - 50, "nbf": NOW - 50, "exp": NOW - 1}, False),
        ({"iat": NOW - 3600, "nbf": NOW - 3600}, True),
        ({"iat": NOW - 3601, "nbf": NOW - 3601}, False),
        ({"exp": NOW + 24 * 3600}, True),
        ({"exp": NOW + 24 * 3600 + 1}, False),
    ],
)
def test_a_token_holds_within_its_times_and_a_minute_of_skew(
    token: Any, times: dict[str, int], holds: bool
) -> None:
    assert failed(token(**times)) == ([] if holds else ["freshness"])


@BOTH
@pytest.mark.parametrize("number", [b"NaN", b"1e400", b"Infinity", b"-Infinity", b"1" * 400])
def test_numbers_that_are_not_json_are_malformed(token: Any, number: bytes) -> None:
    claims = b'{"iss": "x", "iat": 1, "nbf": 1, "exp": ' + number + b"}"
    with pytest.raises(MalformedError):
        token(claims=claims)


@BOTH
def test_duplicate_members_are_malformed(token: Any) -> None:
    with pytest.raises(MalformedError, match="twice"):
        token(claims=b'{"iss": "x", "iss": "%s", "iat": 1, "nbf": 1, "exp": 2}' % AZURE.encode())
    algorithm = b"RS256" if token is azure else b"ES384"
    with pytest.raises(MalformedError, match="twice"):
        token(header=b'{"alg": "none", "alg": "%s", "kid": "k1"}' % algorithm)


def test_one_gpus_token_out_of_time_is_enough() -> None:
    service = Service()
    service.gpu |= {"exp": NOW - 1, "nbf": NOW - 9, "iat": NOW - 9}
    assert failed(service.look()) == ["freshness"]


@pytest.mark.parametrize("named", [5, "GPU-0", ["GPU-0"], {}])
def test_an_overall_token_that_names_no_gpu_is_refused(named: object) -> None:
    assert failed(nvidia(submods=named)) == ["submodules"]
