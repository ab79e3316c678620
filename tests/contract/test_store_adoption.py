"""A database of before there were migrations is taken over with all it holds, or not touched."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from manatee.errors import DamagedBlobError, StoreError
from manatee.jobs import JobState
from manatee.records import digest_bytes
from manatee.store import database_revision, migrate_database, open_store
from manatee.store._engines import open_engines
from manatee.store._migrate import newest
from manatee.store._schema import Base
from manatee.testing import ControlPlane
from manatee.testing._control_plane import SEALED

SCHEMA_1 = Path(__file__).with_name("_schema_1.sql")


def as_earlier(folder: Path, version: int) -> None:
    """Turn a store's database into what an earlier release would have left."""
    path = folder / "manatee.db"
    migrate_database(folder, "", "0001")
    path.rename(folder / "today.db")
    with sqlite3.connect(path) as old:
        old.executescript(SCHEMA_1.read_text())
        if version == 2:
            old.execute("ALTER TABLE blobs ADD COLUMN piece_digests BLOB NOT NULL DEFAULT x''")
        old.execute("ATTACH DATABASE ? AS today", (str(folder / "today.db"),))
        tables = [row[0] for row in old.execute("SELECT name FROM main.sqlite_master")]
        for table in tables:
            if table == "schema" or table.startswith(("ix_", "sqlite_", "jobs_by")):
                continue
            columns = ", ".join(row[1] for row in old.execute(f"PRAGMA main.table_info({table})"))
            old.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM today.{table}")
        old.execute("INSERT INTO main.schema VALUES (?)", (version,))
    old.close()
    for left in folder.glob("today.db*"):
        left.unlink()


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path)
    yield made
    made.store.close()


@pytest.mark.parametrize("version", [1, 2])
def test_jobs_in_flight_people_and_blobs_outlive_the_change(
    plane: ControlPlane, version: int
) -> None:
    ended, waiting = plane.submit(submission=1), plane.submit(submission=2)
    plane.approve(ended)
    plane.reconciler().settle()
    assert plane.state(ended) is JobState.RELEASED
    before = plane.store.jobs.page(), plane.store.jobs.events(ended.id)
    plane.store.close()
    home = plane.folder / "store"
    as_earlier(home, version)

    with pytest.raises(StoreError) as refused:
        plane.open()
    assert "manatee admin migrate" in refused.value.hint
    assert database_revision(home, "") == ("earlier", newest())
    assert migrate_database(home, "") == ("earlier", newest())

    plane.store = plane.open()
    pages = [replace(job, keys=()) for job in before[0]]  # a table of theirs came later
    assert (plane.store.jobs.page(), plane.store.jobs.events(ended.id)) == (pages, before[1])
    assert plane.store.blobs.read(digest_bytes(SEALED)) == SEALED
    assert plane.store.accounts.authenticate(plane.tokens["alice"]).name == "alice"
    plane.approve(waiting)
    plane.reconciler("two").settle()
    assert plane.state(waiting) is JobState.RELEASED
    engines = open_engines("", home)
    with engines.reading.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engines.reading.dispose()


def test_a_damaged_blob_is_told_and_the_database_stays_as_it_was(plane: ControlPlane) -> None:
    plane.store.close()
    home = plane.folder / "store"
    as_earlier(home, 1)
    digest = digest_bytes(SEALED).removeprefix("sha256:")
    kept = home / "blobs" / digest[:2] / digest
    kept.chmod(0o644)
    kept.write_bytes(SEALED[::-1])
    with pytest.raises(DamagedBlobError):
        migrate_database(home, "")
    assert database_revision(home, "") == ("earlier", newest())
    kept.write_bytes(SEALED)
    assert migrate_database(home, "") == ("earlier", newest())


@pytest.mark.parametrize("change", ["UPDATE schema SET version = 3", "DROP TABLE reviews"])
def test_what_no_release_left_is_not_adopted(tmp_path: Path, change: str) -> None:
    with sqlite3.connect(tmp_path / "manatee.db") as old:
        old.executescript(SCHEMA_1.read_text())
        old.execute("INSERT INTO schema VALUES (1)")
        old.execute(change)
    old.close()
    with pytest.raises(StoreError, match="not one that an earlier release left"):
        migrate_database(tmp_path, "")
    with pytest.raises(StoreError, match="earlier release"):
        open_store(tmp_path, clock=lambda: pytest.fail("no clock is needed"))
