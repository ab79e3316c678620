"""What the store hands out: frozen, and free of the ORM."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from manatee.jobs import TERMINAL_STATES, JobState
from manatee.records import Cause, Digest, ExitStatus, JobManifest, Phase, Role


@dataclass(frozen=True)
class Account:
    """A known caller. `expires_at` is the token's that was shown, None without one."""

    name: str
    roles: frozenset[Role]
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Blob:
    """A stored blob; `size` in bytes."""

    digest: Digest
    size: int


@dataclass(frozen=True)
class Job:
    """A job as it stood when it was read. See `JobRow` for the members."""

    number: int
    id: str
    job_digest: Digest
    manifest: JobManifest
    providers: tuple[str, ...]
    """Providers of its data sets, sorted."""
    state: JobState
    version: int
    attempt: int
    guest_name: str | None
    handle: str | None
    key_requested: bool
    phase: Phase | None
    guest_seq: int
    exit: ExitStatus | None
    cause: Cause | None
    reason_code: str
    message: str
    checks_passed: bool | None
    result_digest: Digest | None
    outputs_digest: Digest | None
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
    key_requested: bool | None = None
    exit: ExitStatus | None = None
    cause: Cause | None = None
    reason_code: str | None = None
    message: str | None = None
    checks_passed: bool | None = None
    result_digest: str | None = None
    outputs_digest: str | None = None


@dataclass(frozen=True)
class ReviewDecision:
    """What one provider decided on the outputs."""

    provider: str
    approved: bool
    reason: str
