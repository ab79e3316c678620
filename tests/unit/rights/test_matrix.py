"""The rights matrix: the sentences that must stay true whatever else is changed in it."""

from __future__ import annotations

from typing import get_args

import pytest

from manatee.records import Role
from manatee.rights import MATRIX, Action, Standing, Verdict, decide, rights_page

ROLES: tuple[Role, ...] = get_args(Role)
EVERYTHING = frozenset(Standing)


def may(role: Role, action: Action, *standings: Standing) -> bool:
    return decide([({role}, standings)], action) is Verdict.ALLOWED


def test_every_action_has_a_row_and_somebody_who_may() -> None:
    assert set(MATRIX) == set(Action)
    assert all(any(cells.values()) for cells in MATRIX.values())


def test_nobody_without_a_membership_may_do_anything() -> None:
    for action in Action:
        assert decide([], action) is not Verdict.ALLOWED
        assert decide([(set(), EVERYTHING)], action) is not Verdict.ALLOWED


@pytest.mark.parametrize("role", ["researcher", "data_provider", "output_reviewer"])
def test_strangers_find_nothing(role: Role) -> None:
    for action in Action:
        assert not may(role, action)
        hidden = action.name.startswith("SEE_") or action.name.endswith(("_JOB", "_CODE"))
        if hidden:
            assert decide([({role}, ())], action) is Verdict.HIDDEN


def test_the_operator_sees_states_and_never_code_results_or_outputs() -> None:
    for action in (
        Action.READ_CODE,
        Action.READ_RESULT,
        Action.READ_OUTPUTS,
        Action.APPROVE_JOB,
        Action.REVIEW_OUTPUTS,
        Action.SUBMIT_JOB,
        Action.PUBLISH_DATASET,
        Action.AGREE_PROJECT,
    ):
        assert not may("operator", action, *EVERYTHING)
    assert may("operator", Action.SEE_JOB)


def test_only_the_data_provider_decides_on_its_data() -> None:
    for role in ROLES:
        assert may(role, Action.APPROVE_JOB, Standing.HOME) == (role == "data_provider")
        assert may(role, Action.REVIEW_OUTPUTS, Standing.HOME) == (role == "output_reviewer")
        for action in (Action.APPROVE_JOB, Action.REVIEW_OUTPUTS, Action.PUBLISH_DATASET):
            assert not may(role, action, Standing.SELF, Standing.PARTY)


def test_a_party_with_data_agrees_through_its_data_providers_only() -> None:
    assert may("researcher", Action.AGREE_PROJECT, Standing.PARTY)
    assert not may("researcher", Action.AGREE_PROJECT, Standing.HOME)
    assert may("data_provider", Action.AGREE_PROJECT, Standing.HOME)


def test_auditors_look_and_touch_nothing() -> None:
    for action in Action:
        looks = action.name.startswith(("SEE_", "READ_"))
        if not looks:
            assert not may("auditor", action, *EVERYTHING)


def test_a_role_in_one_organisation_is_none_in_another() -> None:
    """A data provider of a stranger's, who is an auditor of the hospital, approves nothing."""
    held = [({"data_provider"}, ()), ({"auditor"}, {Standing.HOME})]
    assert decide(held, Action.APPROVE_JOB) is Verdict.REFUSED
    assert decide(held, Action.SEE_JOB) is Verdict.ALLOWED


def test_refused_only_where_the_thing_may_be_seen() -> None:
    assert decide([({"auditor"}, {Standing.PARTY})], Action.CANCEL_JOB) is Verdict.REFUSED
    assert decide([({"researcher"}, {Standing.PARTY})], Action.CANCEL_JOB) is Verdict.HIDDEN
    assert decide([({"researcher"}, ())], Action.ADD_ORGANISATION) is Verdict.REFUSED


def test_the_page_has_a_row_for_every_action_and_a_column_for_every_role() -> None:
    lines = rights_page().splitlines()
    assert len(lines) == len(Action) + 2
    assert lines[0].count("|") == len(ROLES) + 2
    assert "| cancel a job | own | – | – | any | – |" in lines
