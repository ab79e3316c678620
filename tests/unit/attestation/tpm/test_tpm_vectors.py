"""Recorded quotes: Google Cloud's virtual TPM, a software TPM, and one that was never made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from manatee.attestation import (
    AttestationResult,
    Endorsements,
    ExpectedBinding,
    GuestImage,
    Mark,
    ReferenceValues,
    TpmReference,
    appraise,
)
from manatee.attestation._certificates import read_certificate, read_pem_chain
from manatee.attestation._tpm.public import parse_public, parse_signature
from manatee.attestation._tpm.quote import parse_attest, selected
from manatee.attestation._tpm.vouching import names_its_key
from manatee.attestation._vendor_roots import der
from manatee.errors import AttestationError, MalformedError
from manatee.records import Evidence, Tier, canonical_json, digest_bytes, to_base64

VECTORS = Path(__file__).parents[3] / "vectors"
VTPM = VECTORS / "vtpm"
EXPECTED = json.loads((VECTORS / "expected.json").read_bytes())
CLOUD_AT = datetime(2022, 1, 1, tzinfo=UTC)
SOFTWARE_AT = datetime(2026, 12, 1, tzinfo=UTC)
RUNTIME = digest_bytes(b"runtime")
ALL = tuple(range(24))


# --- Google Cloud -------------------------------------------------------------------------------


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Read protocol buffers: varints and length-delimited fields are all there is here."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            assert key & 7 == 2
            size = varint()
            yield key >> 3, data[at : at + size]
            at += size


def cloud(name: str) -> dict[str, Any]:
    """attest.Attestation: key, quotes (quote, signature, PCR values), certificate."""
    found: dict[str, Any] = {"quotes": []}
    for number, value in fields((VTPM / f"{name}.pb").read_bytes()):
        if number == 1:
            found["ak"] = value
        elif number == 2:
            parts = dict(fields(value))
            bank, values = 0, {}
            for tag, item in fields(parts[3]):
                if tag == 1:
                    bank = item
                else:
                    entry = dict(fields(item))
                    values[entry.get(1, 0)] = entry[2]
            found["quotes"].append((bank, parts[1], parts[2], values))
        elif number == 6:
            found["certificate"] = value
    return found


INTERMEDIATE = VTPM / "gce-ek-intermediate-2.der"
BANKS = {0x0004: "sha1", 0x000B: "sha256", 0x000C: "sha384"}


@pytest.mark.parametrize("name", ["gce-nonce9009", "gce-no-nonce"])
def test_a_clouds_quotes_give_their_recorded_values(name: str) -> None:
    recorded, read = EXPECTED[f"vtpm/{name}.pb"], cloud(name)
    key = parse_public(read["ak"])
    assert isinstance(key.key, rsa.RSAPublicKey)
    assert key.key.key_size == recorded["ak"]["bits"]
    assert hex(key.attributes) == recorded["ak"]["attrs"]
    assert key.is_attestation_key
    assert key.name == b"\0\x0b" + bytes.fromhex(recorded["ak_name_sha256"])
    assert len(read["quotes"]) == 3
    for (bank, attest, signature, values), wanted in zip(
        read["quotes"], recorded["quotes"], strict=True
    ):
        quote = parse_attest(attest)
        assert parse_signature(signature).holds(key.key, attest)
        assert BANKS[bank] == wanted["bank"]
        assert quote.extra_data.hex() == wanted["extra_data"]
        assert values[0].hex() == wanted["pcr0"]
        assert (quote.selections[0].algorithm, quote.selections[0].indices) == (bank, ALL)
        joined = b"".join(values[index] for index in ALL)
        assert quote.pcr_digest == hashlib.sha256(joined).digest()
        assert names_its_key(quote.qualified_signer, key, None)
        assert selected(quote, ALL) is (BANKS[bank] == "sha256")


def cloud_evidence(name: str, bank: int = 0x000B) -> tuple[Evidence, dict[int, bytes], bytes]:
    read = cloud(name)
    attest, signature, values = next(rest for id_, *rest in read["quotes"] if id_ == bank)
    payload = {
        "format_version": 1,
        "attest": to_base64(attest),
        "signature": to_base64(signature),
        "ak_public": to_base64(read["ak"]),
        "ek_public": "",
        "pcrs": [{"pcr": pcr, "value": values[pcr].hex()} for pcr in ALL],
        "events": [],
    }
    evidence = Evidence(
        media_type="application/vnd.manatee.tpm2-quote+json",
        payload=to_base64(canonical_json(payload)),
    )
    return evidence, values, read["certificate"]


def look(
    name: str,
    *,
    at: datetime = CLOUD_AT,
    expected: bytes = b"\x90\x09",
    roots: dict[str, tuple[str, ...]] | None = None,
    reference: TpmReference | None = None,
    intermediate: bool = True,
    **measured: str,
) -> AttestationResult:
    evidence, values, certificate = cloud_evidence(name)
    known = {f"pcr{pcr}": value.hex() for pcr, value in values.items() if pcr < 16}
    image = GuestImage(kind="tpm2", measurements=known | measured, runtime_digest=RUNTIME)
    given = (certificate, INTERMEDIATE.read_bytes()) if intermediate else (certificate,)
    return appraise(
        evidence,
        at=at,
        expected_binding=ExpectedBinding.exactly(expected),
        reference_values=ReferenceValues(
            runtime_digests=(RUNTIME,),
            roots=roots or {},
            images=(image,),
            tpm=reference or TpmReference(pcrs=ALL),
        ),
        max_age_seconds=None,
        endorsements=Endorsements(certificates=given),
    )


def failed(result: AttestationResult) -> list[str]:
    return [item.name for item in result.checks if item.mark is Mark.FAILED]


def test_a_clouds_quote_is_accepted_below_the_built_in_root_and_is_not_hardware() -> None:
    result = look("gce-nonce9009")
    assert failed(result) == []
    assert result.tier is Tier.HARDWARE_VTPM
    assert result.require().runtime_digest == RUNTIME
    assert "pcr16" not in result.require().measurements


def test_a_clouds_quote_without_nonce_is_refused() -> None:
    assert failed(look("gce-no-nonce")) == ["binding"]


@pytest.mark.parametrize(
    "expected", [b"\x90\x08", b"\x90\x09\x00", b"\x90", b"\x90\x09" * 16], ids=bytes.hex
)
def test_a_clouds_quote_over_another_nonce_is_refused(expected: bytes) -> None:
    assert failed(look("gce-nonce9009", expected=expected)) == ["binding"]


def test_the_default_conditions_refuse_a_quote_over_all_registers() -> None:
    assert "pcr-selection" in failed(look("gce-nonce9009", reference=TpmReference()))


def test_an_image_of_another_register_value_is_refused() -> None:
    assert failed(look("gce-nonce9009", pcr4="00" * 32)) == ["image"]


def test_an_image_named_by_a_resettable_register_is_refused() -> None:
    _, values, _ = cloud_evidence("gce-nonce9009")
    assert failed(look("gce-nonce9009", pcr16=values[16].hex())) == ["image"]


def test_a_clouds_certificate_needs_its_whole_chain() -> None:
    assert failed(look("gce-nonce9009", intermediate=False)) == ["root"]


@pytest.mark.parametrize("name", ["vtpm", "software-tpm"])
def test_pinning_other_roots_shuts_the_built_in_one_out(name: str) -> None:
    other = to_base64(der(read_pem_chain((VTPM / "swtpm/ca-root.pem").read_bytes())[0]))
    assert failed(look("gce-nonce9009", roots={"vtpm": (), name: (other,)})) == ["root"]


def test_a_clouds_root_makes_no_software_tpm() -> None:
    root = to_base64((VTPM / "gce-ek-root-1.der").read_bytes())
    result = look("gce-nonce9009", roots={"software-tpm": (root,), "vtpm": ()})
    assert failed(result) == ["root"]


def test_each_certificate_of_the_cloud_must_be_valid() -> None:
    second = timedelta(seconds=1)
    leaf = read_certificate(cloud("gce-nonce9009")["certificate"])
    above = read_certificate(INTERMEDIATE.read_bytes())
    for certificate in (leaf, above):
        for moment in (
            certificate.not_valid_before_utc - second,
            certificate.not_valid_after_utc + second,
        ):
            assert failed(look("gce-nonce9009", at=moment)) == ["root"]


@pytest.mark.parametrize("bank", [0x0004, 0x000C])
def test_another_banks_quote_is_refused(bank: int) -> None:
    read = cloud("gce-nonce9009")
    _, attest, _, _ = next(item for item in read["quotes"] if item[0] == bank)
    assert not selected(parse_attest(attest), ALL)


def test_no_bit_of_a_clouds_quote_can_be_flipped() -> None:
    read = cloud("gce-nonce9009")
    key = parse_public(read["ak"]).key
    _, attest, signature, _ = read["quotes"][1]
    for index in range(len(attest)):
        flipped = bytearray(attest)
        flipped[index] ^= 1 << index % 8
        assert not parse_signature(signature).holds(key, bytes(flipped))


# --- a software TPM -----------------------------------------------------------------------------

SWTPM = VTPM / "swtpm"


def software(name: str) -> bytes:
    return (SWTPM / name).read_bytes()


def software_chain() -> tuple[bytes, ...]:
    return tuple(
        der(read_pem_chain(software(name))[0]) for name in ("ca-issuer.pem", "ca-root.pem")
    )


def software_look(
    *,
    at: datetime = SOFTWARE_AT,
    ek_public: bytes | None = None,
    endorsements: tuple[bytes, ...] | None = None,
    roots: dict[str, tuple[str, ...]] | None = None,
    activated: bytes | None = None,
    replaced: dict[str, str] | None = None,
    left_out: tuple[str, ...] = (),
    expected: bytes | None = None,
    attest: str = "quote",
) -> AttestationResult:
    """Appraise the recorded quote for a relying party that activated its key itself."""
    record = json.loads(software("quote.json"))
    issuer, root = software_chain()
    values = {pcr: v for pcr, v in (record["pcrs"] | (replaced or {})).items()}
    payload = {
        "format_version": 1,
        "attest": to_base64(software(f"{attest}.msg")),
        "signature": to_base64(software(f"{attest}.sig")),
        "ak_public": to_base64(software("ak.tpmt-public")),
        "ek_public": to_base64(software("ek.tpmt-public") if ek_public is None else ek_public),
        "pcrs": [
            {"pcr": int(pcr), "value": value}
            for pcr, value in values.items()
            if pcr not in left_out
        ],
        "events": [],
    }
    known = {f"pcr{pcr}": value for pcr, value in values.items() if int(pcr) < 16}
    name = parse_public(software("ak.tpmt-public")).name if activated is None else activated
    return appraise(
        Evidence(
            media_type="application/vnd.manatee.tpm2-quote+json",
            payload=to_base64(canonical_json(payload)),
        ),
        at=at,
        expected_binding=ExpectedBinding.exactly(expected or bytes.fromhex(record["nonce"])),
        reference_values=ReferenceValues(
            runtime_digests=(RUNTIME,),
            roots={"software-tpm": (to_base64(root),)} if roots is None else roots,
            images=(GuestImage(kind="tpm2", measurements=known, runtime_digest=RUNTIME),),
            tpm=TpmReference(
                pcrs=tuple(int(pcr) for pcr in record["pcrs"]), activated_names=(name.hex(),)
            ),
        ),
        max_age_seconds=None,
        endorsements=Endorsements(
            certificates=(software("ek-cert.der"), issuer) if endorsements is None else endorsements
        ),
    )


def test_a_software_tpms_quote_gives_its_recorded_values() -> None:
    quote = parse_attest(software("quote.msg"))
    record = json.loads(software("quote.json"))
    assert quote.extra_data.hex() == record["nonce"]
    assert quote.selections[0].indices == (*range(10), 14, 23)
    key, endorsement = (parse_public(software(f"{name}.tpmt-public")) for name in ("ak", "ek"))
    assert names_its_key(quote.qualified_signer, key, endorsement)
    assert not names_its_key(quote.qualified_signer, key, None)
    kernel = hashlib.sha256(b"kernel").digest()
    twice = hashlib.sha256(hashlib.sha256(bytes(32) + kernel).digest() + kernel).hexdigest()
    assert record["pcrs"]["8"] == twice


def test_a_software_tpms_quote_is_accepted_in_its_tier() -> None:
    result = software_look()
    assert failed(result) == []
    assert result.tier is Tier.SOFTWARE_TPM


def test_a_software_tpm_whose_key_nobody_activated_is_refused() -> None:
    assert failed(software_look(activated=b"\0\x0b" + bytes(32))) == ["root"]


def test_a_software_tpm_of_an_authority_nobody_pinned_is_refused() -> None:
    google = to_base64((VTPM / "gce-ek-root-1.der").read_bytes())
    assert failed(software_look(roots={})) == ["root"]
    assert failed(software_look(roots={"software-tpm": (google,), "vtpm": (google,)})) == ["root"]


def test_an_endorsement_certificate_before_its_time_is_refused() -> None:
    assert failed(software_look(at=datetime(2026, 11, 22, tzinfo=UTC))) == ["root"]


def test_a_quote_without_its_endorsement_key_is_refused() -> None:
    assert failed(software_look(ek_public=b"")) == ["qualified-signer", "root"]
    assert failed(software_look(endorsements=())) == ["root"]
    assert failed(software_look(endorsements=(software("ek-cert.der"),))) == ["root"]


def test_a_register_value_that_was_changed_is_refused() -> None:
    assert failed(software_look(replaced={"8": "00" * 32})) == ["pcr-digest"]


def test_a_register_that_was_left_out_is_refused() -> None:
    checks = failed(software_look(left_out=("14",)))
    assert {"pcr-selection", "pcr-digest"} <= set(checks)


def test_a_software_tpms_quote_for_another_session_is_refused() -> None:
    assert failed(software_look(expected=bytes(31) + b"\1")) == ["binding"]


def test_a_structure_that_no_tpm_made_is_malformed_though_its_signature_holds() -> None:
    """CVE-2024-29038: checkers that look at the signature alone accept it."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key: Any = load_pem_public_key(software("forged-key.pem"))
    forged = software("forged-bad-magic.msg")
    assert parse_signature(software("forged-bad-magic.sig")).holds(key, forged)
    with pytest.raises(MalformedError, match="magic"):
        parse_attest(forged)
    with pytest.raises(MalformedError):
        software_look(attest="forged-bad-magic")


@pytest.mark.parametrize(
    ("read", "name"),
    [
        pytest.param(parse_attest, "quote.msg", id="attest"),
        pytest.param(parse_signature, "quote.sig", id="signature"),
        pytest.param(parse_public, "ak.tpmt-public", id="ak"),
        pytest.param(parse_public, "ek.tpmt-public", id="ek"),
    ],
)
def test_structures_end_where_they_end(read: Any, name: str) -> None:
    data = software(name)
    read(data)
    for tail in (b"\0", b"A"):
        with pytest.raises(MalformedError, match="follow"):
            read(data + tail)
    with pytest.raises(MalformedError, match="at most"):
        read(data + bytes(1 << 20))
    for size in range(len(data)):
        with pytest.raises(MalformedError):
            read(data[:size])


def test_a_quote_is_refused_as_every_other_kind() -> None:
    evidence, _, _ = cloud_evidence("gce-nonce9009")
    renamed = Evidence(
        media_type="application/vnd.manatee.amd-sev-snp-report", payload=evidence.payload
    )
    with pytest.raises((AttestationError, MalformedError)):
        appraise(
            renamed,
            at=CLOUD_AT,
            expected_binding=ExpectedBinding.exactly(b"\x90\x09"),
            reference_values=ReferenceValues(runtime_digests=(RUNTIME,), roots={}),
            max_age_seconds=None,
        )
