"""The life of a job: states, and the one table of transitions between them. No I/O."""

from manatee.jobs._states import (
    TERMINAL_STATES,
    TRANSITIONS,
    JobState,
    check_transition,
    transition_diagram,
)

__all__ = [
    "TERMINAL_STATES",
    "TRANSITIONS",
    "JobState",
    "check_transition",
    "transition_diagram",
]
