"""Tables of the audit trail and of the one process that puts it into the log."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from manatee.store._base import Base


class AuditRow(Base):
    """A decision, written in the transaction that carried it out."""

    __tablename__ = "audit_events"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 1 without gaps: writers take turns."""
    event: Mapped[str]
    """Canonical JSON of the `AuditEvent`: the log's entry."""
    actor: Mapped[str] = mapped_column(index=True)
    person: Mapped[str | None] = mapped_column(index=True)
    organisation: Mapped[str | None] = mapped_column(index=True)
    project: Mapped[str | None]
    job: Mapped[str | None] = mapped_column(index=True)

    __table_args__ = (Index("ix_audit_events_project", "project", "number"),)


class AuditDatasetRow(Base):
    """Which data sets a decision was about."""

    __tablename__ = "audit_datasets"
    dataset: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(ForeignKey("audit_events.number"), primary_key=True)


class SequencerRow(Base):
    """Who writes a log at present."""

    __tablename__ = "sequencers"
    log: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    until: Mapped[float]
