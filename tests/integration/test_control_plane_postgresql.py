"""The control plane on a real PostgreSQL that dies under it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from time import sleep

import psycopg
import pytest
from sqlalchemy import text

from manatee._clock import system_clock
from manatee.errors import StoreError
from manatee.jobs import JobState
from manatee.store import Job, open_store
from manatee.testing import ControlPlane
from manatee.testing._postgresql import (
    fresh_database,
    postgresql_programs,
    postgresql_server,
    server_away,
)

PROGRAMS = postgresql_programs()
pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="no PostgreSQL server here")


def test_a_server_that_dies_under_a_running_service_costs_nothing_but_time(tmp_path: Path) -> None:
    assert PROGRAMS is not None
    with postgresql_server(PROGRAMS) as dsn, fresh_database(dsn) as url:
        plane = ControlPlane(tmp_path, database_url=url)
        jobs = [plane.submit(submission=number) for number in range(1, 7)]
        with plane.reconciler("one", lease_seconds=2.0):
            for number, job in enumerate(jobs):
                if number % 2 == 0:
                    with server_away(PROGRAMS, dsn):
                        sleep(0.3)
                _approve_patiently(plane, job)
            seen = 0
            while any(not _ended(plane, job) for job in jobs):
                seen = plane.store.changes.wait(seen, 0.5)
        assert {plane.state(job) for job in jobs} == {JobState.RELEASED}
        assert len(plane.place.launches) == len(set(plane.place.launches)) == len(jobs)
        plane.store.close()


def _approve_patiently(plane: ControlPlane, job: Job) -> None:
    """Approve as a client does that tries again when the answer says so."""
    for _ in range(50):
        with contextlib.suppress(StoreError):
            plane.approve(plane.store.jobs.get(job.id))
            return
    raise AssertionError("the server never came back")


def _ended(plane: ControlPlane, job: Job) -> bool:
    with contextlib.suppress(StoreError):
        return plane.store.jobs.get(job.id).terminal
    return False


def test_who_asks_while_the_server_is_away_is_told_to_try_again(tmp_path: Path) -> None:
    assert PROGRAMS is not None
    with postgresql_server(PROGRAMS) as dsn, fresh_database(dsn) as url:
        plane = ControlPlane(tmp_path, database_url=url)
        kept = plane.submit()
        with server_away(PROGRAMS, dsn):
            with pytest.raises(StoreError) as of_write:
                plane.submit(submission=2)
            with pytest.raises(StoreError) as of_read:
                plane.store.jobs.get(kept.id)
        assert of_write.value.retryable
        assert of_read.value.retryable
        assert plane.submit(submission=2).number > kept.number
        assert [job.manifest.submission for job in plane.store.jobs.page()] == [2, 1]
        plane.store.close()


def test_a_transaction_that_the_server_dies_in_leaves_nothing(tmp_path: Path) -> None:
    assert PROGRAMS is not None
    with postgresql_server(PROGRAMS) as dsn, fresh_database(dsn) as url:
        plane = ControlPlane(tmp_path, database_url=url)
        with pytest.raises(StoreError) as caught:
            _die_half_way(plane, dsn)
        assert caught.value.retryable
        assert plane.store.accounts.approval_keys("hospital")
        plane.store.close()


def test_a_restart_that_nobody_noticed_is_no_error(tmp_path: Path) -> None:
    assert PROGRAMS is not None
    with postgresql_server(PROGRAMS) as dsn, fresh_database(dsn) as url:
        plane = ControlPlane(tmp_path, database_url=url)
        with server_away(PROGRAMS, dsn):
            pass
        job = plane.submit()
        assert plane.state(job) is JobState.CREATED
        plane.store.close()


def _die_half_way(plane: ControlPlane, dsn: str) -> None:
    assert PROGRAMS is not None
    with plane.store.database.write() as session:
        session.execute(text("DELETE FROM approval_keys"))
        with server_away(PROGRAMS, dsn):
            pass
        session.execute(text("DELETE FROM tokens"))


def test_the_service_needs_no_right_to_change_the_schema(tmp_path: Path, postgresql: str) -> None:
    with fresh_database(postgresql) as url:
        open_store(tmp_path / "owner", clock=system_clock, database_url=url).close()
        with psycopg.connect(url, autocommit=True) as connection:
            for grant in GRANTS:
                connection.execute(grant)
        served = url.replace("//postgres@", "//manatee_service@")
        plane = ControlPlane(tmp_path, database_url=served)
        job = plane.submit()
        plane.approve(job)
        plane.reconciler().settle()
        assert plane.state(job) is JobState.RELEASED
        with pytest.raises(StoreError), plane.store.database.write() as session:
            session.execute(text("DROP TABLE reviews"))
        plane.store.close()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP OWNED BY manatee_service; DROP ROLE manatee_service")


GRANTS = (
    "CREATE ROLE manatee_service LOGIN",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO manatee_service",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO manatee_service",
)
"""As in docs/how-to/run-on-postgresql.md."""
