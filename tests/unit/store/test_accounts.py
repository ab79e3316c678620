import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from manatee.errors import AuthenticationError, ConflictError, MalformedError, StoreError
from manatee.store import Store, open_store
from manatee.testing import SettableClock

CLOCK = SettableClock()


@pytest.fixture
def store(tmp_path: Path):
    opened = open_store(tmp_path, clock=CLOCK)
    yield opened
    opened.close()


def test_a_token_names_its_account_until_it_expires(tmp_path: Path) -> None:
    clock = SettableClock()
    store = open_store(tmp_path, clock=clock)
    store.accounts.add("alice", ["researcher"])
    token = store.accounts.issue_token("alice", expires_at=clock() + timedelta(hours=1))
    assert store.accounts.authenticate(token).name == "alice"
    clock.put_forward(3601)
    with pytest.raises(AuthenticationError):
        store.accounts.authenticate(token)
    store.close()


def test_a_token_is_kept_only_as_a_digest(store: Store, tmp_path: Path) -> None:
    store.accounts.add("alice", ["researcher"])
    token = store.accounts.issue_token("alice", expires_at=CLOCK() + timedelta(hours=1))
    for file in tmp_path.glob("manatee.db*"):
        assert token.encode() not in file.read_bytes()


def test_revoked_tokens_are_worthless(store: Store) -> None:
    store.accounts.add("alice", ["researcher"])
    token = store.accounts.issue_token("alice", expires_at=CLOCK() + timedelta(hours=1))
    store.accounts.revoke_tokens("alice")
    with pytest.raises(AuthenticationError):
        store.accounts.authenticate(token)


def test_adding_an_account_again_changes_no_roles(store: Store) -> None:
    store.accounts.add("alice", ["researcher"])
    store.accounts.add("alice", ["researcher"])
    with pytest.raises(ConflictError):
        store.accounts.add("alice", ["operator"])


@pytest.mark.parametrize("roles", [[], ["root"]])
def test_unknown_or_no_roles_are_refused(store: Store, roles: list[str]) -> None:
    with pytest.raises(MalformedError):
        store.accounts.add("alice", roles)


def test_nobody_approves_for_a_provider_without_keys(store: Store) -> None:
    assert store.accounts.approval_keys("hospital") == frozenset()


def test_a_database_of_another_schema_version_is_refused(store: Store, tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "manatee.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreError, match="does not know"):
        open_store(tmp_path, clock=CLOCK)


def test_a_token_counts_where_its_use_cannot_be_noted(tmp_path: Path, store: Store) -> None:
    store.accounts.add("alice", ["researcher"])
    token = store.accounts.issue_token("alice", expires_at=CLOCK() + timedelta(hours=1))
    with sqlite3.connect(tmp_path / "manatee.db") as database:
        database.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON tokens BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    database.close()
    assert store.accounts.authenticate(token).name == "alice"
    assert store.accounts.tokens("alice")[0].last_used_on is None
