"""The audit trail. It begins empty: what was decided before is in no log."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make its tables."""
    op.create_table(
        "audit_events",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=True),
        sa.Column("organisation", sa.String(), nullable=True),
        sa.Column("project", sa.String(), nullable=True),
        sa.Column("job", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_audit_events"),
    )
    for column in ("actor", "person", "organisation", "job"):
        op.create_index(f"ix_audit_events_{column}", "audit_events", [column])
    op.create_index("ix_audit_events_project", "audit_events", ["project", "number"])
    op.create_table(
        "audit_datasets",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["number"], ["audit_events.number"], name="fk_audit_datasets_number_audit_events"
        ),
        sa.PrimaryKeyConstraint("dataset", "number", name="pk_audit_datasets"),
    )
    op.create_table(
        "sequencers",
        sa.Column("log", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("log", name="pk_sequencers"),
    )


def downgrade() -> None:
    """Drop them. The log itself stays where it is, and fits no trail begun anew."""
    op.drop_table("sequencers")
    op.drop_table("audit_datasets")
    op.drop_table("audit_events")
