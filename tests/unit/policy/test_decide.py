"""The decision: guards first, then Cedar; nothing unknown, unreadable or mistaken ever allows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import cedarpy
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from manatee._clock import timestamp
from manatee.errors import KeyDeniedError
from manatee.policy import (
    ACCEPT_SIMULATED,
    REAL_BELOW_HARDWARE,
    EvidenceFacts,
    PolicyDocument,
    ReleaseFacts,
    VerifiedPolicy,
    compile_document,
    decide,
    sign_approval,
)
from manatee.policy._engine import evaluate
from manatee.policy._request import cedar_request
from manatee.records import (
    DatasetManifest,
    DatasetUse,
    FileEntry,
    JobManifest,
    Tier,
    dataset_version,
    digest_bytes,
    digest_record,
    to_base64,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GRACE, HEIDI = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
EVERYTHING = "permit (principal, action, resource);"


def public(key: Ed25519PrivateKey) -> str:
    return to_base64(key.public_key().public_bytes_raw())


def document(cedar: str = EVERYTHING, **members: Any) -> PolicyDocument:
    plain: dict[str, Any] = {
        "provider": "insurer",
        "version": 1,
        "valid_from": timestamp(NOW - timedelta(days=1)),
        "valid_until": timestamp(NOW + timedelta(days=1)),
        "approver_keys": {"insurer": (public(GRACE),), "clinic": (public(HEIDI),)},
        "cedar": cedar,
    }
    return PolicyDocument(**(plain | members))


def policy(cedar: str = EVERYTHING, **members: Any) -> VerifiedPolicy:
    return compile_document(document(cedar, **members))


def dataset(**members: Any) -> DatasetManifest:
    plain: dict[str, Any] = {
        "name": "patients",
        "provider": "insurer",
        "label": "synthetic",
        "schema_digest": digest_bytes(b"schema"),
        "contract_digest": digest_bytes(b"contract"),
        "files": (FileEntry(path="a.csv", sha256=digest_bytes(b"a"), size=1),),
    }
    return DatasetManifest(**(plain | members))


def manifest(**members: Any) -> JobManifest:
    plain: dict[str, Any] = {
        "stage": "secure",
        "project": "charges",
        "researcher": "ada",
        "purpose": "mean charges by age",
        "runtime_digest": digest_bytes(b"runtime"),
        "workspace_digest": digest_bytes(b"workspace"),
        "entry_notebook": "main.ipynb",
        "datasets": (DatasetUse(name="patients", version=dataset_version(dataset())),),
        "output_policy_digest": digest_bytes(b"output policy"),
        "output_recipients": ("age1x",),
        "resource_class": "small",
        "backend_kind": "sandbox",
    }
    return JobManifest(**(plain | members))


JOB = digest_record(manifest())

EVIDENCE = EvidenceFacts(
    kind="sev-snp",
    debug=False,
    migration=False,
    measurements={"measurement": "ab" * 48},
    platform="Milan",
    chip_id="c0ffee",
    tcb={"bootloader": 4, "tee": 0, "snp": 23, "microcode": 213},
    tcb_status="",
    advisories=(),
    vmpl=0,
    collateral_age_seconds=3600,
)


def facts(**members: Any) -> ReleaseFacts:
    plain = ReleaseFacts(
        manifest=manifest(),
        job_digest=JOB,
        datasets=(dataset(),),
        approvals=(),
        tier=Tier.HARDWARE,
        at=NOW,
        insecure_settings=(),
        evidence=EVIDENCE,
        attempt=1,
        organisation="university",
        earlier_uses={"patients": 0},
        epsilon_micro_left={"patients": 1_000_000},
    )
    return replace(plain, **members)


def approval(signer: Ed25519PrivateKey = GRACE, **members: Any) -> Any:
    plain: dict[str, Any] = {
        "key": signer.private_bytes_raw(),
        "provider": "insurer",
        "approver": "grace",
        "job_digest": JOB,
        "at": NOW,
    }
    return sign_approval(**(plain | members))


def refusal(cedar: str | VerifiedPolicy, given: ReleaseFacts) -> KeyDeniedError:
    with pytest.raises(KeyDeniedError) as caught:
        decide(policy(cedar) if isinstance(cedar, str) else cedar, given)
    return caught.value


def permit(condition: str) -> str:
    return f"permit (principal, action, resource) when {{ {condition} }};"


def test_what_a_permit_allows_is_allowed_and_says_by_which() -> None:
    decision = decide(policy(f'@id("all") {EVERYTHING}', version=7), facts())
    assert decision.permits == ("all",)
    assert decision.policy_version == 7
    assert decision.reasons == ("patients: allowed by all",)


# --- guards that no policy can override ---


@pytest.mark.parametrize(
    ("members", "check"),
    [
        ({"datasets": ()}, "datasets"),
        ({"evidence": None}, "evidence"),
        ({"evidence": replace(EVIDENCE, debug=True)}, "debug"),
        ({"evidence": replace(EVIDENCE, debug=None)}, "debug"),
        ({"evidence": replace(EVIDENCE, migration=True)}, "migration"),
        ({"evidence": replace(EVIDENCE, migration=None)}, "migration"),
        ({"tier": Tier.SIMULATED}, "tier"),
        ({"tier": Tier.SIMULATED, "insecure_settings": (REAL_BELOW_HARDWARE,)}, "tier"),
        ({"datasets": (dataset(), dataset(name="bank", provider="bank"))}, "provider"),
        ({"manifest": manifest(stage="rehearsal")}, "stage"),
        ({"at": NOW + timedelta(days=2)}, "dates"),
        ({"at": NOW - timedelta(days=2)}, "dates"),
    ],
)
def test_a_guard_refuses_what_the_policy_would_allow(members: dict[str, Any], check: str) -> None:
    assert refusal(EVERYTHING, facts(**members)).check == check


@pytest.mark.parametrize("tier", [Tier.HARDWARE_VTPM, Tier.SOFTWARE_TPM, Tier.SIMULATED])
def test_real_data_stays_below_hardware_without_the_setting(tier: Tier) -> None:
    given = facts(
        tier=tier,
        datasets=(dataset(), dataset(name="real", label="real")),
        insecure_settings=(ACCEPT_SIMULATED,),
    )
    assert refusal(EVERYTHING, given).check == "label"
    decide(policy(), replace(given, insecure_settings=(ACCEPT_SIMULATED, REAL_BELOW_HARDWARE)))


# --- Cedar fails closed ---


@pytest.mark.parametrize(
    "cedar",
    [
        "",
        "// nothing",
        "forbid (principal, action, resource) when { context.debug };",
        permit("false"),
        'permit (principal == ManaTEE::Researcher::"eve", action, resource);',
    ],
)
def test_without_a_permit_that_applies_nothing_is_allowed(cedar: str) -> None:
    refusal(cedar, facts())


def test_a_forbid_outweighs_every_permit() -> None:
    forbid = 'forbid (principal, action, resource) when { context.project == "charges" };'
    assert refusal(EVERYTHING + forbid, facts()).check == "project"


@pytest.mark.parametrize("effect", ["permit", "forbid"])
def test_a_policy_that_fails_while_it_is_evaluated_allows_nothing(effect: str) -> None:
    broken = (
        f"{effect} (principal, action, resource) when {{ context.vmpl + 9223372036854775807 < 0 }};"
    )
    error = refusal(EVERYTHING + broken, facts(evidence=replace(EVIDENCE, vmpl=1)))
    assert error.check == "policy"
    assert "overflow" in error.reasons[0]


@pytest.mark.parametrize(
    "change",
    [
        {"context": {}},
        {"context": None},
        {"principal": {"type": "ManaTEE::Operator", "id": "ada"}},
        {"principal": "ada"},
        {"action": {"type": "ManaTEE::Action", "id": "Read"}},
        {"resource": None},
    ],
)
def test_a_request_that_does_not_fit_the_schema_is_never_allowed(change: dict[str, Any]) -> None:
    made = policy()
    request = cedar_request(facts(), EVIDENCE, dataset(), {"clinic": 0, "insurer": 0})
    assert evaluate(made.compiled, request.request, request.entities).allowed
    outcome = evaluate(made.compiled, request.request | change, request.entities)
    assert not outcome.allowed
    assert outcome.errors


@pytest.mark.parametrize(
    ("decision", "reasons"),
    [
        ("Allow", []),
        ("Allow", ["policy1"]),
        ("Allow", ["policy0", "policy1"]),
        ("Allow", ["policy7"]),
        ("Deny", ["policy0"]),
        ("NoDecision", ["policy0"]),
    ],
)
def test_an_answer_that_does_not_add_up_is_never_a_yes(
    monkeypatch: pytest.MonkeyPatch, decision: str, reasons: list[str]
) -> None:
    made = policy(EVERYTHING + "forbid (principal, action, resource);")
    said = {"decision": decision, "diagnostics": {"reason": reasons, "errors": []}}
    monkeypatch.setattr(cedarpy, "is_authorized", lambda *_, **__: cedarpy.AuthzResult(said))
    assert not evaluate(made.compiled, {}, []).allowed
    plain = {"decision": "Allow", "diagnostics": {"reason": ["policy0"], "errors": []}}
    monkeypatch.setattr(cedarpy, "is_authorized", lambda *_, **__: cedarpy.AuthzResult(plain))
    assert evaluate(made.compiled, {}, []).allowed


@pytest.mark.parametrize("entity", [{}, {"uid": None}, {"attrs": {"more": 1}}])
def test_entities_that_do_not_fit_the_schema_are_never_allowed(entity: dict[str, Any]) -> None:
    made = policy()
    request = cedar_request(facts(), EVIDENCE, dataset(), {"clinic": 0, "insurer": 0})
    broken = [request.entities[0] | entity if entity else {}, *request.entities[1:]]
    outcome = evaluate(made.compiled, request.request, broken)
    assert not outcome.allowed
    assert outcome.errors


def test_every_data_set_asked_for_must_be_allowed() -> None:
    cedar = 'permit (principal, action, resource == ManaTEE::Dataset::"patients");'
    decide(policy(cedar), facts())
    other = facts(datasets=(dataset(), dataset(name="others")))
    assert refusal(cedar, other).check == "dataset"


@pytest.mark.parametrize(
    ("condition", "without", "check"),
    [
        ("context.vmpl <= 3", {"vmpl": None}, "vmpl"),
        ("context.tcb.snp >= 0", {"tcb": {}}, "tcb"),
        ("context.collateral_age_seconds < 99999", {"collateral_age_seconds": None}, "collateral"),
        ("context.collateral_age_seconds < 99999", {"collateral_age_seconds": -5}, "collateral"),
        ('["c0ffee"].contains(context.chip_id)', {"chip_id": ""}, "chip"),
        ('context.measurements.contains("measurement:' + "ab" * 48 + '")', {"measurements": {}},
         "measurements"),
        ('["INTEL-SA-1"].containsAll(context.advisories)', {"advisories": None}, "advisories"),
        ("context.advisories.isEmpty()", {"advisories": None}, "advisories"),
        ('context.platform == "Milan"', {"platform": ""}, "platform"),
    ],
)  # fmt: skip
def test_what_evidence_does_not_say_meets_no_condition(
    condition: str, without: dict[str, Any], check: str
) -> None:
    decide(policy(permit(condition)), facts())
    given = facts(evidence=replace(EVIDENCE, **without))
    assert refusal(permit(condition), given).check == check


@pytest.mark.parametrize(
    ("condition", "without", "check"),
    [
        ("context.attempt <= 1000000", {"attempt": None}, "attempt"),
        ("context.earlier_uses < 5", {"earlier_uses": None}, "uses"),
        ("context.earlier_uses < 5", {"earlier_uses": {"others": 0}}, "uses"),
        ("context.epsilon_micro_left >= 0", {"epsilon_micro_left": None}, "budget"),
        ("context.epsilon_micro_left >= 0", {"epsilon_micro_left": {}}, "budget"),
        ('principal in ManaTEE::Organisation::"university"', {"organisation": None},
         "organisation"),
        ('principal has organisation && principal.organisation == "university"',
         {"organisation": None}, "organisation"),
    ],
)  # fmt: skip
def test_what_nobody_counted_or_vouched_for_meets_no_condition(
    condition: str, without: dict[str, Any], check: str
) -> None:
    decide(policy(permit(condition)), facts())
    assert refusal(permit(condition), facts(**without)).check == check


# --- approvals are counted by trusted code ---

TWO = 'context.approvals["insurer"] >= 1 && context.approvals.clinic >= 1'


def test_each_organisation_counts_its_own_keys_only() -> None:
    both = facts(approvals=(approval(), approval(HEIDI)))
    assert decide(policy(permit(TWO)), both).approvals == {"insurer": 1, "clinic": 1}
    once = replace(both, approvals=iter((approval(), approval(HEIDI))))
    assert decide(policy(permit(TWO)), once).approvals == {"insurer": 1, "clinic": 1}
    for lacking in ((), (approval(),), (approval(), approval()), (approval(HEIDI),)):
        assert refusal(permit(TWO), facts(approvals=lacking)).check == "approvals"


@pytest.mark.parametrize(
    "bad",
    [
        {"job_digest": digest_bytes(b"another job")},
        {"provider": "bank"},
        {"at": NOW - timedelta(days=8)},
        {"key": bytes(32)},
    ],
)
def test_an_approval_that_does_not_hold_counts_nothing(bad: dict[str, Any]) -> None:
    one = permit('context.approvals["insurer"] >= 1')
    decide(policy(one), facts(approvals=iter((approval(),))))
    assert refusal(one, facts(approvals=(approval(**bad),))).check == "approvals"


# --- who hears what ---


def test_a_researcher_hears_the_check_and_the_provider_the_condition_and_its_place() -> None:
    cedar = permit('context.project == "charges" &&\n context.tcb.snp >= 99')
    error = refusal(cedar, facts())
    assert error.check == "tcb"
    assert "99" not in str(error)
    assert error.reasons == (
        "patients: permit policy 1, line 2, column 2: not so: context.tcb.snp >= 99",
    )


def test_the_refusal_is_explained_by_the_permit_that_came_nearest() -> None:
    cedar = permit(
        'context.project == "other" && context.tier_rank >= 4 && context.vmpl > 1'
    ) + permit('context.project == "charges" && context.attempt > 1')
    assert refusal(cedar, facts()).check == "attempt"


def test_an_unless_that_holds_is_named_too() -> None:
    cedar = (
        "permit (principal, action, resource)"
        ' unless { context.gpu || context.platform == "Milan" };'
    )
    error = refusal(cedar, facts())
    assert error.check == "platform"
    assert 'not (context.platform == "Milan")' in error.reasons[0]


def test_a_provider_may_name_the_check_of_a_forbid() -> None:
    forbid = '@check("embargo") forbid (principal, action, resource) when { !context.gpu };'
    assert refusal(EVERYTHING + forbid, facts()).check == "embargo"
    strange = forbid.replace("embargo", "<script>")
    assert refusal(EVERYTHING + strange, facts()).check == "gpu"


def test_tiers_are_words_and_ranks() -> None:
    for rank, tier in enumerate(reversed(Tier), start=1):
        condition = permit(f'context.tier_rank == {rank} && context.tier == "{tier.value}"')
        decide(policy(condition), facts(tier=tier, insecure_settings=(ACCEPT_SIMULATED,)))


def test_the_data_set_is_known_by_name_version_label_and_provider() -> None:
    decide(
        policy(
            permit(
                'resource == ManaTEE::Dataset::"patients" && resource.name == "patients" &&'
                ' resource.label == "synthetic" && resource.provider == "insurer" &&'
                f' resource.version == "{dataset_version(dataset())}"'
            )
        ),
        facts(),
    )
    newer = msgspec.structs.replace(dataset(), schema_digest=digest_bytes(b"newer"))
    pinned = permit(f'resource.version == "{dataset_version(dataset())}"')
    assert refusal(pinned, facts(datasets=(newer,))).check == "dataset"
