"""What an output reviewer does on her own machine, for the command line and the console."""

from manatee.releasing._bundle import fetch_bundle
from manatee.releasing._review import (
    ForReview,
    approve,
    check_files,
    open_for_review,
    reject,
    statement_of,
)

__all__ = [
    "ForReview",
    "approve",
    "check_files",
    "fetch_bundle",
    "open_for_review",
    "reject",
    "statement_of",
]
