"""Forged tokens of NVIDIA's attestation service: each fails the one thing it breaks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manatee.errors import (
    MalformedError,
)

sys.path.insert(0, str(Path(__file__).parent))
from tokens_forge import (
    GPU_NONCE,
    NOW,
    NRAS_TYPE,
    Service,
    another,
    failed,
    look,
    references,
)


@pytest.fixture
def service() -> Service:
    return Service()


def test_the_forged_service_is_accepted(service: Service) -> None:
    assert failed(service.look()) == []


@pytest.mark.parametrize(
    ("overall", "gpu", "checks"),
    [
        ({"x-nvidia-overall-att-result": False}, {}, ["result"]),
        ({"x-nvidia-overall-att-result": "true"}, {}, ["result"]),
        ({}, {"ueid": "1"}, ["devices"]),
        ({}, {"ueid": ""}, ["devices"]),
        ({}, {"x-nvidia-gpu-vbios-index-no-conflict": False}, ["result"]),
        ({}, {"measres": "fail"}, ["result"]),
        ({}, {"secboot": False}, ["result"]),
        ({}, {"x-nvidia-gpu-attestation-report-nonce-match": False}, ["result"]),
        ({}, {"x-nvidia-gpu-driver-rim-cert-chain": {"x-nvidia-cert-status": "valid"}}, ["result"]),
        (
            {},
            {
                "x-nvidia-gpu-driver-rim-cert-chain": {
                    "x-nvidia-cert-status": "expired",
                    "x-nvidia-cert-ocsp-status": "good",
                }
            },
            ["result"],
        ),
        ({}, {"exp": NOW - 1, "nbf": NOW - 9, "iat": NOW - 9}, ["freshness"]),
        ({}, {"dbgstat": "enabled"}, ["debug"]),
        ({}, {"hwmodel": "GH1000"}, ["hardware"]),
        ({}, {"hwmodel": "GH100"}, []),
        ({}, {"hwmodel": "GB100 A01"}, ["hardware"]),
        ({}, {"iss": "https://nras.attestation-stg.nvidia.com"}, ["issuer"]),
        ({"eat_nonce": "00" * 32}, {}, ["binding"]),
        ({}, {"eat_nonce": "00" * 32}, ["binding"]),
        ({}, {"eat_nonce": "zz"}, ["binding"]),
        ({"exp": NOW - 1, "nbf": NOW - 9, "iat": NOW - 9}, {}, ["freshness"]),
    ],
)
def test_each_word_of_the_service_is_asked(
    service: Service, overall: dict[str, Any], gpu: dict[str, Any], checks: list[str]
) -> None:
    service.overall |= overall
    service.gpu |= gpu
    assert failed(service.look()) == checks


def test_the_staging_issuer_is_refused(service: Service) -> None:
    staging = "https://nras.attestation-stg.nvidia.com"
    service.overall["iss"] = service.gpu["iss"] = staging
    assert failed(service.look()) == ["root", "signature"]


@pytest.mark.parametrize(
    "change",
    [
        lambda eat: eat[1].update({"GPU-0": another()}),
        lambda eat: eat[1].pop("GPU-1"),
        lambda eat: eat[1].update({"GPU-2": another()}),
        lambda eat: eat[1].update({"GPU-9": eat[1].pop("GPU-1")}),
    ],
)
def test_a_gpu_token_swapped_missing_or_added_is_refused(
    service: Service, change: Callable[[list[Any]], None]
) -> None:
    service.change = change
    assert failed(service.look()) == ["submodules"]


@pytest.mark.parametrize(
    "submods",
    [
        lambda named: named["GPU-0"][1].__setitem__(0, "SHA-1"),
        lambda named: named["GPU-0"].__setitem__(0, "JWT"),
        lambda named: named["GPU-0"][1].__setitem__(1, named["GPU-0"][1][1].upper()),
        lambda named: named.pop("GPU-0"),
        lambda named: named.__setitem__("GPU-0", "x"),
        lambda named: named.__setitem__("GPU-0", 5),
        lambda named: named.__setitem__("GPU-0", ["DIGEST"]),
        lambda named: named["GPU-0"].append("x"),
        lambda named: named.__setitem__("GPU-0", ["DIGEST", 5]),
        lambda named: named.__setitem__("GPU-0", ["DIGEST", ["SHA-256"]]),
        lambda named: named["GPU-0"][1].append("x"),
        lambda named: named.__setitem__("GPU-0", ["DIGEST", ["SHA-256", 5]]),
    ],
)
def test_a_digest_of_another_algorithm_or_form_is_refused(
    service: Service, submods: Callable[[dict[str, Any]], None]
) -> None:
    service.submods = submods
    assert failed(service.look()) == ["submodules"]


@pytest.mark.parametrize(
    "eat",
    [
        b"{}",
        b"[]",
        b'[["JWT","x"],{}]',
        b'[["CWT","x"],{"a":"b"}]',
        b'[["JWT",5],{"a":"b"}]',
        b'[["JWT","x"],{"a":5}]',
        b'[["JWT","\xc3\xa9.a.b"],{"a":"b"}]',
    ],
)
def test_what_is_no_detached_token_is_malformed(eat: bytes) -> None:
    with pytest.raises(MalformedError):
        look(NRAS_TYPE, eat, references("nvidia-nras", {}), binding=GPU_NONCE)


@pytest.mark.parametrize(
    "change",
    [
        lambda eat: eat[0].__setitem__(0, "CWT"),
        lambda eat: eat[0].append("x"),
        lambda eat: eat.append({}),
        lambda eat: eat.__setitem__(0, 5),
        lambda eat: eat.__setitem__(1, 5),
        lambda eat: eat.__setitem__(1, {}),
        lambda eat: eat.__setitem__(1, list(eat[1].values())),
        lambda eat: eat[1].__setitem__("GPU-2", 5),
        lambda eat: eat[1].update({f"GPU-{number}": eat[1]["GPU-0"] for number in range(17)}),
    ],
)
def test_true_tokens_in_another_shape_are_malformed(
    service: Service, change: Callable[[list[Any]], None]
) -> None:
    service.change = change
    with pytest.raises(MalformedError):
        service.look()


@pytest.mark.parametrize("eat", [b"5", b'"ab"', b"null", b'{"a":1,"b":2}'])
def test_json_that_is_no_pair_is_malformed(eat: bytes) -> None:
    with pytest.raises(MalformedError):
        look(NRAS_TYPE, eat, references("nvidia-nras", {}), binding=GPU_NONCE)


def test_a_gpus_token_that_names_another_key_is_refused(service: Service) -> None:
    service.gpu_header = {"kid": "g2"}
    assert failed(service.look()) == ["signature"]


def test_a_gpu_without_a_name_is_refused(service: Service) -> None:
    service.names = ("GPU-0",)
    assert failed(service.look()) == []
    service.gpu["ueid"] = ""
    assert failed(service.look()) == ["devices"]


def test_no_conditions_for_nvidias_service_accept_nothing(service: Service) -> None:
    service.conditions = None
    assert {"allowed-kind", "root", "hardware"} <= set(failed(service.look()))
