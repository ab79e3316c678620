"""Tables of organisations, memberships, projects, and of what they may use."""

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from manatee.store._base import Base


class OrganisationRow(Base):
    """A data provider, a university, an operator: a party that acts as one."""

    __tablename__ = "organisations"
    name: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[str]


class MembershipRow(Base):
    """What a person is in an organisation."""

    __tablename__ = "memberships"
    account: Mapped[str] = mapped_column(ForeignKey("accounts.name"), primary_key=True)
    organisation: Mapped[str] = mapped_column(
        ForeignKey("organisations.name"), primary_key=True, index=True
    )
    role: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[float | None]
    """Seconds since the epoch from which it no longer counts; None: until it is ended."""


class ProjectRow(Base):
    """A clean room. Only `stopped_…` ever change, once."""

    __tablename__ = "projects"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(unique=True)
    digest: Mapped[str]
    project: Mapped[str]
    """Canonical JSON of the `Project`."""
    starts_at: Mapped[float]
    ends_at: Mapped[float]
    proposed_by: Mapped[str] = mapped_column(ForeignKey("organisations.name"))
    proposed_at: Mapped[str]
    stopped_by: Mapped[str | None]
    stopped_at: Mapped[str | None]
    stopped_reason: Mapped[str | None]


class ProjectPartyRow(Base):
    """An organisation in a project, and since when it has agreed."""

    __tablename__ = "project_parties"
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), primary_key=True)
    organisation: Mapped[str] = mapped_column(
        ForeignKey("organisations.name"), primary_key=True, index=True
    )
    approvals_needed: Mapped[int]
    agreed_at: Mapped[str | None]


class ProjectDatasetRow(Base):
    """A data set that a project names; it may be published later."""

    __tablename__ = "project_datasets"
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), primary_key=True)
    dataset: Mapped[str] = mapped_column(primary_key=True, index=True)


class AllowanceRow(Base):
    """What an organisation or a project may use, and what it uses."""

    __tablename__ = "allowances"
    kind: Mapped[str] = mapped_column(primary_key=True)
    """`organisation` or `project`."""
    name: Mapped[str] = mapped_column(primary_key=True)
    max_jobs: Mapped[int | None]
    max_guest_seconds: Mapped[int | None] = mapped_column(BigInteger)
    max_stored_bytes: Mapped[int | None] = mapped_column(BigInteger)
    jobs: Mapped[int]
    guest_seconds: Mapped[int] = mapped_column(BigInteger)
    stored_bytes: Mapped[int] = mapped_column(BigInteger)
