"""Tokens have names, scopes and a day of last use; passwords, passkeys and identity providers.

Tokens of the release before keep working: each may be used for all that its owner may do.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ALL = "administer approve credentials project publish read review submit"


def upgrade() -> None:
    """Make them."""
    with op.batch_alter_table("tokens") as batch:
        batch.add_column(sa.Column("id", sa.String(), nullable=True))
        batch.add_column(sa.Column("label", sa.String(), nullable=True))
        batch.add_column(sa.Column("scopes", sa.String(), nullable=True))
        batch.add_column(sa.Column("created_at", sa.Double(), nullable=True))
        batch.add_column(sa.Column("last_used_on", sa.String(), nullable=True))
    tokens = sa.table("tokens", *(sa.column(name) for name in ("digest", "id", "label", "scopes")))
    created = sa.table("tokens", sa.column("created_at"))
    op.execute(
        tokens.update().values(
            id=sa.func.substr(tokens.c.digest, 1, 16), label="older", scopes=_ALL
        )
    )
    op.execute(created.update().values(created_at=0.0))
    with op.batch_alter_table("tokens") as batch:
        for name, kind in (
            ("id", sa.String()),
            ("label", sa.String()),
            ("scopes", sa.String()),
            ("created_at", sa.Double()),
        ):
            batch.alter_column(name, existing_type=kind, nullable=False)
        batch.create_unique_constraint("uq_tokens_id", ["id"])
    _make_tables()


def _make_tables() -> None:
    op.create_table(
        "passwords",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("totp_secret", sa.String(), nullable=False),
        sa.Column("last_totp_step", sa.Integer(), nullable=False),
        _of_account("passwords"),
        sa.PrimaryKeyConstraint("account", name="pk_passwords"),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        _of_account("recovery_codes"),
        sa.PrimaryKeyConstraint("account", "digest", name="pk_recovery_codes"),
    )
    op.create_table(
        "invitations",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        _of_account("invitations"),
        sa.PrimaryKeyConstraint("account", name="pk_invitations"),
    )
    op.create_table(
        "passkeys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        _of_account("passkeys"),
        sa.PrimaryKeyConstraint("id", name="pk_passkeys"),
    )
    op.create_table(
        "identity_links",
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        _of_account("identity_links"),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_identity_links"),
    )
    op.create_table(
        "sign_in_flows",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=True),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        _of_account("sign_in_flows"),
        sa.PrimaryKeyConstraint("digest", name="pk_sign_in_flows"),
    )
    op.create_table(
        "sign_in_rates",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("free_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_sign_in_rates"),
    )
    op.create_table(
        "known_addresses",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        _of_account("known_addresses"),
        sa.PrimaryKeyConstraint("digest", name="pk_known_addresses"),
    )
    for table, column in _INDEXES:
        op.create_index(f"ix_{table}_{column}", table, [column])


_INDEXES = (
    ("passkeys", "account"),
    ("identity_links", "account"),
    ("sign_in_flows", "expires_at"),
    ("sign_in_rates", "free_at"),
    ("known_addresses", "account"),
)


def _of_account(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["account"], ["accounts.name"], name=f"fk_{table}_account_accounts"
    )


def downgrade() -> None:
    """Drop them: people need tokens of the operator again, and every token is for everything."""
    for table in (
        "known_addresses",
        "sign_in_rates",
        "sign_in_flows",
        "identity_links",
        "passkeys",
        "invitations",
        "recovery_codes",
        "passwords",
    ):
        op.drop_table(table)
    # a token of fewer scopes must not become one of all
    op.execute(sa.text("DELETE FROM tokens WHERE scopes <> :every").bindparams(every=_ALL))
    with op.batch_alter_table("tokens") as batch:
        batch.drop_constraint("uq_tokens_id", type_="unique")
        for name in ("id", "label", "scopes", "created_at", "last_used_on"):
            batch.drop_column(name)
