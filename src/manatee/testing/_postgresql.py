"""A real PostgreSQL server for tests: in a temporary folder, on a socket of its own."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def postgresql_programs() -> Path | None:
    """Return the folder of the server's programs; None if none is installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    return next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"))), None)


@contextmanager
def postgresql_server(programs: Path) -> Iterator[str]:
    """Run a server as long as the context lasts, never as root; yield its DSN."""
    root = os.getuid() == 0
    user = "postgres" if root else getpass.getuser()
    with tempfile.TemporaryDirectory(prefix="mt-pg-") as folder:
        if root:
            shutil.chown(folder, user)
        data = f"{folder}/data"

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [str(programs / program), "-D", data, *arguments],
                check=True,
                user=user if root else None,
                cwd=folder,
                stdout=subprocess.DEVNULL,
                timeout=120,
            )

        run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        # a time zone far from UTC, so that a careless conversion shows
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c timezone=Asia/Tokyo"
        run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"host={folder} user=postgres dbname=postgres"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")


@contextmanager
def fresh_database(dsn: str) -> Iterator[str]:
    """Make an empty database on a server of `postgresql_server`; yield its URL."""
    import psycopg

    name = f"t{secrets.token_hex(8)}"
    host = dict(part.split("=") for part in dsn.split())["host"]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield f"postgresql://postgres@/{name}?host={host}"
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def server_away(programs: Path, dsn: str) -> Iterator[None]:
    """Kill a server of `postgresql_server` with all its connections; start it after the block."""
    folder = dict(part.split("=") for part in dsn.split())["host"]
    root = os.getuid() == 0

    def run(*arguments: str) -> None:
        subprocess.run(
            [str(programs / "pg_ctl"), "-D", f"{folder}/data", *arguments],
            check=True,
            user="postgres" if root else None,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            timeout=120,
        )

    options = Path(f"{folder}/data/postmaster.opts").read_text().split(" ", 1)[1].strip()
    run("-m", "immediate", "stop")
    try:
        yield
    finally:
        run("-w", "-l", f"{folder}/log", "-o", options.replace('"', "'"), "start")
