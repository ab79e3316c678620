"""What to do next with a job: decided from what is, without I/O.

`step` is level-triggered: it looks at the job as stored and the guest as observed, never at what
was done before, so it gives the right answer also after a crash between any two lines. UNKNOWN
always means wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from manatee.backends import GuestState
from manatee.jobs import TERMINAL_STATES, JobState
from manatee.records import Cause, KeyRequest, Phase
from manatee.store import Halt

MAX_ATTEMPTS = 3
"""Attempts of one job; only attempts lost before any key was asked for are repeated."""


@dataclass(frozen=True)
class ResultView:
    """What deciding needs of a collected result."""

    succeeded: bool
    checks_passed: bool
    cause: Cause | None = None


@dataclass(frozen=True)
class JobView:
    """What deciding needs of a stored job.

    Attributes:
        planned: A guest name is stored: a guest may exist.
        launched: A handle is stored: a guest did exist.
        keys: The requests for keys that are recorded.
        result: Set once the guest's result is in the store.
        halt: Its project was stopped, or has ended.
    """

    state: JobState
    attempt: int = 1
    planned: bool = False
    launched: bool = False
    key_requested: bool = False
    keys: tuple[KeyRequest, ...] = ()
    result: ResultView | None = None
    halt: Halt | None = None


@dataclass(frozen=True)
class Observed:
    """What was seen just now.

    Attributes:
        guest: None if the job has no guest to look at.
        keys: Which brokers the guest asked for keys, and what came back.
        allowed: The brokers to which its requests may go out.
        approved: Every provider approved this job digest, as often as the project asks.
        released: What output policy and reviews say: True releases, False rejects, None waits.
    """

    guest: GuestState | None = None
    cause: Cause | None = None
    keys: tuple[KeyRequest, ...] = ()
    allowed: frozenset[str] = frozenset()
    phase: Phase | None = None
    approved: bool = False
    released: bool | None = None


@dataclass(frozen=True)
class Wait:
    """Nothing to do until something changes; `quick` if that is seen by asking the backend."""

    quick: bool = True


@dataclass(frozen=True)
class Move:
    """Write another state."""

    after: JobState
    cause: Cause | None = None


@dataclass(frozen=True)
class Do:
    """Carry something out.

    Attributes:
        what: `check` the manifest; `build` the guest's inputs; `intend` a launch by storing the
            guest's name; `launch`; `note_keys` that were asked for or answered;
            `allow_keys` that are noted to be asked for; `collect` the result;
            `cancel` the guest; `clean_up` after it; `retry` with a new attempt.
    """

    what: Literal[
        "check",
        "build",
        "intend",
        "launch",
        "note_keys",
        "allow_keys",
        "collect",
        "cancel",
        "clean_up",
        "retry",
    ]


Action = Wait | Move | Do

_ENDING = TERMINAL_STATES | {JobState.FAILING, JobState.CANCELLING}
_WORKING = (JobState.LAUNCHING, JobState.ATTESTING, JobState.RUNNING, JobState.OUTPUT_CHECK)
_NEXT = dict(zip(_WORKING, (*_WORKING[1:], JobState.AWAITING_RELEASE), strict=True))
_PHASE_STATES: dict[Phase, JobState] = {
    "starting": JobState.ATTESTING,
    "attesting": JobState.ATTESTING,
    "opening": JobState.RUNNING,
    "running": JobState.RUNNING,
    "output_check": JobState.OUTPUT_CHECK,
    "sealing": JobState.OUTPUT_CHECK,
}


def step(job: JobView, observed: Observed) -> Action:
    """Return the one next action."""
    if job.halt is not None and job.state not in _ENDING:
        # what ran in time may still be released after the end, not after a stop
        if job.halt == "stopped" or job.state is not JobState.AWAITING_RELEASE:
            return Move(JobState.CANCELLING, Cause.CANCELLED)
    match job.state:
        case JobState.CREATED:
            return Move(JobState.CHECKING)
        case JobState.CHECKING:
            return Do("check")
        case JobState.AWAITING_APPROVAL:
            return Move(JobState.APPROVED) if observed.approved else Wait(quick=False)
        case JobState.APPROVED:
            return Move(JobState.BUILDING)
        case JobState.BUILDING:
            return Do("build")
        case JobState.BUILT:
            return Do("intend")
        case JobState.LAUNCHING | JobState.ATTESTING | JobState.RUNNING | JobState.OUTPUT_CHECK:
            if job.state is JobState.LAUNCHING and not job.launched:
                return Do("launch")
            return _follow_guest(job, observed)
        case JobState.AWAITING_RELEASE:
            return _release(observed)
        case JobState.FAILING:
            return _end(job, observed, JobState.FAILED)
        case JobState.CANCELLING:
            return _end(job, observed, JobState.CANCELLED)
        case JobState.RELEASED | JobState.REJECTED | JobState.FAILED | JobState.CANCELLED:
            return Wait(quick=False)
        case _:
            assert_never(job.state)


def _follow_guest(job: JobView, observed: Observed) -> Action:
    if observed.guest is None or observed.guest is GuestState.UNKNOWN:
        return Wait()
    if _news_of_keys(job, observed):
        return Do("note_keys")
    waiting = {request.broker_id for request in job.keys if request.answer is None}
    if not observed.guest.ended and waiting - observed.allowed:
        return Do("allow_keys")
    if job.result is not None:
        return _after_result(job, job.result)
    match observed.guest:
        case GuestState.QUEUED:
            return Wait()
        case GuestState.STARTING:
            return Move(JobState.ATTESTING) if job.state is JobState.LAUNCHING else Wait()
        case GuestState.RUNNING:
            reached = _PHASE_STATES[observed.phase or "starting"]
            ahead = _WORKING.index(reached) > _WORKING.index(job.state)
            return Move(_NEXT[job.state]) if ahead else Wait()
        case GuestState.SUCCEEDED:
            return Do("collect")
        case GuestState.FAILED:
            return Move(JobState.FAILING, observed.cause or Cause.BACKEND)
        case GuestState.LOST:
            return _lost(job)
        case _:
            assert_never(observed.guest)


def _news_of_keys(job: JobView, observed: Observed) -> bool:
    """Whether the guest asked a broker, or one answered, and it is not recorded yet."""
    noted = {request.broker_id: request for request in job.keys}
    return any(
        request.broker_id not in noted
        or (request.answer is not None and noted[request.broker_id].answer is None)
        for request in observed.keys
    )


def _after_result(job: JobView, result: ResultView) -> Action:
    if not result.succeeded:
        return Move(JobState.FAILING, result.cause or Cause.INTERNAL)
    if not result.checks_passed:
        return Move(JobState.FAILING, Cause.OUTPUT_POLICY)
    return Move(_NEXT[job.state])


def _lost(job: JobView) -> Action:
    early = job.state in (JobState.LAUNCHING, JobState.ATTESTING) and not job.key_requested
    if early and job.attempt < MAX_ATTEMPTS:
        return Do("retry")
    return Move(JobState.FAILING, Cause.GUEST_LOST)


def _release(observed: Observed) -> Action:
    if observed.guest is GuestState.UNKNOWN or observed.guest is None:
        return Wait()
    if observed.guest is not GuestState.LOST:
        return Do("clean_up")  # its result is in the store already
    if observed.released is None:
        return Wait(quick=False)
    if observed.released:
        return Move(JobState.RELEASED)
    return Move(JobState.REJECTED, Cause.REVIEW)


def _end(job: JobView, observed: Observed, terminal: JobState) -> Action:
    if not job.planned:
        return Move(terminal)
    if _news_of_keys(job, observed) and observed.guest is not GuestState.UNKNOWN:
        return Do("note_keys")  # the guest's folder goes with the guest
    match observed.guest:
        case None | GuestState.UNKNOWN:
            return Wait()
        case GuestState.QUEUED | GuestState.STARTING | GuestState.RUNNING:
            return Do("cancel")
        case GuestState.SUCCEEDED | GuestState.FAILED:
            return Do("clean_up")
        case GuestState.LOST:
            return Move(terminal)
        case _:
            assert_never(observed.guest)
