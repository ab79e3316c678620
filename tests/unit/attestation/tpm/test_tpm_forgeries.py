"""Forged quotes: each is signed and whole, and fails the one check that it breaks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from manatee.attestation import ExpectedBinding, GuestImage, TpmReference, verifiers
from manatee.attestation._tpm.quote import parse_attest, selected
from manatee.errors import AttestationError, MalformedError, TooLargeError
from manatee.records import (
    Evidence,
    Tier,
    canonical_json,
    digest_bytes,
    raw_digest,
    to_base64,
    unbase64,
)

Change = Callable[[Any, Any], Any]
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
OTHER = digest_bytes(b"another")


def test_evidence_in_order_is_accepted_and_says_what_was_measured(
    forge: Any, tpm_bytes: Any
) -> None:
    result = forge.appraise()
    assert result.accepted
    assert result.tier is Tier.SOFTWARE_TPM
    claims = result.require()
    assert claims.runtime_digest == tpm_bytes.RUNTIME
    assert claims.job_digest == tpm_bytes.JOB
    assert claims.measurements["pcr8"] == tpm_bytes.register(raw_digest(tpm_bytes.RUNTIME)).hex()


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(lambda: ec.generate_private_key(ec.SECP384R1()), id="p384"),
        pytest.param(lambda: rsa.generate_private_key(65537, 2048), id="rsa2048"),
    ],
)
def test_other_keys_of_attestation_are_read_too(forge: Any, key: Callable[[], Any]) -> None:
    assert forge.but(key=key()).failed() == []


def _selects(*parts: tuple[int, ...], **how: Any) -> Change:
    """Quote and list other registers; their values stay those of the events, or zero."""

    def change(forge: Any, t: Any) -> Any:
        known = dict(forge.registers)
        wanted = sorted({index for part in parts for index in part})
        return forge.but(
            selections=tuple(t.selection(*part, **how) for part in parts),
            registers=tuple((index, known.get(index, bytes(32))) for index in wanted)
            or forge.registers[:1],
        )

    return change


def _measures(*events: tuple[int, str, str]) -> Change:
    """Measure other things, with the registers that follow from them."""

    def change(forge: Any, t: Any) -> Any:
        return forge.but(
            events=tuple({"pcr": p, "kind": kind, "digest": d} for p, kind, d in events),
            registers=tuple(
                (pcr, t.register(*(raw_digest(d) for p, _, d in events if p == pcr)))
                for pcr in (8, 9)
            ),
        )

    return change


RUNTIME, JOB = digest_bytes(b"runtime"), digest_bytes(b"job")

REFUSED: dict[str, tuple[Change, list[str]]] = {
    "extra-data-of-another-session": (lambda f, t: f.but(extra=bytes(31) + b"\1"), ["binding"]),
    "extra-data-empty": (lambda f, t: f.but(extra=b""), ["binding"]),
    "extra-data-shorter": (lambda f, t: f.but(extra=t.NONCE[:-1]), ["binding"]),
    "extra-data-longer": (lambda f, t: f.but(extra=t.NONCE + b"\0"), ["binding"]),
    "extra-data-one-bit-off": (
        lambda f, t: f.but(extra=t.NONCE[:-1] + bytes((t.NONCE[-1] ^ 1,))),
        ["binding"],
    ),
    "no-register-selected (CVE-2024-29039)": (
        lambda f, t: f.but(selections=()),
        ["pcr-selection"],
    ),
    "empty-selection (CVE-2024-29039)": (
        lambda f, t: f.but(selections=(t.selection(),)),
        ["pcr-selection"],
    ),
    "selection-narrowed (CVE-2024-29039)": (
        lambda f, t: f.but(selections=(t.selection(8),)),
        ["pcr-selection"],
    ),
    "selection-of-others": (
        lambda f, t: f.but(selections=(t.selection(10, 11),)),
        ["pcr-selection"],
    ),
    "selection-widened": (_selects((8, 9, 10)), ["pcr-selection"]),
    "bank-sha1": (
        lambda f, t: f.but(selections=(t.selection(8, 9, bank=0x0004),)),
        ["pcr-selection"],
    ),
    "bank-sha384": (
        lambda f, t: f.but(selections=(t.selection(8, 9, bank=0x000C),)),
        ["pcr-selection"],
    ),
    "second-bank-beside": (
        lambda f, t: f.but(selections=(t.selection(8, 9), t.selection(8, 9, bank=0x0004))),
        ["pcr-selection"],
    ),
    "second-bank-empty": (
        lambda f, t: f.but(selections=(t.selection(8, 9), t.selection(bank=0x0004))),
        ["pcr-selection"],
    ),
    "one-bank-in-two-selections": (
        lambda f, t: f.but(selections=(t.selection(8), t.selection(9))),
        ["pcr-selection"],
    ),
    "register-beyond-24": (
        lambda f, t: f.but(selections=(t.selection(8, 9, 25, size=4),)),
        ["pcr-selection"],
    ),
    "digest-over-other-values": (lambda f, t: f.but(quoted=bytes(32)), ["pcr-digest"]),
    "digest-empty": (lambda f, t: f.but(quoted=b""), ["pcr-digest"]),
    "signed-by-another-key": (
        lambda f, t: f.but(
            signature=f.but(key=ec.generate_private_key(ec.SECP256R1())).signed(f.attest)
        ),
        ["signature"],
    ),
    "signature-of-a-scheme-the-key-does-not-have": (
        lambda f, t: f.but(hash_id=0x000C),
        ["signature"],
    ),
    "signature-rsassa-by-an-ecc-key": (
        lambda f, t: f.but(signature=t.number(0x14, 2) + t.number(0xB, 2) + t.sized(b"\1" * 256)),
        ["signature"],
    ),
    "ak-unrestricted": (
        lambda f, t: f.but(attributes=0x00050072 & ~0x00010000),
        ["ak-attributes"],
    ),
    "ak-not-fixed-to-its-tpm": (
        lambda f, t: f.but(attributes=0x00050072 & ~0x02),
        ["ak-attributes"],
    ),
    "ak-not-fixed-to-its-parent": (
        lambda f, t: f.but(attributes=0x00050072 & ~0x10),
        ["ak-attributes"],
    ),
    "ak-imported": (lambda f, t: f.but(attributes=0x00050072 & ~0x20), ["ak-attributes"]),
    "ak-does-not-sign": (
        lambda f, t: f.but(attributes=0x00050072 & ~0x00040000),
        ["ak-attributes"],
    ),
    "ak-decrypts-too": (lambda f, t: f.but(attributes=0x00070072), ["ak-attributes"]),
    "ak-signs-in-any-scheme": (
        lambda f, t: f.but(public=t.public_area(f.key, 0x00050072, scheme=t.number(0x10, 2))),
        ["signature", "ak-attributes"],
    ),
    "quote-of-a-looser-key-shown-as-a-tight-one": (
        lambda f, t: f.but(
            signer=t.qualified(t.public_area(f.key, 0x00040072), t.number(0x4000000B, 4))
        ),
        ["qualified-signer"],
    ),
    "quote-by-a-key-under-an-unknown-parent": (
        lambda f, t: f.but(signer=t.qualified(f.area, b"\0\x0b" + bytes(32))),
        ["qualified-signer"],
    ),
    "qualified-signer-empty": (lambda f, t: f.but(signer=b""), ["qualified-signer"]),
    "no-certificate": (lambda f, t: f.but(certificates=()), ["root"]),
    "certificate-of-another-key": (
        lambda f, t: f.but(
            certificates=(f.authority.issue(ec.generate_private_key(ec.SECP256R1()).public_key()),)
        ),
        ["root"],
    ),
    "certificate-by-an-authority-of-the-same-name": (
        lambda f, t: f.but(certificates=(t.Authority().issue(f.key.public_key()),)),
        ["root"],
    ),
    "certificate-and-root-of-one's-own": (
        lambda f, t: (lambda own: f.but(certificates=(own.issue(f.key.public_key()), own.root)))(
            t.Authority()
        ),
        ["root"],
    ),
    "certificate-for-an-endorsement-key": (
        lambda f, t: f.but(certificates=(f.authority.issue(f.key.public_key(), purposes=(t.EK,)),)),
        ["root"],
    ),
    "certificate-for-a-web-server": (
        lambda f, t: f.but(
            certificates=(f.authority.issue(f.key.public_key(), purposes=("1.3.6.1.5.5.7.3.1",)),)
        ),
        ["root"],
    ),
    "certificate-without-purpose": (
        lambda f, t: f.but(certificates=(f.authority.issue(f.key.public_key(), purposes=()),)),
        ["root"],
    ),
    "certificate-of-a-key-that-decrypts": (
        lambda f, t: f.but(
            certificates=(f.authority.issue(f.key.public_key(), usage="key_encipherment"),)
        ),
        ["root"],
    ),
    "certificate-of-an-authority": (
        lambda f, t: f.but(certificates=(f.authority.issue(f.key.public_key(), ca=True),)),
        ["root"],
    ),
    "certificate-with-an-unknown-critical-extension": (
        lambda f, t: f.but(certificates=(f.authority.issue(f.key.public_key(), critical=True),)),
        ["root"],
    ),
    "register-value-changed-by-the-host": (
        lambda f, t: f.but(registers=((8, t.register(bytes(32))), f.registers[1])),
        ["events"],
    ),
    "register-extended-after-start": (
        lambda f, t: f.but(
            registers=((8, t.register(raw_digest(RUNTIME), bytes(32))), f.registers[1])
        ),
        ["events"],
    ),
    "registers-swapped": (
        lambda f, t: f.but(registers=((8, f.registers[1][1]), (9, f.registers[0][1]))),
        ["events"],
    ),
    "event-left-out": (lambda f, t: f.but(events=f.events[:1]), ["events", "job"]),
    "event-put-in": (
        lambda f, t: f.but(events=(*f.events, {"pcr": 10, "kind": "job", "digest": OTHER})),
        ["events", "job"],
    ),
    "runtime-unknown": (_measures((8, "runtime", OTHER), (9, "job", JOB)), ["runtime"]),
    "runtime-not-measured": (_measures((9, "job", JOB)), ["runtime"]),
    "runtime-measured-twice": (
        _measures((8, "runtime", RUNTIME), (8, "runtime", RUNTIME), (9, "job", JOB)),
        ["runtime"],
    ),
    "another-runtime-measured-first": (
        _measures((8, "runtime", OTHER), (8, "runtime", RUNTIME), (9, "job", JOB)),
        ["runtime"],
    ),
    "job-not-measured": (_measures((8, "runtime", RUNTIME)), ["job"]),
    "two-jobs-measured": (
        _measures((8, "runtime", RUNTIME), (9, "job", JOB), (9, "job", OTHER)),
        ["job"],
    ),
    "runtime-and-job-in-each-other's-registers": (
        _measures((9, "runtime", RUNTIME), (8, "job", JOB)),
        ["runtime", "job"],
    ),
    "event-of-another-kind-in-the-job's-register": (
        _measures((8, "runtime", RUNTIME), (9, "runtime", RUNTIME)),
        ["runtime", "job"],
    ),
    "no-events-and-no-known-image": (lambda f, t: f.but(events=()), ["image"]),
}


@pytest.mark.parametrize(("change", "checks"), REFUSED.values(), ids=REFUSED.keys())
def test_a_forged_quote_fails_the_check_it_breaks(
    forge: Any, tpm_bytes: Any, change: Change, checks: list[str]
) -> None:
    forged = change(forge, tpm_bytes)
    assert forged.failed() == checks
    result = forged.appraise()
    assert not result.accepted
    with pytest.raises(AttestationError):
        result.require()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda f, t: f.but(quoted=bytes(32)), id="digest"),
        pytest.param(lambda f, t: f.but(attributes=0x00040072), id="attributes"),
        pytest.param(lambda f, t: f.but(certificates=()), id="root"),
        pytest.param(lambda f, t: f.but(hash_id=0x000C), id="signature"),
    ],
)
def test_nothing_is_claimed_unless_a_genuine_key_signed_it(
    forge: Any, tpm_bytes: Any, change: Change
) -> None:
    assert change(forge, tpm_bytes).appraise().claims is None


MALFORMED: dict[str, Change] = {
    "magic (CVE-2024-29038)": lambda f, t: f.but(magic=0xDEADBEEF),
    "type-certify": lambda f, t: f.but(kind=0x8017),
    "type-time": lambda f, t: f.but(kind=0x8019),
    "type-nv": lambda f, t: f.but(kind=0x8014),
    "type-zero": lambda f, t: f.but(kind=0),
    "flag-safe-neither": lambda f, t: f.but(clock=f.clock[:-1] + b"\2"),
    "quote-with-a-tail": lambda f, t: f.but(attest_tail=b"\0"),
    "quote-with-a-letter": lambda f, t: f.but(attest_tail=b"A"),
    "quote-with-a-mebibyte": lambda f, t: f.but(attest_tail=bytes(1 << 10)),
    "signature-with-a-tail": lambda f, t: f.but(signature_tail=b"\0"),
    "public-area-with-a-tail": lambda f, t: f.but(public_tail=b"\0"),
    "extra-data-size-beyond-the-end": lambda f, t: f.but(signer=b"", extra=b"\0" * 67),
    "selection-count-of-four-billion": lambda f, t: f.but(clock=f.clock + b"\xff" * 8),
    "selection-size-beyond-the-end": lambda f, t: f.but(selections=(b"\0\x0b\xff\0",)),
    "digest-size-beyond-the-end": lambda f, t: f.but(attest_tail=b"", quoted=b"\1" * 65),
    "signature-scheme-hmac": lambda f, t: f.but(signature=b"\0\x05\0\x0b\0\x01\1"),
    "signature-hash-sha1": lambda f, t: f.but(signature=b"\0\x18\0\x04" + 2 * b"\0\x01\1"),
    "signature-number-beyond-the-end": lambda f, t: f.but(signature=b"\0\x18\0\x0b\xff\xff\1"),
    "signature-r-and-s-zero (CVE-2022-21449)": lambda f, t: f.but(
        signature=b"\0\x18\0\x0b" + 2 * t.sized(bytes(32))
    ),
    "signature-r-zero": lambda f, t: f.but(
        signature=b"\0\x18\0\x0b" + t.sized(b"\0") + t.sized(b"\1")
    ),
    "signature-s-the-order": lambda f, t: f.but(
        signature=b"\0\x18\0\x0b" + t.sized(b"\1") + t.sized(t.number(P256_ORDER, 32))
    ),
    "signature-empty": lambda f, t: f.but(signature=b""),
    "public-area-empty": lambda f, t: f.but(public=b""),
    "public-area-of-a-hash-key": lambda f, t: f.but(public=b"\0\x08" + f.area[2:]),
    "public-area-on-an-unknown-curve": lambda f, t: f.but(
        public=f.area.replace(b"\0\x18\0\x0b\0\x03", b"\0\x18\0\x0b\0\x20")
    ),
    "public-point-not-on-the-curve": lambda f, t: f.but(public=f.area[:-1] + b"\0"),
    "public-area-named-by-sha1": lambda f, t: f.but(public=f.area[:2] + b"\0\4" + f.area[4:]),
    "public-area-with-unknown-attributes": lambda f, t: f.but(attributes=0x80050072),
    "register-listed-twice": lambda f, t: f.but(registers=(f.registers[0], *f.registers)),
    "registers-out-of-order": lambda f, t: f.but(registers=f.registers[::-1]),
    "register-24": lambda f, t: f.but(registers=(*f.registers, (24, bytes(32)))),
    "register-value-short": lambda f, t: f.but(registers=((8, bytes(20)), f.registers[1])),
    "registers-none": lambda f, t: f.but(registers=()),
    "event-in-a-resettable-register": lambda f, t: f.but(
        events=({"pcr": 16, "kind": "job", "digest": JOB},)
    ),
    "event-in-register-23": lambda f, t: f.but(
        events=({"pcr": 23, "kind": "runtime", "digest": RUNTIME},)
    ),
    "event-of-an-unknown-kind": lambda f, t: f.but(
        events=({"pcr": 8, "kind": "kernel", "digest": JOB},)
    ),
    "events-without-end": lambda f, t: f.but(events=f.events * 40),
    "member-unknown": lambda f, t: f.but(members={"tier": "hardware"}),
    "member-of-another-version": lambda f, t: f.but(members={"format_version": 2}),
    "certificate-not-one": lambda f, t: f.but(certificates=(b"\x30\x03\x02\x01\x01",)),
    "endorsement-key-not-one": lambda f, t: f.but(ek_public=b"\0"),
}


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED.keys())
def test_bytes_that_are_no_quote_are_malformed(forge: Any, tpm_bytes: Any, change: Change) -> None:
    changed = change(forge, tpm_bytes)
    with pytest.raises(MalformedError):
        changed.appraise()


def test_reference_values_that_name_no_conditions_refuse(forge: Any) -> None:
    assert "allowed-kind" in forge.failed(reference=None)
    assert not forge.appraise(reference=None).accepted


@pytest.mark.parametrize("pinned", [{}, {"software-tpm": ()}, {"simulated": ()}, {"vtpm": ()}])
def test_an_authority_that_nobody_pinned_vouches_for_nothing(
    forge: Any, pinned: dict[str, tuple[str, ...]]
) -> None:
    assert forge.failed(roots=pinned) == ["root"]


@pytest.mark.parametrize("name", ["simulated", "amd-sev-snp", "tpm2"])
def test_a_root_pinned_for_another_kind_vouches_for_no_tpm(forge: Any, name: str) -> None:
    assert forge.failed(roots={name: (to_base64(forge.authority.root),)}) == ["root"]


def test_the_tier_is_that_of_the_root_never_hardware(forge: Any) -> None:
    root = (to_base64(forge.authority.root),)
    assert forge.appraise(roots={"software-tpm": root}).tier is Tier.SOFTWARE_TPM
    assert forge.appraise(roots={"vtpm": root}).tier is Tier.HARDWARE_VTPM
    both = forge.appraise(roots={"vtpm": root, "software-tpm": root})
    assert both.accepted
    assert both.tier is Tier.SOFTWARE_TPM


@pytest.mark.parametrize("pcrs", [(), (16,), (23,), (16, 23)])
def test_registers_that_can_be_set_back_alone_are_refused(
    forge: Any, tpm_bytes: Any, pcrs: tuple[int, ...]
) -> None:
    quoted = forge.but(
        selections=(tpm_bytes.selection(*pcrs),),
        registers=tuple((pcr, bytes(32)) for pcr in pcrs) or forge.registers,
        events=(),
    )
    reference = TpmReference(pcrs=pcrs)
    assert "pcr-selection" in quoted.failed(reference=reference)
    image = GuestImage(
        kind="tpm2",
        measurements={f"pcr{pcr}": bytes(32).hex() for pcr in pcrs},
        runtime_digest=tpm_bytes.RUNTIME,
    )
    assert "image" in quoted.failed(reference=reference, images=(image,))


@pytest.mark.parametrize("pcr", [16, 23])
def test_an_image_cannot_be_told_by_a_register_that_can_be_set_back(
    forge: Any, tpm_bytes: Any, pcr: int
) -> None:
    quoted = forge.but(
        selections=(tpm_bytes.selection(8, pcr),),
        registers=(forge.registers[0], (pcr, bytes(32))),
        events=(),
    )
    reference = TpmReference(pcrs=(8, pcr))
    kept = {"pcr8": forge.registers[0][1].hex()}
    for measurements, checks in ((kept, []), (kept | {f"pcr{pcr}": bytes(32).hex()}, ["image"])):
        image = GuestImage(kind="tpm2", measurements=measurements, runtime_digest=tpm_bytes.RUNTIME)
        assert quoted.failed(reference=reference, images=(image,)) == checks
        assert f"pcr{pcr}" not in quoted.appraise(reference=reference).claims.measurements


@pytest.mark.parametrize("seconds", [-1, 1])
def test_a_certificate_counts_only_while_it_is_valid(
    forge: Any, tpm_bytes: Any, seconds: int
) -> None:
    at, day = tpm_bytes.AT, timedelta(days=1)
    moment = at + (day if seconds > 0 else -day) + timedelta(seconds=seconds)
    assert forge.failed(at=moment) == ["root"]
    assert forge.failed(at=moment - timedelta(seconds=seconds)) == []


def test_without_events_the_registers_must_be_a_known_images(forge: Any, tpm_bytes: Any) -> None:
    bare = forge.but(events=())
    image = GuestImage(
        kind="tpm2",
        measurements={f"pcr{pcr}": value.hex() for pcr, value in forge.registers},
        runtime_digest=tpm_bytes.RUNTIME,
    )
    claims = bare.appraise(images=(image,)).require()
    assert claims.runtime_digest == tpm_bytes.RUNTIME
    assert claims.job_digest is None
    narrow = GuestImage(
        kind="tpm2",
        measurements={"pcr8": forge.registers[0][1].hex()},
        runtime_digest=tpm_bytes.RUNTIME,
    )
    assert bare.failed(images=(narrow,)) == ["image"]


def test_a_job_in_another_register_than_the_agreed_one_is_refused(
    forge: Any, tpm_bytes: Any
) -> None:
    elsewhere = forge.but(
        events=(forge.events[0], {"pcr": 10, "kind": "job", "digest": JOB}),
        selections=(tpm_bytes.selection(8, 9, 10),),
        registers=(forge.registers[0], (9, bytes(32)), (10, forge.registers[1][1])),
    )
    assert elsewhere.failed(reference=TpmReference(pcrs=(8, 9, 10))) == ["job"]


@pytest.mark.parametrize(
    ("usage", "checks"),
    [("digital_signature", []), ("", ["root"]), ("key_encipherment", ["root"])],
)
def test_a_clouds_certificate_for_endorsement_counts_only_if_its_key_signs(
    forge: Any, tpm_bytes: Any, usage: str, checks: list[str]
) -> None:
    certificate = forge.authority.issue(
        forge.key.public_key(), purposes=(tpm_bytes.EK,), usage=usage
    )
    root = (to_base64(forge.authority.root),)
    assert forge.but(certificates=(certificate,)).failed(roots={"vtpm": root}) == checks
    assert forge.but(certificates=(certificate,)).failed() == ["root"]


def test_a_quote_that_selects_nothing_is_never_the_one_wanted(forge: Any, tpm_bytes: Any) -> None:
    nothing = parse_attest(forge.but(selections=(tpm_bytes.selection(),)).attest)
    assert not selected(nothing, ())


def test_evidence_of_another_session_purpose_or_broker_is_refused(forge: Any) -> None:
    for other in (b"result", b"another broker", b"another key"):
        assert forge.failed(expected=ExpectedBinding.of(other)) == ["binding"]


def resent(evidence: Evidence, payload: bytes) -> Evidence:
    return Evidence(media_type=evidence.media_type, payload=to_base64(payload))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: data[:1], id="first-byte"),
        pytest.param(lambda data: data[: len(data) // 4], id="a-quarter"),
        pytest.param(lambda data: data[: len(data) // 2], id="half"),
        pytest.param(lambda data: data[:-1], id="all-but-one-byte"),
        pytest.param(lambda data: data + b"\0", id="trailing-zero"),
        pytest.param(lambda data: data + b"A", id="trailing-letter"),
        pytest.param(lambda data: data + b"\n", id="trailing-newline"),
        pytest.param(lambda data: data + b" " * (1 << 20), id="a-mebibyte-of-blanks"),
        pytest.param(lambda data: data[:-1] + bytes(1 << 20), id="a-mebibyte-of-zeros"),
        pytest.param(lambda data: b" " + data, id="leading-blank"),
        pytest.param(lambda data: b'{"events":[],' + data[1:], id="member-twice"),
        pytest.param(lambda data: b"[" * 5000 + data, id="nested"),
    ],
)
def test_evidence_has_one_encoding(forge: Any, change: Callable[[bytes], bytes]) -> None:
    evidence = forge.evidence()
    assert forge.appraise(evidence=evidence).accepted
    changed = resent(evidence, change(unbase64(evidence.payload)))
    with pytest.raises((MalformedError, TooLargeError)):
        forge.appraise(evidence=changed)


def test_no_bit_of_the_quote_can_be_flipped(forge: Any) -> None:
    attest, signature = forge.attest, forge.signed(forge.attest)
    payload = forge.payload()
    for member, data in (("attest", attest), ("signature", signature), ("ak_public", forge.area)):
        for index in range(len(data)):
            flipped = bytearray(data)
            flipped[index] ^= 1 << index % 8
            changed = payload | {
                "attest": to_base64(attest),
                "signature": to_base64(signature),
                member: to_base64(bytes(flipped)),
            }
            evidence = resent(forge.evidence(), canonical_json(changed))
            try:
                assert not forge.appraise(evidence=evidence).accepted, (member, index)
            except MalformedError:
                continue


def test_truncated_structures_are_refused_typed(forge: Any) -> None:
    payload = forge.payload()
    for member in ("attest", "signature", "ak_public"):
        data = unbase64(payload[member])
        for size in range(len(data)):
            changed = canonical_json(payload | {member: to_base64(data[:size])})
            with pytest.raises(MalformedError):
                forge.appraise(evidence=resent(forge.evidence(), changed))


def test_evidence_under_another_kinds_name_is_refused(forge: Any) -> None:
    evidence = forge.evidence()
    for verifier in verifiers():
        if verifier.kind != "tpm2":
            renamed = Evidence(media_type=verifier.media_type, payload=evidence.payload)
            with pytest.raises((MalformedError, AttestationError)):
                forge.appraise(evidence=renamed).require()


def test_many_certificates_cost_little_and_the_right_one_is_found(
    forge: Any, tpm_bytes: Any
) -> None:
    others = tuple(
        tpm_bytes.Authority().issue(forge.key.public_key(), purposes=(tpm_bytes.AK,))
        for _ in range(3)
    )
    good = forge.authority.issue(forge.key.public_key())
    assert forge.but(certificates=(*others, good, forge.authority.root)).failed() == []


def test_an_intermediate_is_found_in_any_order(forge: Any, tpm_bytes: Any) -> None:
    middle = tpm_bytes.Authority("software TPM, not hardware: a branch")
    between = forge.authority.issue(middle.key.public_key(), name=middle.name, ca=True, purposes=())
    leaf = middle.issue(forge.key.public_key())
    for given in ((leaf, between), (between, leaf), (forge.authority.root, between, leaf)):
        assert forge.but(certificates=given).failed() == []
    assert forge.but(certificates=(leaf,)).failed() == ["root"]
