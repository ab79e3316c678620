"""Quotas: taken in the transaction of what uses them, so that no race goes over one."""

from __future__ import annotations

from typing import Literal

from sqlalchemy.orm import Session

from manatee.errors import LimitError
from manatee.records import Quota, Usage
from manatee.store._database import require_alone
from manatee.store._schema import AllowanceRow

Kind = Literal["organisation", "project"]


def allowance_of(session: Session, kind: Kind, name: str) -> AllowanceRow:
    """Return the row, locked where the database locks rows; makes it if there is none."""
    require_alone(session)
    row = session.get(AllowanceRow, (kind, name), with_for_update=True)
    if row is None:
        row = AllowanceRow(kind=kind, name=name, jobs=0, guest_seconds=0, stored_bytes=0)
        session.add(row)
        session.flush()
    return row


def take(
    session: Session,
    kind: Kind,
    name: str,
    *,
    jobs: int = 0,
    guest_seconds: int = 0,
    stored_bytes: int = 0,
) -> None:
    """Take from a quota.

    Raises:
        LimitError: Less is left; names which quota. The caller's transaction must not commit.
    """
    row = allowance_of(session, kind, name)
    for what, amount, limit in (
        ("jobs", jobs, row.max_jobs),
        ("guest_seconds", guest_seconds, row.max_guest_seconds),
        ("stored_bytes", stored_bytes, row.max_stored_bytes),
    ):
        used = getattr(row, what) + amount
        if amount and limit is not None:
            _check_left(kind, name, what, used, limit)
        setattr(row, what, used)


def give_back(
    session: Session,
    kind: Kind,
    name: str,
    *,
    jobs: int,
    guest_seconds: int,
    stored_bytes: int = 0,
) -> None:
    """Settle a job that has ended. Never refused, for what it used is used.

    Args:
        session: The transaction.
        kind: Of whom.
        name: Whose.
        jobs: That ended.
        guest_seconds: Used, less those taken; negative where less was used.
        stored_bytes: Of outputs that are kept.
    """
    row = allowance_of(session, kind, name)
    row.jobs = max(0, row.jobs - jobs)
    row.guest_seconds = max(0, row.guest_seconds + guest_seconds)
    row.stored_bytes += stored_bytes


def check(session: Session, kind: Kind, name: str, stored_bytes: int) -> None:
    """Check beforehand that so much could be taken. Only `take` counts.

    Raises:
        LimitError: Less is left.
    """
    row = session.get(AllowanceRow, (kind, name))
    if row is not None and row.max_stored_bytes is not None:
        _check_left(
            kind, name, "stored_bytes", row.stored_bytes + stored_bytes, row.max_stored_bytes
        )


def _check_left(kind: Kind, name: str, what: str, used: int, limit: int) -> None:
    if used > limit:
        raise LimitError(
            f"the {kind} {name!r} may use {limit} {_WORDS[what]}, and this would make {used}.",
            hint=_HINTS[what],
        )


_WORDS = {
    "jobs": "jobs at a time",
    "guest_seconds": "seconds of guest time",
    "stored_bytes": "bytes of storage",
}
_HINTS = {
    "jobs": "Wait until a job has ended, or ask the operator for a higher quota.",
    "guest_seconds": "Ask for a smaller resource class, or the operator for a higher quota.",
    "stored_bytes": "Ask the operator for a higher quota.",
}


def set_quota(session: Session, kind: Kind, name: str, quota: Quota) -> None:
    """Set all limits of an organisation or project; what is in use stays."""
    row = allowance_of(session, kind, name)
    row.max_jobs = quota.jobs
    row.max_guest_seconds = quota.guest_seconds
    row.max_stored_bytes = quota.stored_bytes


def quota_and_usage(session: Session, kind: Kind, name: str) -> tuple[Quota, Usage]:
    """Return limits and what is in use."""
    row = session.get(AllowanceRow, (kind, name))
    if row is None:
        return Quota(), Usage(jobs=0, guest_seconds=0, stored_bytes=0)
    return (
        Quota(
            jobs=row.max_jobs,
            guest_seconds=row.max_guest_seconds,
            stored_bytes=row.max_stored_bytes,
        ),
        Usage(jobs=row.jobs, guest_seconds=row.guest_seconds, stored_bytes=row.stored_bytes),
    )
