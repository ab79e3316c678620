"""Accounts can be disabled; none is."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add where that is kept."""
    with op.batch_alter_table("accounts") as batch:
        batch.add_column(
            sa.Column("disabled", sa.Boolean(), nullable=False, server_default=sa.false())
        )


def downgrade() -> None:
    """Drop it: whoever was disabled can sign in again."""
    with op.batch_alter_table("accounts") as batch:
        batch.drop_column("disabled")
