"""The tables. Nothing here leaves the package: callers get frozen records."""

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from manatee.store._audit_schema import AuditDatasetRow, AuditRow, SequencerRow
from manatee.store._base import Base
from manatee.store._credentials_schema import (
    FlowRow,
    InvitationRow,
    KnownAddressRow,
    LinkRow,
    PasskeyRow,
    PasswordRow,
    RateRow,
    RecoveryCodeRow,
)
from manatee.store._organisation_schema import (
    AllowanceRow,
    MembershipRow,
    OrganisationRow,
    ProjectDatasetRow,
    ProjectPartyRow,
    ProjectRow,
)

__all__ = [
    "AccountRow",
    "AllowanceRow",
    "ApprovalKeyRow",
    "ApprovalRow",
    "AuditDatasetRow",
    "AuditRow",
    "Base",
    "BlobRow",
    "DatasetRow",
    "FlowRow",
    "InvitationRow",
    "JobDatasetRow",
    "JobEventRow",
    "JobRow",
    "KnownAddressRow",
    "LinkRow",
    "MembershipRow",
    "OrganisationRow",
    "OutboxRow",
    "PasskeyRow",
    "PasswordRow",
    "ProjectDatasetRow",
    "ProjectPartyRow",
    "ProjectRow",
    "RateRow",
    "RecoveryCodeRow",
    "ReviewRow",
    "SequencerRow",
    "TokenRow",
    "UploadRow",
]


class AccountRow(Base):
    """A person, or a program that acts as one."""

    __tablename__ = "accounts"
    name: Mapped[str] = mapped_column(primary_key=True)
    organisation: Mapped[str] = mapped_column(ForeignKey("organisations.name"))
    """Whose quota the person's uploads use; rights come from memberships alone."""
    created_at: Mapped[str]
    disabled: Mapped[bool] = mapped_column(default=False, server_default=false())


class TokenRow(Base):
    """An API token, by its SHA-256; the token itself is nowhere."""

    __tablename__ = "tokens"
    digest: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    """Names it to people; worthless as a token."""
    account: Mapped[str] = mapped_column(ForeignKey("accounts.name"), index=True)
    expires_at: Mapped[float]
    label: Mapped[str]
    scopes: Mapped[str]
    """Sorted, separated by spaces."""
    created_at: Mapped[float]
    last_used_on: Mapped[str | None]
    """A day."""


class ApprovalKeyRow(Base):
    """A public key whose approvals count for a provider here (its key broker has its own list)."""

    __tablename__ = "approval_keys"
    provider: Mapped[str] = mapped_column(ForeignKey("organisations.name"), primary_key=True)
    public_key: Mapped[str] = mapped_column(primary_key=True)


class BlobRow(Base):
    """A blob that is wholly in the object store."""

    __tablename__ = "blobs"
    digest: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    piece_digests: Mapped[bytes] = mapped_column(deferred=True)
    """SHA-256 of each mebibyte of it, one after the other: ranges are checked with them."""
    created_at: Mapped[str]


class UploadRow(Base):
    """Who has shown to hold a blob's bytes by uploading all of them."""

    __tablename__ = "uploads"
    digest: Mapped[str] = mapped_column(ForeignKey("blobs.digest"), primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.name"), primary_key=True)


class DatasetRow(Base):
    """One published version of a data set."""

    __tablename__ = "datasets"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(index=True)
    provider: Mapped[str] = mapped_column(ForeignKey("organisations.name"), index=True)
    version: Mapped[str] = mapped_column(unique=True)
    twin_version: Mapped[str] = mapped_column(index=True)
    output_policy_digest: Mapped[str]
    publication: Mapped[str]
    """Canonical JSON of the `DatasetPublication`."""
    published_at: Mapped[str]


class JobRow(Base):
    """A job as it stands; its history is in `job_events`."""

    __tablename__ = "jobs"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    job_digest: Mapped[str] = mapped_column(unique=True)
    researcher: Mapped[str] = mapped_column(ForeignKey("accounts.name"), index=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), index=True)
    organisation: Mapped[str] = mapped_column(ForeignKey("organisations.name"), index=True)
    """For which the researcher submitted it; its quota is used."""
    guest_seconds: Mapped[int] = mapped_column(BigInteger)
    """Taken from quotas: what it may take at most, and once it has ended what it took."""
    started_at: Mapped[float | None]
    """When its first guest was to be launched, seconds since the epoch."""
    manifest: Mapped[str]
    state: Mapped[str]
    version: Mapped[int]
    """Raised by every write; a writer names the version it read."""
    attempt: Mapped[int]
    guest_name: Mapped[str | None]
    """Written before the guest is launched."""
    handle: Mapped[str | None]
    """Written after the guest was launched."""
    key_requested: Mapped[bool]
    keys: Mapped[str | None]
    """The guest's requests to key brokers, as `KeyRequests`; None while there are none."""
    phase: Mapped[str | None]
    guest_seq: Mapped[int]
    """`seq` of the guest's last event seen; -1 before the first."""
    events: Mapped[int]
    """How many events the job has."""
    exit: Mapped[str | None]
    cause: Mapped[str | None]
    reason_code: Mapped[str]
    message: Mapped[str]
    checks_passed: Mapped[bool | None]
    result_digest: Mapped[str | None]
    outputs_digest: Mapped[str | None]
    released_digest: Mapped[str | None]
    """What a reviewer sealed for the researcher; None where the guest did that."""
    due_at: Mapped[float]
    """Seconds since the epoch before which no reconciler need look."""
    lease_owner: Mapped[str | None]
    lease_until: Mapped[float]
    created_at: Mapped[str]
    updated_at: Mapped[str]

    __table_args__ = (Index("jobs_by_state", "state", "due_at"),)


class JobDatasetRow(Base):
    """Which data set versions a job uses; the foreign key makes unknown ones impossible."""

    __tablename__ = "job_datasets"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    version: Mapped[str] = mapped_column(
        ForeignKey("datasets.version"), primary_key=True, index=True
    )


class JobEventRow(Base):
    """One thing that happened to a job, numbered without gaps."""

    __tablename__ = "job_events"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    job_version: Mapped[int | None]
    """The version a change of state made; None for progress."""
    event: Mapped[str]
    """Canonical JSON of the `JobEvent`."""

    __table_args__ = (UniqueConstraint("job_id", "job_version"),)


class OutboxRow(Base):
    """A change of state nobody downstream has taken up yet: a pointer to its event."""

    __tablename__ = "outbox"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str]
    seq: Mapped[int]


class ApprovalRow(Base):
    """A signed approval, once per job and key."""

    __tablename__ = "approvals"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    approval: Mapped[str]


class ReviewRow(Base):
    """A provider's one decision on the outputs of a job."""

    __tablename__ = "reviews"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    decision: Mapped[str]
    reason: Mapped[str]
    outputs_digest: Mapped[str | None]
    """The outputs as the reviewer sealed them for the researcher."""
    reviewer: Mapped[str]
    at: Mapped[str]
