"""What the store hands out: frozen, and free of the ORM."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from manatee.jobs import TERMINAL_STATES, JobState
from manatee.records import (
    Cause,
    Digest,
    ExitStatus,
    JobManifest,
    KeyRequest,
    Membership,
    Phase,
    Role,
    Scope,
)


@dataclass(frozen=True)
class Account:
    """A known caller, with the memberships that count now.

    `expires_at` and `scopes` are those of the token that was shown, None and empty without one.
    """

    name: str
    memberships: tuple[Membership, ...]
    expires_at: datetime | None = None
    scopes: frozenset[Scope] = frozenset()

    @property
    def roles(self) -> frozenset[Role]:
        """Return every role in any organisation; what it allows depends on which."""
        return frozenset(item.role for item in self.memberships)

    @property
    def organisations(self) -> dict[str, frozenset[Role]]:
        """Return each organisation with the roles in it."""
        found: dict[str, set[Role]] = {}
        for item in self.memberships:
            found.setdefault(item.organisation, set()).add(item.role)
        return {name: frozenset(roles) for name, roles in found.items()}


@dataclass(frozen=True)
class Blob:
    """A stored blob; `size` in bytes."""

    digest: Digest
    size: int


Halt = Literal["stopped", "ended"]
"""A project that was stopped, or whose time is up."""


@dataclass(frozen=True)
class Job:
    """A job as it stood when it was read. See `JobRow` for the members."""

    number: int
    id: str
    job_digest: Digest
    manifest: JobManifest
    providers: tuple[str, ...]
    """Organisations that provide its data sets, sorted."""
    organisation: str
    """For which the researcher submitted it."""
    halt: Halt | None
    """What became of its project, if that keeps the job from going on."""
    state: JobState
    version: int
    attempt: int
    guest_name: str | None
    handle: str | None
    key_requested: bool
    keys: tuple[KeyRequest, ...]
    """To which brokers, as far as that is known."""
    phase: Phase | None
    guest_seq: int
    exit: ExitStatus | None
    cause: Cause | None
    reason_code: str
    message: str
    checks_passed: bool | None
    result_digest: Digest | None
    outputs_digest: Digest | None
    released_digest: Digest | None
    created_at: str
    updated_at: str

    @property
    def terminal(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in TERMINAL_STATES


@dataclass(frozen=True)
class JobUpdate:
    """What a write changes beside the state; None leaves a member as it is.

    Attributes:
        new_attempt: Start this attempt: forgets guest, handle, phase and progress of the last.
    """

    new_attempt: int | None = None
    guest_name: str | None = None
    handle: str | None = None
    keys: tuple[KeyRequest, ...] | None = None
    exit: ExitStatus | None = None
    cause: Cause | None = None
    reason_code: str | None = None
    message: str | None = None
    checks_passed: bool | None = None
    result_digest: str | None = None
    outputs_digest: str | None = None
    released_digest: str | None = None


@dataclass(frozen=True)
class ReviewDecision:
    """What one provider decided on the outputs, and the outputs as sealed for the researcher."""

    provider: str
    approved: bool
    reason: str
    outputs_digest: Digest | None
