"""Forged Azure machines: each fails the one check it breaks."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from manatee.attestation._azure.reference import AzureCvmReference
from manatee.attestation._azure.verifier import KIND
from manatee.errors import AppraisalUnavailableError, MalformedError, ManateeError
from manatee.records import Tier

sys.path.insert(0, str(Path(__file__).parent))
from azure_forge import (
    OTHER_AK,
    PCRS,
    AzureOverSnp,
    AzureOverTdx,
    TpmQuote,
    failed,
    jwk,
    runtime_json,
)


def test_the_forged_machines_are_accepted_by_whoever_pins_their_makers() -> None:
    for result in (AzureOverSnp().look(), AzureOverTdx().look()):
        assert failed(result) == []
        assert result.tier is Tier.HARDWARE
        assert result.require().runtime_digest is not None
    tdx = AzureOverTdx().look().require()
    assert set(tdx.measurements) >= {"mrtd", "rtmr0", "pcr0", "pcr23"}


# --- the hardware's report and what it binds ------------------------------------------------------


@pytest.mark.parametrize(
    "report_data",
    [
        hashlib.sha256(runtime_json()).digest() + b"\1" + bytes(31),
        hashlib.sha256(runtime_json()).digest() + bytes(31) + b"\1",
        hashlib.sha512(runtime_json()).digest(),
        bytes(32) + hashlib.sha256(runtime_json()).digest(),
        hashlib.sha256(runtime_json() + b"\0").digest() + bytes(32),
        bytes(64),
    ],
    ids=["byte after", "last byte", "sha-512", "shifted", "padding hashed", "zero"],
)
def test_report_data_is_the_runtime_datas_hash_and_zero(report_data: bytes) -> None:
    for result in (
        AzureOverSnp(report_data=report_data).look(),
        AzureOverTdx(report_data=report_data).look(),
    ):
        assert failed(result) == ["runtime-data"]
        assert result.claims is None
        assert result.tier is not Tier.HARDWARE


def test_a_key_put_into_the_runtime_data_later_is_caught_by_its_hash() -> None:
    genuine = AzureOverSnp()
    swapped = AzureOverSnp(
        runtime=runtime_json(jwk(OTHER_AK)),
        report_data=hashlib.sha256(genuine.runtime).digest() + bytes(32),
        quote=TpmQuote(key=OTHER_AK),
    )
    assert failed(swapped.look()) == ["runtime-data"]


def test_runtime_data_serialised_anew_is_other_runtime_data() -> None:
    genuine = AzureOverSnp()
    anew = json.dumps(json.loads(genuine.runtime), indent=1).encode()
    bound = hashlib.sha256(genuine.runtime).digest() + bytes(32)
    assert failed(AzureOverSnp(runtime=anew, report_data=bound).look()) == ["runtime-data"]


def test_anybodys_guest_that_plays_the_paravisor_is_no_known_image() -> None:
    # a genuine processor, and a guest that writes runtime data with its own key: only the
    # measurement tells it from Azure's paravisor
    player = AzureOverSnp(places={0x90: b"\7" * 48})
    result = player.look(images=AzureOverSnp().references().images)
    assert failed(result) == ["image"]
    without = AzureOverSnp().references().images[0]
    named = {name: value for name, value in without.measurements.items() if name != "measurement"}
    careless = type(without)(kind=KIND, measurements=named, runtime_digest=without.runtime_digest)
    assert failed(player.look(images=(careless,))) == ["image"]


@pytest.mark.parametrize(
    ("places", "check"),
    [
        ({0x08: (0x30000 | 1 << 19).to_bytes(8, "little")}, "debug"),
        ({0x08: (0x30000 | 1 << 18).to_bytes(8, "little")}, "migration"),
        ({0x40: bytes(8)}, "alias-check"),
        ({0x1A0: b"\7" * 64}, "chip"),
        ({0x180: bytes([11, 0, 0, 0, 0, 0, 27, 27])}, "tcb-endorsed"),
    ],
)
def test_the_hardwares_conditions_hold_here_too(places: dict[int, bytes], check: str) -> None:
    result = AzureOverSnp(places=places).look()
    assert check in failed(result)
    assert result.tier is not Tier.HARDWARE


@pytest.mark.parametrize("level", [1, 2, 3])
def test_only_the_paravisor_itself_speaks_for_the_key(level: int) -> None:
    # whatever the conditions for SNP allow, software below the paravisor is not the paravisor
    places = {0x30: bytes([level, 0, 0, 0])}
    machine = AzureOverSnp(places=places, conditions={"maximum_vmpl": 3})
    assert failed(machine.look()) == ["paravisor"]


def test_conditions_for_azure_and_for_its_hardware_are_both_needed() -> None:
    assert "allowed-kind" in failed(AzureOverSnp().look(snp=None))
    assert failed(AzureOverSnp().look(azure_cvm=None)) == [
        "allowed-kind",
        "pcr-required",
        # nobody asked for anything, so nothing is accepted
    ]
    assert "allowed-kind" in failed(AzureOverTdx().look(tdx=None))


def test_roots_are_the_hardwares_unless_azures_are_named() -> None:
    own = AzureOverSnp().references().roots["amd-sev-snp"]
    assert failed(AzureOverSnp().look(roots={KIND: own})) == []
    assert failed(AzureOverSnp().look(roots={KIND: own, "amd-sev-snp": ()})) == []
    for roots in ({KIND: ()}, {"amd-sev-snp": ()}, {KIND: (), "amd-sev-snp": own}, {}):
        result = AzureOverSnp().look(roots=roots)
        assert {"root", "signature"} <= set(failed(result))
        assert result.claims is None


def test_tdx_conditions_hold_here_too() -> None:
    machine = AzureOverTdx()
    machine.intel.body[120] = bytes(8)  # no SEPT_VE_DISABLE, as on Azure's recorded machine
    result = machine.look()
    assert "sept-ve" in failed(result)
    assert result.tier is not Tier.HARDWARE


@pytest.mark.parametrize("place", [128, 191, 512, 519, 528, 575])
def test_the_td_report_and_the_quote_are_of_one_td(place: int) -> None:
    assert failed(AzureOverTdx(td_report={place: b"\x55"}).look()) == ["runtime-data"]


@pytest.mark.parametrize("place", [0, 1024, 1183])
def test_what_is_no_td_report_is_malformed(place: int) -> None:
    with pytest.raises(MalformedError, match="TD report"):
        AzureOverTdx(td_report={place: b"\x01"}).look()


# --- the TPM's quote ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quote", "check"),
    [
        (TpmQuote(key=OTHER_AK), "quote-signature"),
        (TpmQuote(hash=hashes.SHA384()), "quote-signature"),
        (
            TpmQuote(scheme=padding.PSS(padding.MGF1(hashes.SHA256()), 32)),
            "quote-signature",
        ),
        (TpmQuote(nonce=b"another"), "binding"),
        (TpmQuote(nonce=b""), "binding"),
        (TpmQuote(nonce=TpmQuote().nonce + b"\0"), "binding"),
        (TpmQuote(nonce=TpmQuote().nonce[:-1]), "binding"),
        (TpmQuote(nonce=bytes([TpmQuote().nonce[0] ^ 1]) + TpmQuote().nonce[1:]), "binding"),
        (TpmQuote(select=b"\xff\xff\x7f"), "pcr-selection"),
        (TpmQuote(select=b"\xff\xff\xff\x01"), "pcr-selection"),
        (TpmQuote(select=b"\x00\x00\x00"), "pcr-selection"),
        (TpmQuote(bank=0x0004), "pcr-selection"),
        (TpmQuote(bank=0x000C), "pcr-selection"),
        (TpmQuote(digest=b""), "pcr-digest"),
        (TpmQuote(digest=bytes(32)), "pcr-digest"),
        (TpmQuote(pcrs=PCRS[:-1]), "pcr-selection"),
        (TpmQuote(pcrs=[]), "pcr-selection"),
    ],
)
def test_a_quote_that_says_something_else_fails_its_check(quote: TpmQuote, check: str) -> None:
    result = AzureOverSnp(quote=quote).look()
    assert check in failed(result)
    assert set(failed(result)) <= {check, "image"}
    if check != "binding":
        assert result.claims is None


def test_registers_in_another_order_are_other_registers() -> None:
    swapped = [*PCRS[:22], PCRS[23], PCRS[22]]
    quote = TpmQuote(pcrs=swapped, digest=hashlib.sha256(b"".join(PCRS)).digest())
    assert failed(AzureOverSnp(quote=quote).look()) == ["pcr-digest"]


@pytest.mark.parametrize("index", [4, 8, 9])
def test_another_system_in_the_machine_is_another_image(index: int) -> None:
    other = [bytes(32) if place == index else value for place, value in enumerate(PCRS)]
    assert failed(AzureOverSnp(quote=TpmQuote(pcrs=other)).look()) == ["image"]


@pytest.mark.parametrize(
    "quote",
    [
        TpmQuote(magic=0xDEADBEEF),
        TpmQuote(kind=0x8017),
        TpmQuote(kind=0x8019),
        TpmQuote(tail=b"\0"),
        TpmQuote(tail=b"A"),
        TpmQuote(nonce=b"n" * 67),
    ],
)
def test_what_is_no_quote_is_malformed_even_if_signed(quote: TpmQuote) -> None:
    with pytest.raises(MalformedError):
        AzureOverSnp(quote=quote).look()


@pytest.mark.parametrize("required", [(), (16,), (4, 23)])
def test_registers_that_software_sets_back_name_no_image(required: tuple[int, ...]) -> None:
    conditions = AzureCvmReference(required_pcrs=required)
    assert "pcr-required" in failed(AzureOverSnp().look(azure_cvm=conditions))


@pytest.mark.parametrize("settings", [{}, {"secure-boot": False}, {"secure-boot": "true"}, []])
def test_secure_boot_is_asked_for_if_the_conditions_say(settings: Any) -> None:
    machine = AzureOverSnp(runtime=runtime_json(**{"vm-configuration": settings}))
    assert failed(machine.look()) == []
    strict = AzureCvmReference(require_secure_boot=True)
    assert failed(machine.look(azure_cvm=strict)) == ["secure-boot"]
    assert failed(AzureOverSnp().look(azure_cvm=strict)) == []


# --- shapes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"signature": b"HCLB"},
        {"version": 0},
        {"version": 3},
        {"request": 1},
        {"status": 1},
        {"reserved": bytes(11) + b"\1"},
        {"data_version": 2},
        {"kind": 3},
        {"kind": 4},
        {"algorithm": 2},
        {"size": 32 + 1184},
        {"size": 0xFFFFFFFF},
        {"data_size": 0},
        {"data_size": 0xFFFFFFFF},
        {"data_size": 5, "size": 32 + 1184 + 5},
        {"runtime_size": 0},
        {"runtime_size": len(runtime_json()) - 1},
        {"runtime_size": len(runtime_json()) + 1},
        {"runtime_size": len(runtime_json()) + 5000},
        {"runtime_size": 0xFFFFFFFF},
        {"after": b"A"},
        {"after": bytes(50) + b"\1"},
        {"after": bytes(20 << 10)},
    ],
    ids=str,
)
def test_a_paravisors_report_fits_its_sizes_and_nothing_follows(change: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        AzureOverSnp(hcl=change).look()


def test_padding_is_no_part_of_a_paravisors_report() -> None:
    for after in (b"", b"\0", bytes(1364)):
        assert failed(AzureOverSnp(hcl={"after": after}).look()) == []


@pytest.mark.parametrize(
    "runtime",
    [
        b"{}",
        b"[]",
        b"not JSON",
        runtime_json(keys=[]),
        runtime_json(keys={}),
        runtime_json(keys=[1, "x", None]),
        runtime_json(jwk(), jwk()),
        runtime_json(jwk(), jwk(OTHER_AK)),
        runtime_json(*[jwk(kid=str(number)) for number in range(8)], jwk()),
        runtime_json(jwk(kid="HCLEkPub")),
        runtime_json(jwk(kid="hclakpub")),
        runtime_json(jwk(kty="EC")),
        runtime_json(jwk(key_ops=["encrypt"])),
        runtime_json(jwk(key_ops=["sign", "decrypt"])),
        runtime_json(jwk(key_ops="sign")),
        runtime_json(jwk(e="Aw")),
        runtime_json(jwk(e="AQAC")),
        runtime_json(jwk(e="")),
        runtime_json(jwk(e=65537)),
        runtime_json(jwk(n="AQAB")),
        runtime_json(jwk(n="!" * 342)),
        runtime_json(jwk(n="A" * 2000)),
        runtime_json(jwk(n=None)),
        runtime_json(jwk(rsa.generate_private_key(65537, 1024))),
        runtime_json().replace(b'"keys"', b'"keys":[],"keys"'),
        b'{"keys":' + b"[" * 2000 + b"]" * 2000 + b"}",
        runtime_json(more="x" * 9000),
    ],
)
def test_runtime_data_names_one_attestation_key_or_is_malformed(runtime: bytes) -> None:
    with pytest.raises(ManateeError) as error:
        AzureOverSnp(runtime=runtime).look()
    assert isinstance(error.value, MalformedError)


def test_members_of_the_runtime_data_that_are_new_are_passed_over() -> None:
    runtime = runtime_json({"kid": "HCLEkPub", "kty": "RSA"}, jwk(), **{"new-member": {"a": 1}})
    assert failed(AzureOverSnp(runtime=runtime).look()) == []


@pytest.mark.parametrize(
    "members",
    [
        {"version": 0},
        {"version": 3},
        {"version": "1"},
        {"version": True},
        {"hcl_report": None},
        {"tpm_quote": None},
        {"hcl_report": ""},
        {"hcl_report": "AA=="},
        {"hcl_report": "AB"},
        {"hcl_report": "+_AA"},
        {"hcl_report": "A A="},
        {"hcl_report": "\u0100AAA"},
        {"vcek": "not base64"},
        {"vcek": "AAAA"},
        {"vcek": "-----BEGIN CERTIFICATE-----\n"},
        {"vcek": "-----BEGIN CERTIFICATE-----\u0100\n"},
        {"td_quote": "AAAA"},
        {"more": 1},
        {"tpm_quote": TpmQuote().members() | {"message": "zz"}},
        {"tpm_quote": TpmQuote().members() | {"message": ""}},
        {"tpm_quote": TpmQuote().members() | {"message": "0"}},
        {"tpm_quote": TpmQuote().members() | {"signature": "00\n"}},
        {"tpm_quote": TpmQuote().members() | {"pcrs": ["00" * 32] * 25}},
        {"tpm_quote": TpmQuote().members() | {"pcrs": ["00" * 31] * 24}},
        {"tpm_quote": TpmQuote().members() | {"pcrs": ["AA" * 32] * 24}},
        {"tpm_quote": TpmQuote().members() | {"more": 1}},
    ],
    ids=lambda members: "+".join(members),
)
def test_evidence_has_one_of_two_forms_or_is_malformed(members: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        AzureOverSnp(members=members).look()


def test_base64_of_one_alphabet_is_read_with_its_padding_or_none() -> None:
    pluses = b"\xfb\xef\xbe" * 3 + b"\0"  # at every offset, so that some become +
    measurement = (pluses * 3).ljust(48, b"\xff")
    machine = AzureOverSnp(places={0x90: measurement}, hcl={"after": b""})
    while len(machine.document()["hcl_report"].rstrip("=")) % 4 != 3:
        machine.hcl["after"] += b"\0"
    document = machine.document()
    text = document["hcl_report"]
    assert "+" in text
    assert "/" in text
    assert text.endswith("=")
    url = text.replace("+", "-").replace("/", "_")
    for good in (text, url, text.rstrip("="), url.rstrip("=")):
        assert failed(machine.look(json.dumps(document | {"hcl_report": good}).encode())) == []
    mixed = text.replace("+", "-")
    for bad in (mixed, text + "=", text.rstrip("=") + "===", "=" + text, text + "\n", " " + text):
        with pytest.raises(MalformedError):
            machine.look(json.dumps(document | {"hcl_report": bad}).encode())


def test_an_envelope_names_the_hardware_truly() -> None:
    machine = AzureOverSnp()

    def wrapped(**members: Any) -> bytes:
        plain = {"platform": "az-snp", "evidence": machine.document()}
        return json.dumps(plain | members).encode()

    assert failed(machine.look(wrapped())) == []
    for wrong in ({"platform": "az-tdx"}, {"platform": "snp"}, {"platform": 1}, {"more": 1}):
        with pytest.raises(MalformedError):
            machine.look(wrapped(**wrong))


def test_a_machine_over_tdx_brings_its_quote_and_no_vcek() -> None:
    with pytest.raises(MalformedError, match="lacks its quote"):
        AzureOverTdx(members={"td_quote": None}).look()
    with pytest.raises(MalformedError, match="mixes"):
        AzureOverTdx(members={"vcek": "AAAA"}).look()


def test_without_a_vcek_the_hardware_cannot_be_appraised() -> None:
    with pytest.raises(AppraisalUnavailableError, match="VCEK"):
        AzureOverSnp(members={"vcek": None}).look()


def test_a_vcek_in_pem_is_read_too() -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    pem = AzureOverSnp().hardware().leaf.public_bytes(Encoding.PEM).decode()
    assert failed(AzureOverSnp(members={"vcek": pem}).look()) == []
    with pytest.raises(MalformedError):
        AzureOverSnp(members={"vcek": pem + pem}).look()


def test_a_signature_of_another_length_is_only_refused() -> None:
    for signature in (b"\0", bytes(255), bytes(256), bytes(257), b"\xff" * 256, bytes(1024)):
        members = TpmQuote().members() | {"signature": signature.hex()}
        assert failed(AzureOverSnp(members={"tpm_quote": members}).look()) == ["quote-signature"]


def test_the_largest_hostile_evidence_is_refused_soon() -> None:
    for data in (
        b"[" * (48 << 10),
        b'{"version":1,"hcl_report":"' + b"A" * (1 << 20) + b'"}',
        b'{"version":' + b"9" * 40_000 + b"}",
    ):
        with pytest.raises(ManateeError):
            AzureOverSnp().look(data)
