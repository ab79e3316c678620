"""Answers on revocation: revoked certificates, forged and outdated answers, wrong responders."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from manatee.attestation._gpu.revocation import DOCUMENT, check_subject, read_statement
from manatee.errors import AppraisalRefusedError, AppraisalUnavailableError, MalformedError

sys.path.insert(0, str(Path(__file__).parent))
from gpu_forge import (
    AT,
    KEYS,
    OCSP_SIGNING,
    Answer,
    Gpu,
    certificate,
    failed,
)

DEVICE, MODEL, AUTHORITY, DRIVER_RIM, VBIOS_RIM, RIM_AUTHORITY, LEAF = range(7)
SECOND = timedelta(seconds=1)


@pytest.fixture
def gpu() -> Gpu:
    return Gpu()


def answer(which: int, change: Callable[[Answer], None]) -> Callable[[list[Answer]], None]:
    return lambda answers: change(answers[which])


def drop(part: str) -> Callable[[dict[str, bytes]], None]:
    def change(found: dict[str, bytes]) -> None:
        for name in [name for name in found if part in name]:
            del found[name]

    return change


def revoked(reason: x509.ReasonFlags | None) -> Callable[[Answer], None]:
    def change(given: Answer) -> None:
        given.status, given.reason = ocsp.OCSPCertStatus.REVOKED, reason

    return change


EVERYONE = [DEVICE, MODEL, AUTHORITY, DRIVER_RIM, VBIOS_RIM, RIM_AUTHORITY]


@pytest.mark.parametrize("which", EVERYONE)
@pytest.mark.parametrize(
    "reason", [None, x509.ReasonFlags.key_compromise, x509.ReasonFlags.certificate_hold]
)
def test_a_certificate_that_is_revoked_or_on_hold_is_refused(
    gpu: Gpu, which: int, reason: x509.ReasonFlags | None
) -> None:
    gpu.change_answers = answer(which, revoked(reason))
    result = gpu.look()
    assert failed(result) == ["revocation"]
    held = reason is x509.ReasonFlags.certificate_hold
    assert f"is {'on hold' if held else 'revoked'}," in result.checks[-1].reason


@pytest.mark.parametrize("required", [True, False])
def test_a_status_that_is_unknown_is_refused(gpu: Gpu, required: bool) -> None:
    def unknown(given: Answer) -> None:
        given.status = ocsp.OCSPCertStatus.UNKNOWN

    gpu.change_answers = answer(DEVICE, unknown)
    gpu.conditions = msgspec.structs.replace(gpu.conditions, require_revocation_status=required)
    assert failed(gpu.look()) == ["revocation"]


@pytest.mark.parametrize("which", [DEVICE, MODEL, RIM_AUTHORITY])
def test_collateral_is_as_old_as_its_oldest_answer(gpu: Gpu, which: int) -> None:
    def change(given: Answer) -> None:
        given.begins = AT - timedelta(days=2)

    gpu.change_answers = answer(which, change)
    assert gpu.look().require().collateral_from == AT - timedelta(days=2)


def test_without_required_answers_those_that_are_there_count(gpu: Gpu) -> None:
    gpu.conditions = msgspec.structs.replace(gpu.conditions, require_revocation_status=False)
    gpu.change_answers = answer(DEVICE, revoked(None))
    assert failed(gpu.look()) == ["revocation"]
    gpu.documents = drop(DOCUMENT)
    result = gpu.look()
    assert failed(result) == []
    assert result.require().collateral_from is None


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("change", [revoked(None), revoked(x509.ReasonFlags.certificate_hold)])
def test_an_answer_against_the_signing_key_counts_though_none_is_asked_for(
    gpu: Gpu, required: bool, change: Callable[[Answer], None]
) -> None:
    gpu.leaf_is_answered_for = True
    gpu.conditions = msgspec.structs.replace(gpu.conditions, require_revocation_status=required)
    assert failed(gpu.look()) == []
    gpu.change_answers = answer(LEAF, change)
    assert failed(gpu.look()) == ["revocation"]


def test_an_answer_for_the_signing_key_by_a_stranger_is_refused(gpu: Gpu) -> None:
    def change(given: Answer) -> None:
        given.key = "foreign"
        given.responder = certificate(gpu.model, "foreign", gpu.model, "foreign", ca=True)

    gpu.leaf_is_answered_for = True
    gpu.change_answers = answer(LEAF, change)
    assert failed(gpu.look()) == ["revocation"]


def test_an_outdated_answer_for_the_signing_key_is_as_good_as_none(gpu: Gpu) -> None:
    gpu.leaf_is_answered_for = True
    gpu.change_answers = answer(LEAF, stale)
    assert failed(gpu.look()) == []


def test_an_outdated_answer_against_the_signing_key_still_counts(gpu: Gpu) -> None:
    def change(given: Answer) -> None:
        stale(given)
        revoked(None)(given)

    gpu.leaf_is_answered_for = True
    gpu.change_answers = answer(LEAF, change)
    assert failed(gpu.look()) == ["revocation"]


def stale(given: Answer) -> None:
    given.begins, given.ends = AT - timedelta(hours=3), AT - timedelta(seconds=61)


def of_tomorrow(given: Answer) -> None:
    given.begins, given.ends = AT + timedelta(seconds=61), AT + timedelta(days=1)


def without_end(given: Answer) -> None:
    given.begins, given.ends = AT - timedelta(hours=1, seconds=61), None


def of_last_week(given: Answer) -> None:
    given.begins, given.ends = AT - timedelta(days=7, seconds=1), AT + timedelta(days=7)


@pytest.mark.parametrize("which", EVERYONE)
@pytest.mark.parametrize("change", [stale, of_tomorrow, without_end, of_last_week])
def test_an_answer_out_of_time_is_none(
    gpu: Gpu, which: int, change: Callable[[Answer], None]
) -> None:
    gpu.change_answers = answer(which, change)
    with pytest.raises(AppraisalUnavailableError, match="ocsp/"):
        gpu.look()


def within_skew(given: Answer) -> None:
    given.begins, given.ends = AT - timedelta(hours=1), AT - timedelta(seconds=59)


def of_just_now(given: Answer) -> None:
    given.begins, given.ends = AT + timedelta(seconds=59), None


@pytest.mark.parametrize("change", [within_skew, of_just_now])
def test_clocks_may_differ_by_a_minute(gpu: Gpu, change: Callable[[Answer], None]) -> None:
    gpu.change_answers = answer(DEVICE, change)
    assert failed(gpu.look()) == []


def test_what_was_revoked_stays_so_when_the_answer_is_out_of_date(gpu: Gpu) -> None:
    def change(given: Answer) -> None:
        stale(given)
        revoked(None)(given)

    gpu.change_answers = answer(DEVICE, change)
    assert failed(gpu.look()) == ["revocation"]


def test_an_answer_for_another_certificate_is_refused(gpu: Gpu) -> None:
    other = certificate(gpu.model, gpu.rom_key, "ica", "ica", ca=True, serial=12)

    def change(given: Answer) -> None:
        given.about = other

    gpu.change_answers = answer(DEVICE, change)
    assert failed(gpu.look()) == ["revocation"]


@pytest.mark.parametrize("issuer", [("ica", "foreign"), ("ico", "ica")])
def test_an_answer_for_another_issuers_certificate_of_that_number_is_refused(
    gpu: Gpu, issuer: tuple[str, str]
) -> None:
    name, key = issuer

    def change(given: Answer) -> None:
        given.about_issuer = certificate(name, key, name, key, ca=True)
        given.about = certificate(gpu.model, gpu.rom_key, name, key, ca=True, serial=gpu.rom_serial)

    gpu.change_answers = answer(DEVICE, change)
    assert failed(gpu.look()) == ["revocation"]


def ocsp_with_extensions(given: Answer, identifier: bytes) -> bytes:
    """Return an answer that has an extension twice, which no builder makes."""
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=given.about,
            issuer=given.about_issuer,
            algorithm=hashes.SHA1(),
            cert_status=given.status,
            this_update=given.begins,
            next_update=given.ends,
            revocation_time=None,
            revocation_reason=None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, given.issuer)
        .add_extension(x509.OCSPNonce(b"n" * 16), critical=False)
        .add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.99"), b"\4\0"),
            critical=False,
        )
    )
    data = builder.sign(KEYS[given.key], hashes.SHA384()).public_bytes(Encoding.DER)
    changed = data.replace(identifier[:-1] + b"\x63", identifier)
    assert changed != data
    return changed


def appointed(
    key: str = "foreign", *, ca: bool = False, **options: object
) -> Callable[[Answer], None]:
    """Let somebody whom the issuer certified for that answer in its place."""

    def change(given: Answer) -> None:
        plain: dict[str, object] = {"purpose": OCSP_SIGNING}
        own = key if key == "weak" else "foreign"
        signer = certificate("answers", own, "ica", "ica", ca=ca, **(plain | options))  # type: ignore[arg-type]
        given.appointed, given.key = [signer], key
        given.responder = given.issuer if key == "ica" else signer

    return change


def test_somebody_appointed_by_the_issuer_may_answer(gpu: Gpu) -> None:
    gpu.change_answers = answer(DEVICE, appointed())
    assert failed(gpu.look()) == []


@pytest.mark.parametrize(
    "change",
    [
        appointed(purpose=None),
        appointed(purpose=x509.oid.ExtendedKeyUsageOID.SERVER_AUTH),
        appointed(ends=AT - SECOND),
        appointed(begins=AT + SECOND),
        appointed(key="ica"),  # the issuer's signature beside another's certificate
        appointed(ca=True),
        appointed(signs=False),
        appointed(unknown=True),  # an unknown critical extension
        appointed(key="weak"),  # P-192
        appointed(digest=hashes.SHA224()),
    ],
)
def test_somebody_not_in_office_may_not_answer(gpu: Gpu, change: Callable[[Answer], None]) -> None:
    gpu.change_answers = answer(DEVICE, change)
    assert failed(gpu.look()) == ["revocation"]


def test_somebody_appointed_by_another_issuer_may_not_answer(gpu: Gpu) -> None:
    gpu.change_answers = answer(MODEL, appointed())  # appointed by the issuer below
    assert failed(gpu.look()) == ["revocation"]


@pytest.mark.parametrize("which", [DEVICE, MODEL])
def test_no_authority_of_the_path_answers_for_its_superior(gpu: Gpu, which: int) -> None:
    # an authority may answer for what it issued itself, and for nothing beside or above that
    def change(given: Answer) -> None:
        given.key = gpu.rom_key
        given.appointed, given.responder = [gpu.chain[1]], gpu.chain[1]

    gpu.change_answers = answer(which, change)
    assert failed(gpu.look()) == ["revocation"]


def test_an_answer_that_holds_for_ever_still_grows_old(gpu: Gpu) -> None:
    def change(given: Answer) -> None:
        given.ends = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)

    gpu.change_answers = answer(DEVICE, change)
    assert failed(gpu.look()) == []


def test_an_answer_with_one_extension_twice_is_malformed(gpu: Gpu) -> None:
    given = Answer(gpu.chain[1], gpu.chain[2], "ica")
    given.extension_critical = False
    whole = given.build()
    nonce = bytes.fromhex("2b0601050507300102")
    other = ocsp.load_der_ocsp_response(whole)
    assert len(other.extensions) == 1
    again = ocsp_with_extensions(given, nonce)
    with pytest.raises(MalformedError):
        read_statement(again)


def test_an_answer_of_an_issuer_with_another_kind_of_key_is_refused(gpu: Gpu) -> None:
    KEYS["rsa"] = rsa.generate_private_key(65537, 2048)  # type: ignore[assignment]
    issuer = certificate("ica", "rsa", "ica", "rsa", ca=True)
    given = Answer(gpu.chain[1], gpu.chain[2], "ica")
    found = read_statement(given.build())
    assert found is not None
    with pytest.raises(AppraisalRefusedError, match="another key"):
        check_subject(found, gpu.chain[1], issuer)


@pytest.mark.parametrize("key", ["leaf", "brom", "foreign", "root"])
def test_an_answer_signed_by_another_key_is_refused(gpu: Gpu, key: str) -> None:
    def change(given: Answer) -> None:
        given.key = key
        given.responder = certificate("ica", key, "ica", key, ca=True)

    gpu.change_answers = answer(DEVICE, change)
    assert failed(gpu.look()) == ["revocation"]


@pytest.mark.parametrize("critical", [True, False])
def test_an_answer_with_a_critical_extension_is_refused(gpu: Gpu, critical: bool) -> None:
    def change(given: Answer) -> None:
        given.extension_critical = critical

    gpu.change_answers = answer(DEVICE, change)
    assert failed(gpu.look()) == (["revocation"] if critical else [])


def test_an_answer_that_reports_a_failure_is_none(gpu: Gpu) -> None:
    unsuccessful = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)

    def change(found: dict[str, bytes]) -> None:
        name = next(name for name in found if name.startswith(DOCUMENT))
        found[name] = unsuccessful.public_bytes(Encoding.DER)

    gpu.documents = change
    with pytest.raises(AppraisalUnavailableError):
        gpu.look()


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"0" * 5000, bytes(1 << 20), b"\x30\x82\xff"])
def test_an_answer_that_cannot_be_read_is_refused(gpu: Gpu, data: bytes) -> None:
    def change(found: dict[str, bytes]) -> None:
        for name in [name for name in found if name.startswith(DOCUMENT)]:
            found[name] = data

    gpu.documents = change
    result = gpu.look()
    assert failed(result) == ["revocation"]
    assert ("at most" in result.checks[-1].reason) == (len(data) > 1 << 14)


def test_one_flipped_bit_in_an_answer_is_never_good(gpu: Gpu) -> None:
    collateral = dict(gpu.collateral().documents)
    name = next(name for name in collateral if name.startswith(DOCUMENT))
    whole = collateral[name]
    for place in range(0, len(whole), 3):
        broken = bytearray(whole)
        broken[place] ^= 1 << place % 8

        def change(found: dict[str, bytes], broken: bytes = bytes(broken)) -> None:
            found.update(collateral)
            found[name] = broken

        gpu.documents = change
        try:
            assert failed(gpu.look()) == ["revocation"], place
        except AppraisalUnavailableError:
            continue
