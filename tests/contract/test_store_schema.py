"""The schema: made by migrations on either database, and never anything but what the models say."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from manatee.errors import SettingsError, StoreError
from manatee.store import (
    database_revision,
    migrate_database,
    open_store,
    without_password,
)
from manatee.store._engines import open_engines
from manatee.store._migrate import newest, revisions
from manatee.store._schema import Base
from manatee.testing import SettableClock

CLOCK = SettableClock()


def test_migrations_make_what_the_models_say(tmp_path: Path, database_url: str) -> None:
    open_store(tmp_path, clock=CLOCK, database_url=database_url).close()
    engines = open_engines(database_url, tmp_path)
    with engines.reading.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engines.reading.dispose()


def test_every_migration_goes_down_and_up_again(tmp_path: Path, database_url: str) -> None:
    open_store(tmp_path, clock=CLOCK, database_url=database_url).close()
    for revision in ["base", *revisions(), "base", "head"]:
        migrate_database(tmp_path, database_url, revision)
        wanted = {"base": None, "head": newest()}.get(revision, revision)
        assert database_revision(tmp_path, database_url) == (wanted, newest())
    engines = open_engines(database_url, tmp_path)
    with engines.reading.connect() as connection:
        assert set(inspect(connection).get_table_names()) == {
            "alembic_version",
            *Base.metadata.tables,
        }
    engines.reading.dispose()
    store = open_store(tmp_path, clock=CLOCK, database_url=database_url)
    store.accounts.add("alice", ["researcher"])
    store.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, database_url: str) -> None:
    store = open_store(tmp_path, clock=CLOCK, database_url=database_url)
    store.accounts.add("alice", ["researcher"])
    with store.database.connection() as connection:
        connection.execute(text("DROP TABLE reviews"))
    store.close()
    with pytest.raises(StoreError, match="as it was"):
        migrate_database(tmp_path, database_url, "base")
    assert database_revision(tmp_path, database_url)[0] == newest()
    engines = open_engines(database_url, tmp_path)
    with engines.reading.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM accounts")).scalar_one() == 1
    engines.reading.dispose()


@pytest.mark.parametrize(
    ("revision", "said"), [("9999", "does not know"), (None, "none of a release")]
)
def test_a_database_of_another_release_or_of_somebody_else_is_refused(
    tmp_path: Path, database_url: str, revision: str | None, said: str
) -> None:
    store = open_store(tmp_path, clock=CLOCK, database_url=database_url)
    with store.database.connection() as connection:
        if revision is None:
            connection.execute(text("DELETE FROM alembic_version"))
        else:
            connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))
    store.close()
    with pytest.raises(StoreError, match=said):
        open_store(tmp_path, clock=CLOCK, database_url=database_url)
    with pytest.raises(StoreError, match="no way"):
        migrate_database(tmp_path, database_url, "0001" if revision else "7777")


def test_processes_that_open_an_empty_database_together_make_it_once(
    tmp_path: Path, database_url: str
) -> None:
    with ThreadPoolExecutor(6) as pool:
        stores = list(
            pool.map(
                lambda _: open_store(tmp_path, clock=CLOCK, database_url=database_url), range(6)
            )
        )
    for store in stores:
        store.accounts.add("alice", ["researcher"])
        store.close()


@pytest.mark.parametrize("url", ["mysql://a@b/c", "sqlite:///x.db", "no url", "postgresql"])
def test_other_urls_are_refused_with_an_example(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_store(tmp_path, clock=CLOCK, database_url=url)
    assert "postgresql://" in caught.value.hint


def test_an_unreachable_server_is_told_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://manatee:hunter2@127.0.0.1:9/manatee"
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path, clock=CLOCK, database_url=url)
    assert caught.value.retryable
    assert "hunter2" not in str(caught.value) + caught.value.hint
    assert "hunter2" not in without_password(url)
    assert without_password(url) == "postgresql://manatee:…@127.0.0.1:9/manatee"


def test_a_password_where_programs_would_show_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        open_store(tmp_path, clock=CLOCK, database_url="postgresql://m@h/d?password=hunter2")
    assert "hunter2" not in str(caught.value) + caught.value.hint
