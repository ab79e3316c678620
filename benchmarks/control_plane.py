"""Listing and submitting over HTTP, with few and with very many jobs in the table.

    python benchmarks/control_plane.py [--jobs 1000 1000000] [--requests 400]

A real server over SQLite and over a PostgreSQL of its own; one client, one connection. The table is
filled by SQL with ended jobs of one researcher; then jobs are listed (50 a page) and submitted,
with few and with many jobs in turns. What counts is the growth, printed per database.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import httpx
import msgspec
from sqlalchemy import text

from manatee.api import create_app, serve_in_thread
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME
from manatee.testing._postgresql import fresh_database, postgresql_programs, postgresql_server

WARM_UP = 20

_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many) ",
    "postgresql": "WITH n(i) AS (SELECT generate_series(1, :many)) ",
}
_FILL = (
    (
        "INSERT INTO jobs (id, job_digest, researcher, project, organisation, guest_seconds,"
        " manifest, state, version, attempt,"
        " key_requested, guest_seq, events, reason_code, message, due_at, lease_until,"
        " created_at, updated_at)",
        "SELECT 'job-old-' || i, 'sha256:old-' || i, researcher, project, organisation,"
        " guest_seconds, manifest, 'released', version,"
        " attempt, key_requested, guest_seq, events, reason_code, message, due_at, lease_until,"
        " created_at, updated_at FROM jobs CROSS JOIN n WHERE jobs.id = :job",
    ),
    (
        "INSERT INTO job_events (job_id, seq, job_version, event)",
        "SELECT 'job-old-' || i, seq, job_version, event FROM job_events CROSS JOIN n"
        " WHERE job_events.job_id = :job",
    ),
    (
        "INSERT INTO job_datasets (job_id, version)",
        "SELECT 'job-old-' || i, version FROM job_datasets CROSS JOIN n"
        " WHERE job_datasets.job_id = :job",
    ),
)


@contextmanager
def _database(kind: str) -> Iterator[str]:
    if kind == "sqlite":
        yield ""
        return
    programs = postgresql_programs()
    if programs is None:
        raise SystemExit("no PostgreSQL server here: apt-get install postgresql")
    with postgresql_server(programs) as dsn, fresh_database(dsn) as url:
        yield url


def _fill(plane: ControlPlane, kind: str, many: int) -> None:
    job = plane.submit()
    with plane.store.database.connection() as connection:
        for into, select in _FILL:
            if kind == "sqlite":  # where WITH stands before the whole statement
                statement = f"{_NUMBERS[kind]}{into} {select}"
            else:
                statement = f"{into} {_NUMBERS[kind]}{select}"
            connection.execute(text(statement), {"many": many - 1, "job": job.id})
    with plane.store.database.connection() as connection:
        connection.execute(text("ANALYZE"))


def _in_turns(acts: list[Iterator[None]]) -> list[list[float]]:
    """Take one step of each act after the other; return their times, sorted, in seconds.

    In turns, because other work on the machine comes and goes within the minute.
    """
    found: list[list[float]] = [[] for _ in acts]
    while True:
        for times, act in zip(found, acts, strict=True):
            began = perf_counter()
            if next(act, ...) is ...:
                return [sorted(times[WARM_UP:]) for times in found]
            times.append(perf_counter() - began)


def _listing(client: httpx.Client, n: int) -> Iterator[None]:
    for _ in range(n):
        client.get("/v1/jobs").raise_for_status()
        yield


def _submitting(client: httpx.Client, plane: ControlPlane, n: int) -> Iterator[None]:
    for number in range(n):
        manifest = plane.manifest(purpose=f"number {number}")
        client.post("/v1/jobs", content=msgspec.json.encode(manifest)).raise_for_status()
        yield


@contextmanager
def _service(kind: str, many: int) -> Iterator[tuple[ControlPlane, httpx.Client]]:
    with (
        tempfile.TemporaryDirectory(prefix="manatee-benchmark-") as folder,
        _database(kind) as url,
    ):
        plane = ControlPlane(Path(folder), database_url=url)
        _fill(plane, kind, many)
        settings = replace(plane.settings, max_queued_jobs=10**9)
        app = create_app(plane.store, settings, plane.clock, runtimes=[RUNTIME])
        token = {
            "authorization": f"Bearer {plane.tokens['alice']}",
            "content-type": "application/json",
        }
        with (
            serve_in_thread(app) as base,
            httpx.Client(base_url=base, headers=token, trust_env=False, timeout=120) as client,
        ):
            yield plane, client
        plane.store.close()


def _measure(kind: str, sizes: list[int], n: int) -> dict[str, list[list[float]]]:
    """Return the sorted times in seconds of each act, one list for each size."""
    with ExitStack() as stack:
        places = [stack.enter_context(_service(kind, many)) for many in sizes]
        return {
            "list": _in_turns([_listing(client, n) for _plane, client in places]),
            "submit": _in_turns([_submitting(client, plane, n) for plane, client in places]),
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, nargs="+", default=[1_000, 1_000_000])
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    asked = parser.parse_args()
    print("| database | jobs | act | p50 ms | p99 ms | a second |")
    print("|" + " --- |" * 6)
    for kind in asked.databases:
        found = _measure(kind, asked.jobs, asked.requests + WARM_UP)
        for act, runs in found.items():
            halves = [1e3 * times[len(times) // 2] for times in runs]
            mosts = [1e3 * times[int(len(times) * 0.99)] for times in runs]
            for many, half, most in zip(asked.jobs, halves, mosts, strict=True):
                print(f"| {kind} | {many:,} | {act} | {half:.1f} | {most:.1f} | {1e3 / half:.0f} |")
        for act, runs in found.items():
            growth = runs[-1][len(runs[-1]) // 2] / runs[0][len(runs[0]) // 2]
            print(f"{kind}, {act}: {growth:.2f}x from {asked.jobs[0]:,} to {asked.jobs[-1]:,} jobs")


if __name__ == "__main__":
    main()
