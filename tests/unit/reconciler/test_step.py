import itertools

import pytest

from manatee.backends import GuestState
from manatee.jobs import TERMINAL_STATES, TRANSITIONS, JobState
from manatee.reconciler import MAX_ATTEMPTS, Do, JobView, Move, Observed, ResultView, Wait, step
from manatee.records import Cause, KeyRequest
from manatee.store import Halt

S, G = JobState, GuestState
ASKED = KeyRequest(broker_id="clinic")
WORKING = [S.LAUNCHING, S.ATTESTING, S.RUNNING, S.OUTPUT_CHECK]
WITH_GUEST = [*WORKING, S.AWAITING_RELEASE, S.FAILING, S.CANCELLING]


def job(state: JobState, **more: object) -> JobView:
    return JobView(state=state, planned=True, launched=True, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", S)
def test_every_move_stands_in_the_table_and_ends_only_without_a_guest(state: JobState) -> None:
    for guest, key, result, approved, released in itertools.product(
        [*G, None],
        [False, True],
        [None, ResultView(True, True), ResultView(False, False)],
        [False, True],
        [None, False, True],
    ):
        keys = (KeyRequest(broker_id="clinic"),) if key else ()
        observed = Observed(guest=guest, keys=keys, approved=approved, released=released)
        action = step(job(state, result=result), observed)
        if isinstance(action, Move):
            assert action.after in TRANSITIONS[state]
            if action.after in TERMINAL_STATES:
                assert guest is G.LOST
        if state in TERMINAL_STATES:
            assert isinstance(action, Wait)


@pytest.mark.parametrize("state", WITH_GUEST)
def test_unknown_always_means_wait(state: JobState) -> None:
    for result in (None, ResultView(True, True)):
        observed = Observed(guest=G.UNKNOWN, released=True, keys=(ASKED,))
        assert step(job(state, result=result), observed) == Wait()


@pytest.mark.parametrize("state", [S.LAUNCHING, S.ATTESTING])
def test_a_guest_lost_before_it_asked_for_a_key_is_retried_and_not_for_ever(
    state: JobState,
) -> None:
    lost = Observed(guest=G.LOST)
    assert step(job(state, attempt=MAX_ATTEMPTS - 1), lost) == Do("retry")
    failed = Move(S.FAILING, Cause.GUEST_LOST)
    assert step(job(state, attempt=MAX_ATTEMPTS), lost) == failed
    assert step(job(state, key_requested=True), lost) == failed


@pytest.mark.parametrize("state", [S.RUNNING, S.OUTPUT_CHECK])
def test_a_guest_lost_later_is_never_retried(state: JobState) -> None:
    assert step(job(state), Observed(guest=G.LOST)) == Move(S.FAILING, Cause.GUEST_LOST)


def test_a_key_request_is_noted_before_anything_else() -> None:
    observed = Observed(guest=G.LOST, keys=(ASKED,))
    assert step(job(S.ATTESTING), observed) == Do("note_keys")


def test_a_key_request_goes_out_once_it_is_noted() -> None:
    asks = Observed(guest=G.RUNNING, keys=(ASKED,))
    assert step(job(S.ATTESTING, keys=(ASKED,), key_requested=True), asks) == Do("allow_keys")
    out = Observed(guest=G.RUNNING, keys=(ASKED,), allowed=frozenset({"clinic"}))
    assert step(job(S.ATTESTING, keys=(ASKED,), key_requested=True), out) == Wait()
    ended = Observed(guest=G.FAILED, keys=(ASKED,))
    assert step(job(S.ATTESTING, keys=(ASKED,), key_requested=True), ended) == Move(
        S.FAILING, Cause.BACKEND
    )


def test_what_a_broker_answered_is_noted_once() -> None:
    answered = KeyRequest(broker_id="clinic", answer="released")
    seen = Observed(guest=G.SUCCEEDED, keys=(answered,))
    assert step(job(S.RUNNING, keys=(ASKED,), key_requested=True), seen) == Do("note_keys")
    assert step(job(S.RUNNING, keys=(answered,), key_requested=True), seen) == Do("collect")


@pytest.mark.parametrize("halt", ["stopped", "ended"])
def test_no_key_request_goes_out_once_the_project_is_halted(halt: Halt) -> None:
    for noted in ((), (ASKED,)):
        view = job(S.ATTESTING, keys=noted, key_requested=bool(noted), halt=halt)
        seen = Observed(guest=G.RUNNING, keys=(ASKED,))
        assert step(view, seen) == Move(S.CANCELLING, Cause.CANCELLED)


@pytest.mark.parametrize("state", [S.FAILING, S.CANCELLING])
def test_what_a_guest_asked_is_noted_before_it_is_removed(state: JobState) -> None:
    for guest in (G.RUNNING, G.FAILED, G.SUCCEEDED):
        assert step(job(state), Observed(guest=guest, keys=(ASKED,))) == Do("note_keys")
        noted = job(state, keys=(ASKED,), key_requested=True)
        assert step(noted, Observed(guest=guest, keys=(ASKED,))) in (Do("cancel"), Do("clean_up"))


def test_a_launch_that_was_not_confirmed_is_made_again() -> None:
    view = JobView(state=S.LAUNCHING, planned=True)
    assert step(view, Observed(guest=G.LOST)) == Do("launch")


@pytest.mark.parametrize("state", WORKING)
def test_a_result_is_collected_before_the_guest_is_cleaned_up(state: JobState) -> None:
    assert step(job(state), Observed(guest=G.SUCCEEDED)) == Do("collect")


def test_failed_checks_never_reach_release() -> None:
    view = job(S.RUNNING, result=ResultView(succeeded=True, checks_passed=False))
    assert step(view, Observed(guest=G.SUCCEEDED)) == Move(S.FAILING, Cause.OUTPUT_POLICY)


def test_release_waits_for_clean_up_and_for_the_decision() -> None:
    assert step(job(S.AWAITING_RELEASE), Observed(guest=G.SUCCEEDED, released=True)) == Do(
        "clean_up"
    )
    assert step(job(S.AWAITING_RELEASE), Observed(guest=G.LOST)) == Wait(quick=False)
    assert step(job(S.AWAITING_RELEASE), Observed(guest=G.LOST, released=True)) == Move(S.RELEASED)


@pytest.mark.parametrize("state", [S.FAILING, S.CANCELLING])
def test_a_live_guest_is_killed_before_the_job_ends(state: JobState) -> None:
    for guest in (G.QUEUED, G.STARTING, G.RUNNING):
        assert step(job(state), Observed(guest=guest)) == Do("cancel")


def test_nothing_is_approved_by_silence() -> None:
    assert step(JobView(S.AWAITING_APPROVAL), Observed()) == Wait(quick=False)
