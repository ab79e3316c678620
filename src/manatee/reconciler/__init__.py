"""Moves jobs through their states: decide without I/O, carry out idempotently, survive anything."""

from manatee.reconciler._carry_out import AfterStep
from manatee.reconciler._loop import Reconciler
from manatee.reconciler._step import (
    MAX_ATTEMPTS,
    Action,
    Do,
    JobView,
    Move,
    Observed,
    ResultView,
    Wait,
    step,
)

__all__ = [
    "MAX_ATTEMPTS",
    "Action",
    "AfterStep",
    "Do",
    "JobView",
    "Move",
    "Observed",
    "Reconciler",
    "ResultView",
    "Wait",
    "step",
]
