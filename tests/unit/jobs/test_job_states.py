"""The life of a job is one table: what it allows, and what it never does."""

from __future__ import annotations

import pytest

from manatee.errors import TransitionError
from manatee.jobs import (
    TERMINAL_STATES,
    TRANSITIONS,
    JobState,
    check_transition,
    transition_diagram,
)

ENDING = TERMINAL_STATES | {JobState.FAILING, JobState.CANCELLING}


def reachable(start: JobState) -> set[JobState]:
    found, waiting = {start}, [start]
    while waiting:
        new = TRANSITIONS[waiting.pop()] - found
        found |= new
        waiting.extend(new)
    return found


def test_the_table_knows_every_state() -> None:
    assert TRANSITIONS.keys() == set(JobState)


def test_exactly_four_states_end_a_job() -> None:
    assert {
        JobState.RELEASED,
        JobState.REJECTED,
        JobState.FAILED,
        JobState.CANCELLED,
    } == TERMINAL_STATES
    assert all(not TRANSITIONS[state] for state in TERMINAL_STATES)


def test_failing_and_cancelling_reach_only_their_own_ends() -> None:
    assert TRANSITIONS[JobState.FAILING] == {JobState.FAILED}
    assert TRANSITIONS[JobState.CANCELLING] == {JobState.CANCELLED}


@pytest.mark.parametrize("state", sorted(set(JobState) - ENDING, key=lambda state: state.value))
def test_a_live_job_can_fail_or_be_cancelled_but_never_without_seeing_the_guest_gone(
    state: JobState,
) -> None:
    assert {JobState.FAILING, JobState.CANCELLING} <= TRANSITIONS[state]
    assert not {JobState.FAILED, JobState.CANCELLED} & TRANSITIONS[state]


def test_every_state_is_reached_and_every_state_can_end() -> None:
    assert reachable(JobState.CREATED) == set(JobState)
    assert all(reachable(state) & TERMINAL_STATES for state in JobState)


def test_no_job_runs_that_was_not_approved() -> None:
    allowed = {state: following - {JobState.APPROVED} for state, following in TRANSITIONS.items()}
    found, waiting = {JobState.CREATED}, [JobState.CREATED]
    while waiting:
        new = allowed[waiting.pop()] - found
        found |= new
        waiting.extend(new)
    assert not found & {JobState.LAUNCHING, JobState.ATTESTING, JobState.RUNNING}


def test_nothing_is_released_that_was_not_checked() -> None:
    before = {state for state, following in TRANSITIONS.items() if JobState.RELEASED in following}
    assert before == {JobState.AWAITING_RELEASE}
    assert {
        state for state, following in TRANSITIONS.items() if JobState.AWAITING_RELEASE in following
    } == {JobState.OUTPUT_CHECK}


def test_a_run_is_never_repeated_once_it_ran() -> None:
    after = reachable(JobState.RUNNING)
    assert not after & {JobState.BUILT, JobState.LAUNCHING, JobState.ATTESTING}


def test_check_transition_is_the_table() -> None:
    for before in JobState:
        for after in JobState:
            if after in TRANSITIONS[before]:
                check_transition(before, after)
                continue
            with pytest.raises(
                TransitionError, match=f"{before.value} cannot become {after.value}"
            ):
                check_transition(before, after)


def test_the_diagram_draws_each_step_once_and_no_other() -> None:
    lines = transition_diagram().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> created"]
    drawn = sorted(line.strip() for line in lines[2:])
    steps = [f"{b.value} --> {a.value}" for b, following in TRANSITIONS.items() for a in following]
    ends = [f"{state.value} --> [*]" for state in TERMINAL_STATES]
    assert drawn == sorted(steps + ends)
    assert transition_diagram() == transition_diagram()
