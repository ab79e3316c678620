"""Key release: every check of the broker refused alone, under its own name."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from manatee.custody import add_key, wrap_data_key
from manatee.errors import (
    CustodyDeniedError,
    CustodyUnavailableError,
    KeyDeniedError,
    LimitError,
    ManateeError,
    SealingError,
    SettingsError,
)
from manatee.keybroker import CHALLENGE_SECONDS, KeyBroker, _store
from manatee.policy import ACCEPT_SIMULATED, REAL_BELOW_HARDWARE
from manatee.records import (
    Evidence,
    Tier,
    canonical_json,
    dataset_version,
    digest_bytes,
    report_data,
    to_base64,
    unbase64,
)
from manatee.sealing import new_session_keys
from manatee.testing import Asked, EvidenceForge, Installation, as_evidence

OTHER = digest_bytes(b"other")


def refusal(broker: KeyBroker, body: bytes) -> str:
    """Return the check that refuses, having made sure that it is the one logged, once."""
    before = len(broker._store.decisions())
    with pytest.raises(KeyDeniedError) as caught:
        broker.release(body)
    logged = [json.loads(entry.body) for entry in broker._store.decisions()[before:]]
    assert [(entry["outcome"], entry["check"]) for entry in logged] == [
        ("denied", caught.value.check)
    ]
    return caught.value.check


def requote(place: Installation, asked: Asked, **members: Any) -> tuple[Evidence, ...]:
    """Return evidence of the genuine device for this request, its binding or claims otherwise."""
    claims = place.claims(**members.pop("claims", {}))
    nonce, key = unbase64(asked.request.nonce), unbase64(asked.request.session_key)
    bound = place.bound(members.pop("nonce", nonce), members.pop("session_key", key), **members)
    return (place.device.quote(report_data(bound), claims),)


def test_a_genuine_request_gets_the_data_key_and_only_its_session_can_open_it(
    place: Installation,
) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    answer = broker.release(asked.body())
    assert place.open_keys(asked, answer) == [place.data_key]
    assert place.data_key not in canonical_json(answer)
    stranger = Asked(asked.request, new_session_keys()[0])
    with pytest.raises(SealingError):
        place.open_keys(stranger, answer)
    (entry,) = broker._store.decisions()
    assert unbase64(answer.decision) == entry.body
    assert json.loads(entry.body)["outcome"] == "released"


def test_an_answer_opens_for_its_own_nonce_job_and_evidence_only(place: Installation) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    answer = broker.release(asked.body())
    other_evidence = requote(place, asked, purpose="result")
    for change in (
        {"nonce": to_base64(bytes(32))},
        {"job_digest": OTHER},
        {"evidence": other_evidence},
    ):
        request = msgspec.structs.replace(asked.request, **change)
        with pytest.raises(SealingError):
            place.open_keys(Asked(request, asked.session_private), answer)


# --- 1. and 2. form -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda body: b"",
        lambda body: body + b" {}",
        lambda body: body.replace(b'"attempt":1', b'"attempt":1,"attempt":1'),
        lambda body: body.replace(b'"attempt":1', b'"attempt":0'),
        lambda body: body.replace(b'"attempt":1', b'"attempt":1,"budget":9'),
        lambda body: body.replace(b'"attempt":1,', b""),
        lambda body: body.replace(b"sha256:", b"sha512:"),
        lambda body: body.replace(b'"media_type":"', b'"media_type":"\\ud800'),
        lambda body: body.replace(b'"path":"', b'"path":"\\udfff'),
        lambda body: b" " * (1 << 20) + body,
        lambda body: b"[" * (1 << 20),
    ],
)
def test_a_malformed_request_is_refused_and_consumes_nothing(
    place: Installation, change: Callable[[bytes], bytes]
) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    changed = change(asked.body())
    assert changed != asked.body()
    with pytest.raises(ManateeError) as caught:
        broker.release(changed)
    assert not isinstance(caught.value, KeyDeniedError)
    assert broker.release(asked.body()).keys


@pytest.mark.parametrize("member", ["nonce", "session_key"])
@pytest.mark.parametrize("value", ["A", "AAA", "AB==", "=="])
def test_base64_in_another_form_is_refused(place: Installation, member: str, value: str) -> None:
    broker = place.broker()
    assert refusal(broker, place.ask(broker).changed(**{member: value})) == "form"


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_session_key_of_another_size_is_refused(place: Installation, size: int) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    evidence = requote(place, asked, session_key=bytes(size))
    body = asked.changed(session_key=to_base64(bytes(size)), evidence=evidence)
    assert refusal(broker, body) == "form"


# --- nonce --------------------------------------------------------------------------------------


def test_a_replayed_request_is_refused(place: Installation) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    broker.release(asked.body())
    assert refusal(broker, asked.body()) == "nonce"


def test_a_nonce_that_was_never_issued_is_refused(place: Installation) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    evidence = requote(place, asked, nonce=bytes(32))
    body = asked.changed(nonce=to_base64(bytes(32)), evidence=evidence)
    assert refusal(broker, body) == "nonce"


def test_a_nonce_is_consumed_by_a_refused_request_too(place: Installation) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    assert refusal(broker, asked.changed(approvals=())) == "approvals"
    assert refusal(broker, asked.body()) == "nonce"


def test_a_nonce_expires(place: Installation) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    place.clock.advance(CHALLENGE_SECONDS + 1)
    fresh = requote(place, asked)
    assert refusal(broker, asked.changed(evidence=fresh)) == "nonce"


def test_a_nonce_issued_for_another_job_is_refused(place: Installation) -> None:
    broker = place.broker()
    nonce = place.nonce(broker, job_digest=OTHER)
    asked = place.ask(broker)
    evidence = requote(place, asked, nonce=nonce)
    assert refusal(broker, asked.changed(nonce=to_base64(nonce), evidence=evidence)) == "nonce"


def test_another_brokers_nonce_is_unknown_here(place: Installation) -> None:
    broker, other = place.broker(), place.broker(state="other.db")
    assert refusal(broker, place.ask(other).body()) == "nonce"


def test_a_nonce_survives_a_restart_and_so_does_its_use(place: Installation) -> None:
    asked = place.ask(place.broker())
    restarted = place.broker()
    assert refusal(restarted, asked.changed(approvals=())) == "approvals"
    assert refusal(place.broker(), asked.body()) == "nonce"


def test_nonces_are_never_the_same(place: Installation) -> None:
    broker = place.broker()
    assert len({place.nonce(broker) for _ in range(20)}) == 20


def test_open_challenges_are_bounded_and_expire(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_store, "MAX_OPEN_NONCES", 3)
    broker = place.broker()
    for _ in range(3):
        place.nonce(broker)
    with pytest.raises(LimitError):
        place.nonce(broker)
    place.clock.advance(CHALLENGE_SECONDS + 1)
    place.nonce(broker)


# --- manifest and data sets ---------------------------------------------------------------------


def test_the_manifest_of_another_job_is_refused(place: Installation) -> None:
    broker = place.broker()
    other = msgspec.structs.replace(place.manifest, purpose="Something else.")
    assert refusal(broker, place.ask(broker).changed(manifest=other)) == "manifest"


def test_an_inconsistent_manifest_is_refused_though_approved(place: Installation) -> None:
    place.manifest = msgspec.structs.replace(
        place.manifest, output_recipients=place.manifest.output_recipients * 2
    )
    broker = place.broker()
    assert refusal(broker, place.ask(broker).body()) == "manifest"


def test_a_data_set_the_job_does_not_name_is_refused(place: Installation) -> None:
    broker = place.broker()
    other = place.make_dataset("patients")
    assert refusal(broker, place.ask(broker).changed(datasets=(other,))) == "datasets"


def test_asking_twice_for_one_data_set_is_refused(place: Installation) -> None:
    broker = place.broker()
    twice = (place.dataset, place.dataset)
    assert refusal(broker, place.ask(broker).changed(datasets=twice)) == "datasets"


@pytest.mark.parametrize("wrapped", ["none", "another broker"])
def test_a_key_that_is_not_with_this_broker_is_refused(place: Installation, wrapped: str) -> None:
    key = None
    if wrapped != "none":
        key = wrap_data_key(place.data_key, place.dataset, "bank-broker", place.custody)
    place.dataset = msgspec.structs.replace(place.dataset, wrapped_key=key)
    place.manifest = msgspec.structs.replace(place.manifest, datasets=(place.use(place.dataset),))
    broker = place.broker()
    assert refusal(broker, place.ask(broker).body()) == "datasets"


def test_a_swapped_label_makes_the_wrapped_key_useless(place: Installation) -> None:
    real = place.make_dataset("insurance", label="real")
    place.dataset = msgspec.structs.replace(real, label="synthetic")
    place.manifest = msgspec.structs.replace(place.manifest, datasets=(place.use(place.dataset),))
    broker = place.broker()
    assert refusal(broker, place.ask(broker).body()) == "wrapped-key"


def test_a_custody_that_is_away_releases_nothing_is_logged_and_burns_no_grant(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = place.broker()

    def away(*_: object) -> bytes:
        raise CustodyUnavailableError("10.0.0.7 did not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(place.custody, "unwrap", away)
        with pytest.raises(CustodyUnavailableError) as caught:
            broker.release(place.ask(broker).body())
    assert "10.0.0.7" not in str(caught.value)
    logged = json.loads(broker._store.decisions()[-1].body)
    assert (logged["outcome"], logged["check"]) == ("denied", "custody")
    assert broker.release(place.ask(broker).body()).keys


@pytest.mark.parametrize("error", [CustodyDeniedError, SettingsError])
def test_a_custody_that_refuses_denies_without_saying_where_the_key_is(
    place: Installation, monkeypatch: pytest.MonkeyPatch, error: type[ManateeError]
) -> None:
    broker = place.broker()

    def refuse(*_: object) -> bytes:
        raise error("the file /etc/manatee/pin is open to others.")

    monkeypatch.setattr(place.custody, "unwrap", refuse)
    body = place.ask(broker).body()
    with pytest.raises(KeyDeniedError) as caught:
        broker.release(body)
    assert caught.value.check == "custody"
    assert "/etc/manatee" not in str(caught.value)
    assert "/etc/manatee" in caught.value.reasons[0]


def test_a_key_under_a_rotated_custody_is_still_released(place: Installation) -> None:
    place.custody = add_key(place.folder / "custody")
    broker = place.broker()
    assert broker.release(place.ask(broker).body()).keys


@pytest.mark.parametrize("ciphertext", ["", "AAAA", "A", "AB==", "A" * 120])
def test_a_wrapped_key_that_is_none_is_refused_and_burns_no_grant(
    place: Installation, ciphertext: str
) -> None:
    assert place.dataset.wrapped_key is not None
    damaged = msgspec.structs.replace(place.dataset.wrapped_key, ciphertext=ciphertext)
    place.dataset = msgspec.structs.replace(place.dataset, wrapped_key=damaged)
    place.manifest = msgspec.structs.replace(place.manifest, datasets=(place.use(place.dataset),))
    broker = place.broker()
    for _ in range(2):
        assert refusal(broker, place.ask(broker).body()) == "wrapped-key"


# --- 3. to 6. evidence --------------------------------------------------------------------------


def test_two_pieces_of_evidence_are_one_too_many(place: Installation) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    assert refusal(broker, asked.changed(evidence=asked.request.evidence * 2)) == "evidence"


def test_oversized_evidence_is_refused(place: Installation) -> None:
    broker = place.broker()
    big = as_evidence(bytes(65 << 10))
    assert refusal(broker, place.ask(broker).changed(evidence=(big,))) == "evidence"


def test_evidence_with_trailing_bytes_is_refused(place: Installation) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    longer = as_evidence(unbase64(asked.request.evidence[0].payload) + b"\n")
    assert refusal(broker, asked.changed(evidence=(longer,))) == "evidence"


def test_evidence_of_an_unknown_media_type_is_refused(place: Installation) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    unknown = Evidence(media_type="application/eat", payload=asked.request.evidence[0].payload)
    assert refusal(broker, asked.changed(evidence=(unknown,))) == "kind"


def forged(place: Installation, asked: Asked, forge: EvidenceForge) -> Evidence:
    bound = place.bound(unbase64(asked.request.nonce), unbase64(asked.request.session_key))
    return forge.evidence(bound, place.claims())


def test_a_self_made_authority_gets_no_key(place: Installation) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    evidence = forged(place, asked, EvidenceForge.new(place.clock()))
    assert refusal(broker, asked.changed(evidence=(evidence,))) == "root"


def test_evidence_older_than_a_nonce_may_be_is_refused(place: Installation) -> None:
    place.clock.advance(-CHALLENGE_SECONDS - 2)
    early = place.clock.now
    place.clock.advance(CHALLENGE_SECONDS + 2)
    broker = place.broker()
    asked = place.ask(broker)
    now, place.clock.now = place.clock.now, early
    evidence = requote(place, asked)
    place.clock.now = now
    assert refusal(broker, asked.changed(evidence=evidence)) == "freshness"


def test_future_dated_evidence_is_refused(place: Installation) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    place.clock.advance(61)
    evidence = requote(place, asked)
    place.clock.advance(-61)
    assert refusal(broker, asked.changed(evidence=evidence)) == "freshness"


@pytest.mark.parametrize(
    ("attack", "members"),
    [
        ("another provider's evidence, relayed", {"audience": "bank-broker"}),
        ("result evidence used for key release", {"purpose": "result"}),
        ("evidence of an earlier session", {"nonce": bytes(32)}),
        ("session key swapped by a relay", {"session_key": bytes(32)}),
        ("evidence bound to another job", {"job_digest": OTHER}),
    ],
)
def test_evidence_of_another_session_is_refused_at_its_binding(
    place: Installation, attack: str, members: dict[str, Any]
) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    body = asked.changed(evidence=requote(place, asked, **members))
    assert refusal(broker, body) == "binding", attack


def test_a_relay_that_puts_in_its_own_session_key_gets_nothing(place: Installation) -> None:
    broker = place.broker()
    _, own = new_session_keys()
    assert refusal(broker, place.ask(broker).changed(session_key=to_base64(own))) == "binding"


def test_a_guest_measured_to_run_another_job_is_refused(place: Installation) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    evidence = requote(place, asked, claims={"job_digest": OTHER})
    assert refusal(broker, asked.changed(evidence=evidence)) == "job"


def test_a_guest_with_debugging_on_is_refused(place: Installation) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    evidence = requote(place, asked, claims={"debug": True})
    assert refusal(broker, asked.changed(evidence=evidence)) == "debug"


def test_an_unknown_runtime_is_refused(place: Installation) -> None:
    broker = place.broker()
    asked = place.ask(broker)
    evidence = requote(place, asked, claims={"runtime_digest": OTHER})
    assert refusal(broker, asked.changed(evidence=evidence)) == "runtime"


def test_a_known_runtime_that_is_not_the_jobs_is_refused(place: Installation) -> None:
    references = msgspec.structs.replace(
        place.reference_values(), runtime_digests=(place.runtime_digest, OTHER)
    )
    broker = place.broker(reference_values=references)
    asked = place.ask(broker)
    evidence = requote(place, asked, claims={"runtime_digest": OTHER})
    assert refusal(broker, asked.changed(evidence=evidence)) == "runtime"


def test_a_broker_without_reference_values_releases_nothing(place: Installation) -> None:
    empty = msgspec.structs.replace(place.reference_values(), roots={}, runtime_digests=())
    broker = place.broker(reference_values=empty)
    assert refusal(broker, place.ask(broker).body()) == "root"


# --- 7. policy ----------------------------------------------------------------------------------


def test_simulated_evidence_is_refused_without_the_insecure_setting(place: Installation) -> None:
    broker = place.broker(insecure_settings=())
    assert refusal(broker, place.ask(broker).body()) == "tier"


def test_a_policy_that_asks_for_hardware_refuses_simulated_evidence(place: Installation) -> None:
    broker = place.broker(policy=place.policy(minimum_tier=Tier.HARDWARE))
    assert refusal(broker, place.ask(broker).body()) == "tier"


def test_real_data_below_hardware_needs_its_own_setting(place: Installation) -> None:
    place.dataset = place.make_dataset("patients", label="real")
    place.manifest = msgspec.structs.replace(place.manifest, datasets=(place.use(place.dataset),))
    broker = place.broker()
    assert refusal(broker, place.ask(broker).body()) == "label"
    insecure = place.broker(insecure_settings=(ACCEPT_SIMULATED, REAL_BELOW_HARDWARE))
    assert insecure.release(place.ask(insecure).body()).keys


@pytest.mark.parametrize(
    "members",
    [
        {"job_digest": OTHER},
        {"provider": "bank"},
        {"key": bytes(32)},
        {"life": timedelta(seconds=-1)},
    ],
)
def test_an_approval_that_does_not_hold_releases_nothing(
    place: Installation, members: dict[str, Any]
) -> None:
    broker = place.broker()
    body = place.ask(broker).changed(approvals=(place.approval(**members),))
    assert refusal(broker, body) == "approvals"


def test_an_approval_dated_at_the_beginning_of_time_is_logged_as_a_denial(
    place: Installation,
) -> None:
    broker = place.broker()
    given = place.approval()
    ancient = msgspec.structs.replace(given.statement, approved_at="0001-01-01T00:00:00Z")
    body = place.ask(broker).changed(approvals=(msgspec.structs.replace(given, statement=ancient),))
    assert refusal(broker, body) == "approvals"


@pytest.mark.parametrize("settings", [(ACCEPT_SIMULATED,), (ACCEPT_SIMULATED, REAL_BELOW_HARDWARE)])
def test_insecure_settings_show_in_answer_log_and_decision(
    place: Installation, settings: tuple[str, ...]
) -> None:
    logged: list[tuple[str, dict[str, object]]] = []
    broker = place.broker(
        insecure_settings=settings, log=lambda event, fields: logged.append((event, fields))
    )
    answer = broker.release(place.ask(broker).body())
    assert answer.insecure_settings == settings
    assert answer.tier == "simulated"
    assert logged[-1][0] == "key_released"
    assert logged[-1][1]["insecure_settings"] == list(settings)
    (entry,) = broker._store.decisions()
    assert json.loads(entry.body)["insecure_settings"] == list(settings)


# --- 8. grants ----------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt", [1, 2, 1000])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_job_gets_a_key_once_whatever_attempt_it_claims_to_be(
    place: Installation, attempt: int, restarted: bool
) -> None:
    broker = place.broker()
    broker.release(place.ask(broker).body())
    if restarted:
        broker = place.broker()
    assert refusal(broker, place.ask(broker, attempt=attempt).body()) == "grant"


def test_another_submission_is_another_job_and_needs_another_approval(
    place: Installation,
) -> None:
    broker = place.broker()
    old = place.approval()
    broker.release(place.ask(broker).body())
    place.manifest = msgspec.structs.replace(place.manifest, submission=2)
    assert refusal(broker, place.ask(broker, approvals=(old,)).body()) == "approvals"
    assert broker.release(place.ask(broker).body()).keys


def test_one_used_grant_of_two_releases_neither_key(place: Installation) -> None:
    second = place.make_dataset("claims")
    uses = (place.use(place.dataset), place.use(second))
    place.manifest = msgspec.structs.replace(place.manifest, datasets=uses)
    broker = place.broker()
    broker.release(place.ask(broker).body())
    both = place.ask(broker, datasets=(second, place.dataset))
    assert refusal(broker, both.body()) == "grant"
    alone = place.ask(broker, datasets=(second,))
    (key,) = broker.release(alone.body()).keys
    assert key.dataset_version == dataset_version(second)


@pytest.mark.parametrize("brokers", [1, 2])
def test_guests_that_race_for_one_grant_get_one_key(place: Installation, brokers: int) -> None:
    running = [place.broker() for _ in range(brokers)]
    sessions = [(running[number % brokers], place.ask(running[0])) for number in range(6)]
    outcomes: list[str] = []
    ready = threading.Barrier(len(sessions))

    def run(broker: KeyBroker, body: bytes) -> None:
        ready.wait()
        try:
            broker.release(body)
        except KeyDeniedError as error:
            outcomes.append(error.check)
        else:
            outcomes.append("released")

    threads = [
        threading.Thread(target=run, args=(broker, asked.body())) for broker, asked in sessions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["grant"] * 5 + ["released"]
    assert len(running[0]._store.decisions()) == 6


def test_one_request_sent_six_times_at_once_is_answered_once(place: Installation) -> None:
    broker = place.broker()
    body = place.ask(broker).body()
    outcomes: list[str] = []

    def run() -> None:
        try:
            broker.release(body)
        except KeyDeniedError as error:
            outcomes.append(error.check)
        else:
            outcomes.append("released")

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["nonce"] * 5 + ["released"]
