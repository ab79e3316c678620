"""Databases of the control plane: tests that name `database_url` run on each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from manatee.testing._postgresql import fresh_database, postgresql_programs, postgresql_server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A server of our own, as a DSN."""
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    with postgresql_server(programs) as dsn:
        yield dsn


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database of each kind; "" stands for SQLite in the store's folder."""
    if request.param == "sqlite":
        yield ""
        return
    with fresh_database(request.getfixturevalue("postgresql")) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database_url(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Make empty databases of each kind, for tests that need several."""
    if request.param == "sqlite":
        yield lambda: ""
        return
    dsn = request.getfixturevalue("postgresql")
    with ExitStack() as made:
        yield lambda: made.enter_context(fresh_database(dsn))
