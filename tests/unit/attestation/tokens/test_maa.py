"""Forged Azure Attestation tokens: each fails the one thing it breaks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from manatee.attestation._tokens.reference import (
    MaaReference,
)

sys.path.insert(0, str(Path(__file__).parent))
from tokens_forge import (
    AZURE,
    MAA_TYPE,
    NONCE,
    Azure,
    failed,
    jwk,
    look,
    references,
    signed,
)


@pytest.fixture
def azure() -> Azure:
    return Azure()


def test_the_forged_azure_token_is_accepted(azure: Azure) -> None:
    assert failed(azure.look()) == []


@pytest.mark.parametrize(
    ("claim", "value", "checks"),
    [
        ("x-ms-attestation-type", "tdxvm", ["type"]),
        ("x-ms-compliance-status", "none", ["compliance"]),
        ("x-ms-compliance-status", None, ["compliance"]),
        ("x-ms-sevsnpvm-bootloader-svn", 3, ["tcb"]),
        ("x-ms-sevsnpvm-snpfw-svn", 23, ["tcb"]),
        ("x-ms-sevsnpvm-microcode-svn", 218, ["tcb"]),
        ("x-ms-sevsnpvm-microcode-svn", "219", ["tcb"]),
        ("x-ms-sevsnpvm-tee-svn", None, ["tcb"]),
        ("x-ms-sevsnpvm-is-debuggable", True, ["debug"]),
        ("x-ms-sevsnpvm-is-debuggable", None, ["debug"]),
        ("x-ms-sevsnpvm-migration-allowed", True, ["migration"]),
        ("x-ms-sevsnpvm-vmpl", 1, ["vmpl"]),
        ("x-ms-sevsnpvm-vmpl", False, ["vmpl"]),
        ("x-ms-runtime", {"vm-configuration": {"secure-boot": False}}, ["secure-boot"]),
        ("x-ms-runtime", None, ["secure-boot"]),
        ("x-ms-sevsnpvm-launchmeasurement", "AB" * 48, ["firmware"]),
        ("x-ms-sevsnpvm-launchmeasurement", "cd" * 48, ["firmware"]),
    ],
)
def test_each_claim_of_the_hardware_is_asked(
    azure: Azure, claim: str, value: object, checks: list[str]
) -> None:
    if value is None:
        del azure.tee[claim]
    else:
        azure.tee[claim] = value
    assert failed(azure.look()) == checks


def test_claims_moved_out_of_the_hardware_s_place_do_not_count(azure: Azure) -> None:
    azure.top, azure.tee = azure.tee | {"x-ms-attestation-type": "azurevm"}, {}
    del azure.top["x-ms-runtime"]  # there is one outside already, with the client's nonce
    places = {"type", "compliance", "tcb", "debug", "secure-boot", "migration", "vmpl", "firmware"}
    assert set(failed(azure.look())) == places


@pytest.mark.parametrize(
    ("claim", "value", "check"),
    [
        ("secureboot", False, "secure-boot"),
        ("secureboot", "true", "secure-boot"),
        ("secureboot", None, "secure-boot"),
        ("x-ms-azurevm-debuggersdisabled", False, "debug"),
        ("x-ms-azurevm-debuggersdisabled", None, "debug"),
        ("x-ms-azurevm-bootdebug-enabled", True, "debug"),
        ("x-ms-azurevm-kerneldebug-enabled", True, "debug"),
        ("x-ms-azurevm-kerneldebug-enabled", 0, "debug"),
        ("x-ms-azurevm-hypervisordebug-enabled", True, "debug"),
        ("x-ms-azurevm-testsigning-enabled", True, "debug"),
        ("x-ms-attestation-type", "sevsnpvm", "type"),
    ],
)
def test_what_azure_read_of_the_boot_is_asked(
    azure: Azure, claim: str, value: object, check: str
) -> None:
    azure.claims[claim] = value
    if value is None:
        del azure.claims[claim]
    assert failed(azure.look()) == [check]


def test_azures_firmware_says_nothing_of_the_runtime(azure: Azure) -> None:
    # every confidential VM of Azure has this measurement, whatever runs in it
    result = azure.look()
    assert result.accepted
    assert result.require().runtime_digest is None


@pytest.mark.parametrize(
    "issuer",
    ["https://sharedeus.eus.attest.azure.net", AZURE + "/", AZURE + ".attacker.example", ""],
)
def test_an_issuer_of_another_region_or_tenant_is_refused(azure: Azure, issuer: str) -> None:
    azure.claims["iss"] = issuer
    del azure.header["jku"]
    assert failed(azure.look()) == ["root", "signature"]


def test_keys_at_another_address_are_refused_and_never_fetched(azure: Azure) -> None:
    azure.header["jku"] = "https://attacker.example/certs"
    assert failed(azure.look()) == ["root", "signature"]


@pytest.mark.parametrize("nonce", ["", "!!", NONCE, "w6k=", None])
def test_another_client_nonce_is_refused(azure: Azure, nonce: str | None) -> None:
    azure.claims["x-ms-runtime"] = {"client-payload": {"nonce": nonce}}
    assert failed(azure.look()) == ["binding"]


def test_a_floor_that_names_not_all_components_accepts_nothing(azure: Azure) -> None:
    given = references(
        "azure-maa",
        {"measurement": "ab" * 48},
        maa=MaaReference(issuers=(AZURE,), minimum_svn={}),
    )
    claims = azure.claims | {"x-ms-isolation-tee": azure.tee}
    result = look(
        MAA_TYPE,
        signed(azure.header, claims),
        given,
        binding=NONCE.encode(),
        documents={f"jwks/{AZURE}": json.dumps({"keys": [jwk()]}).encode()},
    )
    assert failed(result) == ["tcb"]


def test_no_conditions_for_azure_accept_nothing(azure: Azure) -> None:
    azure.conditions = None
    assert {"allowed-kind", "root", "compliance", "tcb"} <= set(failed(azure.look()))
