"""The release policy: every condition refused alone, under its own name; empty allows nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from manatee.errors import KeyDeniedError, MalformedError
from manatee.policy import (
    ACCEPT_SIMULATED,
    REAL_BELOW_HARDWARE,
    ReleaseFacts,
    ReleasePolicy,
    decide_release,
)
from manatee.records import Tier, canonical_json, digest_bytes, read_record
from manatee.testing import Installation

OTHER = digest_bytes(b"other")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("place"))


def facts(place: Installation, **members: Any) -> ReleaseFacts:
    plain = ReleaseFacts(
        manifest=place.manifest,
        job_digest=place.job_digest,
        datasets=(place.dataset,),
        approvals=(place.approval(),),
        tier=Tier.HARDWARE,
        at=place.clock(),
        insecure_settings=(),
    )
    return replace(plain, **members)


def refusal(policy: ReleasePolicy, given: ReleaseFacts) -> str:
    with pytest.raises(KeyDeniedError) as caught:
        decide_release(policy, given)
    return caught.value.check


def test_a_job_that_meets_every_condition_is_allowed(place: Installation) -> None:
    decide_release(place.policy(minimum_tier=Tier.HARDWARE), facts(place))


def test_hardware_is_the_minimum_unless_the_provider_says_otherwise(place: Installation) -> None:
    plain = msgspec.to_builtins(place.policy())
    del plain["minimum_tier"]
    assert msgspec.convert(plain, ReleasePolicy).minimum_tier is Tier.HARDWARE


@pytest.mark.parametrize("minimum", list(Tier))
@pytest.mark.parametrize("tier", list(Tier))
def test_a_tier_below_the_minimum_is_refused(
    place: Installation, tier: Tier, minimum: Tier
) -> None:
    policy = place.policy(minimum_tier=minimum)
    given = facts(place, tier=tier, insecure_settings=(ACCEPT_SIMULATED,))
    if tier.meets(minimum):
        decide_release(policy, given)
    else:
        assert refusal(policy, given) == "tier"


def test_simulated_evidence_needs_the_insecure_setting_whatever_the_policy(
    place: Installation,
) -> None:
    given = facts(place, tier=Tier.SIMULATED, insecure_settings=(REAL_BELOW_HARDWARE,))
    assert refusal(place.policy(), given) == "tier"


@pytest.mark.parametrize("tier", [Tier.HARDWARE_VTPM, Tier.SOFTWARE_TPM, Tier.SIMULATED])
def test_real_data_never_leaves_below_hardware_without_the_setting(
    place: Installation, tier: Tier
) -> None:
    real = place.make_dataset("patients", label="real")
    given = facts(
        place, tier=tier, datasets=(place.dataset, real), insecure_settings=(ACCEPT_SIMULATED,)
    )
    assert refusal(place.policy(), given) == "label"
    both = (ACCEPT_SIMULATED, REAL_BELOW_HARDWARE)
    decide_release(place.policy(), replace(given, insecure_settings=both))


def test_real_data_is_released_to_hardware(place: Installation) -> None:
    real = place.make_dataset("patients", label="real")
    decide_release(place.policy(), facts(place, datasets=(real,)))


@pytest.mark.parametrize("days", [-2, 31])
def test_a_policy_out_of_force_releases_nothing(place: Installation, days: int) -> None:
    at = place.clock() + timedelta(days=days)
    assert refusal(place.policy(), facts(place, at=at)) == "dates"


def test_a_policy_with_an_impossible_date_releases_nothing(place: Installation) -> None:
    policy = place.policy(valid_until="2026-02-31T00:00:00Z")
    assert refusal(policy, facts(place)) == "dates"


def test_another_providers_data_is_refused(place: Installation) -> None:
    foreign = msgspec.structs.replace(place.dataset, provider="bank")
    given = facts(place, datasets=(place.dataset, foreign))
    assert refusal(place.policy(), given) == "provider"


def test_a_request_for_nothing_is_refused(place: Installation) -> None:
    assert refusal(place.policy(), facts(place, datasets=())) == "datasets"


LISTS = [
    ("projects", "project", "other"),
    ("researchers", "researcher", "eve"),
    ("runtime_digests", "runtime", OTHER),
    ("output_policy_digests", "output-policy", OTHER),
]


@pytest.mark.parametrize(("member", "check", "other"), LISTS)
def test_what_a_list_does_not_name_is_refused(
    place: Installation, member: str, check: str, other: str
) -> None:
    assert refusal(place.policy(**{member: (other,)}), facts(place)) == check


@pytest.mark.parametrize(
    ("member", "check"),
    [*((member, check) for member, check, _ in LISTS), ("approver_keys", "approvals")],
)
def test_an_empty_list_allows_nothing(place: Installation, member: str, check: str) -> None:
    assert refusal(place.policy(**{member: ()}), facts(place)) == check


def test_a_rehearsal_gets_no_key(place: Installation) -> None:
    rehearsal = msgspec.structs.replace(place.manifest, stage="rehearsal")
    assert refusal(place.policy(), facts(place, manifest=rehearsal)) == "stage"


@pytest.mark.parametrize(
    "approvals",
    [
        lambda place: (),
        lambda place: (place.approval(job_digest=OTHER),),
        lambda place: (place.approval(provider="bank"),),
        lambda place: (place.approval(at=place.clock() - timedelta(days=8)),),
        lambda place: (place.approval(key=bytes(32)),),
    ],
)
def test_without_a_valid_approval_of_this_job_nothing_is_released(
    place: Installation, approvals: Callable[[Installation], Any]
) -> None:
    assert refusal(place.policy(), facts(place, approvals=approvals(place))) == "approvals"


def test_one_approver_cannot_stand_for_two(place: Installation) -> None:
    twice = (place.approval(), place.approval(approver="alan"))
    policy = place.policy(approvals_needed=2)
    assert refusal(policy, facts(place, approvals=twice)) == "approvals"


@pytest.mark.parametrize(
    "change",
    [
        {"approvals_needed": 0},
        {"approvals_needed": -1},
        {"approvals_neded": 1},
        {"format_version": 2},
        {"minimum_tier": "any"},
        {"minimum_tier": None},
        {"projects": "claims"},
        {"runtime_digests": ["*"]},
        {"valid_until": "never"},
    ],
)
def test_a_policy_says_only_what_the_vocabulary_has(
    place: Installation, change: dict[str, Any]
) -> None:
    plain = msgspec.to_builtins(place.policy()) | change
    with pytest.raises(MalformedError):
        read_record(canonical_json(plain), ReleasePolicy, what="policy")
