"""From `application/problem+json` back to the error that made it."""

from __future__ import annotations

from manatee.errors import KeyDeniedError, ManateeError, ServiceUnreachableError, all_errors
from manatee.records import Problem, read_record

_BY_CODE = {kind.code: kind for kind in reversed(all_errors())}
"""Reversed, so that of two classes with one code the more general wins."""


def error_of(status: int, body: bytes) -> ManateeError:
    """Return the error a response stands for; of the same class as on the server."""
    try:
        problem = read_record(body, Problem, what="answer")
    except ManateeError:
        return ServiceUnreachableError(
            f"the answer (status {status}) is not ManaTEE's.",
            hint="Check MANATEE_URL; a proxy may be in between.",
        )
    kind = _BY_CODE.get(problem.code, ManateeError)
    if issubclass(kind, KeyDeniedError):
        text = problem.detail.removeprefix(f"[{problem.check}] ")
        return kind(problem.check or "", text, hint=problem.hint)
    return kind(problem.detail, hint=problem.hint)
