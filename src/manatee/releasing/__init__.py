"""What an output reviewer does on her own machine, for the command line and the console."""

from manatee.releasing._bundle import fetch_bundle
from manatee.releasing._review import (
    ForReview,
    approve,
    check_outputs,
    open_for_review,
    reject,
    statement_of,
)

__all__ = [
    "ForReview",
    "approve",
    "check_outputs",
    "fetch_bundle",
    "open_for_review",
    "reject",
    "statement_of",
]
