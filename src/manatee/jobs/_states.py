"""The job's state machine as one table; the diagram in the docs is generated from it."""

from enum import Enum

from manatee.errors import TransitionError


class JobState(Enum):
    """Where a job stands. FAILING and CANCELLING last until the guest is seen gone."""

    CREATED = "created"
    CHECKING = "checking"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    BUILDING = "building"
    BUILT = "built"
    LAUNCHING = "launching"
    ATTESTING = "attesting"
    RUNNING = "running"
    OUTPUT_CHECK = "output_check"
    AWAITING_RELEASE = "awaiting_release"
    RELEASED = "released"
    REJECTED = "rejected"
    FAILING = "failing"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


_S = JobState

_FORWARD: dict[JobState, frozenset[JobState]] = {
    _S.CREATED: frozenset({_S.CHECKING}),
    _S.CHECKING: frozenset({_S.AWAITING_APPROVAL, _S.REJECTED}),
    _S.AWAITING_APPROVAL: frozenset({_S.APPROVED, _S.REJECTED}),
    _S.APPROVED: frozenset({_S.BUILDING}),
    _S.BUILDING: frozenset({_S.BUILT}),
    _S.BUILT: frozenset({_S.LAUNCHING}),
    # back to BUILT: an attempt that was lost before it asked for any key is repeated
    _S.LAUNCHING: frozenset({_S.ATTESTING, _S.BUILT}),
    _S.ATTESTING: frozenset({_S.RUNNING, _S.BUILT}),
    _S.RUNNING: frozenset({_S.OUTPUT_CHECK}),
    _S.OUTPUT_CHECK: frozenset({_S.AWAITING_RELEASE}),
    _S.AWAITING_RELEASE: frozenset({_S.RELEASED, _S.REJECTED}),
    _S.FAILING: frozenset({_S.FAILED}),
    _S.CANCELLING: frozenset({_S.CANCELLED}),
    _S.RELEASED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
}

TERMINAL_STATES = frozenset(state for state, following in _FORWARD.items() if not following)

_ENDING = TERMINAL_STATES | {_S.FAILING, _S.CANCELLING}

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    state: following if state in _ENDING else following | {_S.FAILING, _S.CANCELLING}
    for state, following in _FORWARD.items()
}
"""Every state to the states that may follow. All live states may start to fail or be cancelled."""


def check_transition(before: JobState, after: JobState) -> None:
    """Check one step against the table.

    Raises:
        TransitionError: The table has no such step.
    """
    if after not in TRANSITIONS[before]:
        raise TransitionError(f"a job that is {before.value} cannot become {after.value}.")


def transition_diagram() -> str:
    """Return the table as a Mermaid state diagram, sorted, for the docs."""
    lines = ["stateDiagram-v2", "    [*] --> created"]
    for before, following in TRANSITIONS.items():
        lines += [
            f"    {before.value} --> {after.value}"
            for after in sorted(following, key=lambda state: state.value)
        ]
        if before in TERMINAL_STATES:
            lines.append(f"    {before.value} --> [*]")
    return "\n".join(lines) + "\n"
