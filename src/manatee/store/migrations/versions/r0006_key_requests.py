"""Jobs keep which key brokers their guests asked, and what came back.

Jobs of the release before have none kept; whether they asked at all still stands in their row.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add where that is kept."""
    with op.batch_alter_table("jobs") as batch:
        batch.add_column(sa.Column("keys", sa.String(), nullable=True))


def downgrade() -> None:
    """Drop it; the audit log goes on holding it."""
    with op.batch_alter_table("jobs") as batch:
        batch.drop_column("keys")
