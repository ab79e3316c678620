"""Run by Alembic: applies migrations on the connection it was handed, in that transaction."""

from alembic import context

from manatee.store._schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter most of a table in place
    transactional_ddl=True,  # whoever handed the connection over commits, or nothing happened
    compare_type=True,
)
context.run_migrations()
