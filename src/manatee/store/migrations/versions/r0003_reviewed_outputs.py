"""What a reviewer releases is sealed for the researcher by the reviewer.

Jobs that wait for release were sealed to their researchers by the guests of the release before, and
are released as they are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add where that is kept."""
    with op.batch_alter_table("jobs") as batch:
        batch.add_column(sa.Column("released_digest", sa.String(), nullable=True))
    with op.batch_alter_table("reviews") as batch:
        batch.add_column(sa.Column("outputs_digest", sa.String(), nullable=True))


def downgrade() -> None:
    """Drop it: researchers of reviewed jobs no longer find their outputs."""
    with op.batch_alter_table("reviews") as batch:
        batch.drop_column("outputs_digest")
    with op.batch_alter_table("jobs") as batch:
        batch.drop_column("released_digest")
