"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "accounts",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("roles", sa.String(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_accounts"),
    )
    op.create_table(
        "blobs",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("piece_digests", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_blobs"),
    )
    op.create_table(
        "outbox",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_outbox"),
    )
    op.create_table(
        "approval_keys",
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider"], ["accounts.name"], name="fk_approval_keys_provider_accounts"
        ),
        sa.PrimaryKeyConstraint("provider", "public_key", name="pk_approval_keys"),
    )
    op.create_table(
        "datasets",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("twin_version", sa.String(), nullable=False),
        sa.Column("output_policy_digest", sa.String(), nullable=False),
        sa.Column("publication", sa.String(), nullable=False),
        sa.Column("published_at", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider"], ["accounts.name"], name="fk_datasets_provider_accounts"
        ),
        sa.PrimaryKeyConstraint("number", name="pk_datasets"),
        sa.UniqueConstraint("version", name="uq_datasets_version"),
    )
    op.create_index("ix_datasets_name", "datasets", ["name"], unique=False)
    op.create_index("ix_datasets_provider", "datasets", ["provider"], unique=False)
    op.create_index("ix_datasets_twin_version", "datasets", ["twin_version"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("job_digest", sa.String(), nullable=False),
        sa.Column("researcher", sa.String(), nullable=False),
        sa.Column("manifest", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("guest_name", sa.String(), nullable=True),
        sa.Column("handle", sa.String(), nullable=True),
        sa.Column("key_requested", sa.Boolean(), nullable=False),
        sa.Column("phase", sa.String(), nullable=True),
        sa.Column("guest_seq", sa.Integer(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("exit", sa.String(), nullable=True),
        sa.Column("cause", sa.String(), nullable=True),
        sa.Column("reason_code", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("checks_passed", sa.Boolean(), nullable=True),
        sa.Column("result_digest", sa.String(), nullable=True),
        sa.Column("outputs_digest", sa.String(), nullable=True),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.Column("updated_at", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["researcher"], ["accounts.name"], name="fk_jobs_researcher_accounts"
        ),
        sa.PrimaryKeyConstraint("number", name="pk_jobs"),
        sa.UniqueConstraint("id", name="uq_jobs_id"),
        sa.UniqueConstraint("job_digest", name="uq_jobs_job_digest"),
    )
    op.create_index("ix_jobs_researcher", "jobs", ["researcher"], unique=False)
    op.create_index("jobs_by_state", "jobs", ["state", "due_at"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name="fk_tokens_account_accounts"),
        sa.PrimaryKeyConstraint("digest", name="pk_tokens"),
    )
    op.create_index("ix_tokens_account", "tokens", ["account"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name="fk_uploads_account_accounts"),
        sa.ForeignKeyConstraint(["digest"], ["blobs.digest"], name="fk_uploads_digest_blobs"),
        sa.PrimaryKeyConstraint("digest", "account", name="pk_uploads"),
    )
    op.create_table(
        "approvals",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("approval", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_approvals_job_id_jobs"),
        sa.PrimaryKeyConstraint("job_id", "provider", "digest", name="pk_approvals"),
    )
    op.create_table(
        "job_datasets",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_datasets_job_id_jobs"),
        sa.ForeignKeyConstraint(
            ["version"], ["datasets.version"], name="fk_job_datasets_version_datasets"
        ),
        sa.PrimaryKeyConstraint("job_id", "version", name="pk_job_datasets"),
    )
    op.create_index("ix_job_datasets_version", "job_datasets", ["version"], unique=False)
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("job_version", sa.Integer(), nullable=True),
        sa.Column("event", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_events_job_id_jobs"),
        sa.PrimaryKeyConstraint("job_id", "seq", name="pk_job_events"),
        sa.UniqueConstraint("job_id", "job_version", name="uq_job_events_job_id"),
    )
    op.create_table(
        "reviews",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("reviewer", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_reviews_job_id_jobs"),
        sa.PrimaryKeyConstraint("job_id", "provider", name="pk_reviews"),
    )


def downgrade() -> None:
    """Drop them, and all that they hold."""
    op.drop_table("reviews")
    op.drop_table("job_events")
    op.drop_index("ix_job_datasets_version", table_name="job_datasets")
    op.drop_table("job_datasets")
    op.drop_table("approvals")
    op.drop_table("uploads")
    op.drop_index("ix_tokens_account", table_name="tokens")
    op.drop_table("tokens")
    op.drop_index("jobs_by_state", table_name="jobs")
    op.drop_index("ix_jobs_researcher", table_name="jobs")
    op.drop_table("jobs")
    op.drop_index("ix_datasets_twin_version", table_name="datasets")
    op.drop_index("ix_datasets_provider", table_name="datasets")
    op.drop_index("ix_datasets_name", table_name="datasets")
    op.drop_table("datasets")
    op.drop_table("approval_keys")
    op.drop_table("outbox")
    op.drop_table("blobs")
    op.drop_table("accounts")
