"""How soon and how fast jobs are launched, beside jupyter-scheduler on the same machine.

    python benchmarks/scheduling.py [--jobs 100] [--peer PYTHON]

One process with HTTP API and reconciler, as `manatee serve` runs them, over SQLite and over a
PostgreSQL of its own. Guests do nothing, in memory: what is measured is the control plane.

- submit to launch: 100 jobs are submitted and approved over HTTP as fast as one client can, so they
  queue; from the moment a submission is sent until its guest is launched.
- throughput: jobs from submitted to released, a second.

`--peer` names the Python of a virtual environment with jupyter-scheduler and ipykernel. It is given
as many jobs by as many requests, with an executor that does nothing either (each job is still a
process of its own, which is how it schedules), and, for scale, ten jobs with its own executor and a
notebook of one empty cell.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import msgspec

from manatee.api import create_app, serve_in_thread
from manatee.backends import Plan
from manatee.reconciler import Reconciler
from manatee.records import digest_record
from manatee.testing import ControlPlane, MemoryBackend, MemoryPlace
from manatee.testing._control_plane import RUNTIME
from manatee.testing._postgresql import fresh_database, postgresql_programs, postgresql_server

NOTHING = """
from jupyter_scheduler.executors import ExecutionManager

class DoesNothing(ExecutionManager):
    def execute(self):
        pass

    def validate(self, input_path):
        return True

    def supported_features(cls):
        return {}
"""
EMPTY = {
    "cells": [
        {
            "cell_type": "code",
            "id": "one",
            "metadata": {},
            "source": "",
            "outputs": [],
            "execution_count": None,
        }
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


class _Timed(MemoryBackend):
    """Writes down when each guest was launched first."""

    def __init__(self, place: MemoryPlace) -> None:
        super().__init__(place)
        self.launched: dict[str, float] = {}

    def launch(self, plan: Plan):  # type: ignore[no-untyped-def]  # as in the base class
        self.launched.setdefault(digest_record(plan.inputs.plan.manifest), time.perf_counter())
        return super().launch(plan)


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


def _ours(kind: str, jobs: int) -> tuple[list[float], float]:
    """Return the seconds from submission to launch, sorted, and jobs a second."""
    with tempfile.TemporaryDirectory() as folder, _database(kind) as url:
        plane = ControlPlane(Path(folder), database_url=url)
        backend = _Timed(plane.place)
        settings = replace(plane.settings, max_queued_jobs=10**6)
        app = create_app(plane.store, settings, plane.clock, runtimes=[RUNTIME])
        reconciler = Reconciler(
            store=plane.store,
            backends={backend.kind: backend},
            runtimes={RUNTIME: plane.folder},
            folder=plane.folder / "work",
            clock=plane.clock,
            owner="one",
            max_jobs_in_flight=16,
        )
        sent: dict[str, float] = {}
        with (
            serve_in_thread(app) as base,
            reconciler,
            httpx.Client(base_url=base, trust_env=False, timeout=120) as client,
        ):
            began = time.perf_counter()
            for number in range(jobs):
                manifest = plane.manifest(purpose=f"number {number}")
                digest = digest_record(manifest)
                sent[digest] = time.perf_counter()
                answer = _post(client, plane, "alice", "/v1/jobs", msgspec.json.encode(manifest))
                approval = msgspec.json.encode(plane.approval(digest))
                path = f"/v1/jobs/{answer.json()['id']}/approvals"
                _post(client, plane, "hospital", path, approval)
            while plane.store.jobs.counts().get("released", 0) < jobs:
                time.sleep(0.01)
            rate = jobs / (time.perf_counter() - began)
        plane.store.close()
    return sorted(backend.launched[digest] - at for digest, at in sent.items()), rate


def _post(
    client: httpx.Client, plane: ControlPlane, who: str, path: str, body: bytes
) -> httpx.Response:
    headers = {
        "authorization": f"Bearer {plane.tokens[who]}",
        "content-type": "application/json",
    }
    return client.post(path, content=body, headers=headers).raise_for_status()


def _theirs(python: Path, jobs: int, *, executor: str) -> float:
    """Return jobs a second of jupyter-scheduler."""
    with peer_server(python, json.dumps(EMPTY), executor=executor) as line:
        return _their_rate(line, jobs)


@contextmanager
def peer_server(python: Path, notebook: str, *, executor: str = "") -> Iterator[httpx.Client]:
    """Run a Jupyter server with jupyter-scheduler; gives a client once it answers.

    Args:
        python: Of a virtual environment with jupyter-scheduler and ipykernel.
        notebook: What it will be asked to run, as `notebook.ipynb`.
        executor: Of its jobs; "" for its own.
    """
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        (Path(folder) / "notebook.ipynb").write_text(notebook)
        (Path(folder) / "does_nothing.py").write_text(NOTHING)
        command = [
            *(str(python), "-m", "jupyter", "server", "--allow-root", "--no-browser"),
            *("--IdentityProvider.token=t", f"--ServerApp.port={port}"),
            *(f"--ServerApp.root_dir={folder}", f"--SchedulerApp.db_url=sqlite:///{folder}/s.db"),
        ]
        if executor:
            command.append(f"--BaseScheduler.execution_manager_class={executor}")
        environment = {
            "HOME": folder,
            "PYTHONPATH": folder,
            "PATH": f"{python.parent}:/usr/bin:/bin",
        }
        with (Path(folder) / "log").open("wb") as log:
            server = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=folder
            )
        base = f"http://127.0.0.1:{port}"
        try:
            headers = {"authorization": "token t"}
            with httpx.Client(base_url=base, headers=headers, trust_env=False, timeout=120) as line:
                _wait_for(line)
                yield line
        except (httpx.HTTPError, TimeoutError):
            print((Path(folder) / "log").read_text()[-2000:])
            raise
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(line: httpx.Client) -> None:
    give_up = time.monotonic() + 60
    while True:
        try:
            line.get("/scheduler/jobs").raise_for_status()
            return
        except httpx.HTTPError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)


def _their_rate(line: httpx.Client, jobs: int) -> float:
    began = time.perf_counter()
    body = {
        "input_uri": "notebook.ipynb",
        "name": "empty",
        "runtime_environment_name": "",
        "output_formats": ["ipynb"],
    }
    for _ in range(jobs):
        line.post("/scheduler/jobs", json=body).raise_for_status()
    while time.perf_counter() - began < 900:
        counts = {
            status: line.get("/scheduler/jobs/count", params={"status": status}).json()["count"]
            for status in ("COMPLETED", "FAILED")
        }
        if counts["FAILED"]:
            raise SystemExit(f"jupyter-scheduler: {counts['FAILED']} jobs failed")
        if counts["COMPLETED"] >= jobs:
            return jobs / (time.perf_counter() - began)
        time.sleep(0.05)
    raise TimeoutError("jupyter-scheduler did not end its jobs")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--peer", type=Path, help="Python that has jupyter-scheduler")
    asked = parser.parse_args()
    print("| who | jobs | submit to launch p50, p99 ms | jobs a second |")
    print("|" + " --- |" * 4)
    for kind in ("sqlite", "postgresql"):
        times, rate = _ours(kind, asked.jobs)
        half, most = 1e3 * times[len(times) // 2], 1e3 * times[int(len(times) * 0.99)]
        print(f"| ManaTEE, {kind} | {asked.jobs} | {half:.0f}, {most:.0f} | {rate:.1f} |")
    if asked.peer is not None:
        rate = _theirs(asked.peer, asked.jobs, executor="does_nothing.DoesNothing")
        print(f"| jupyter-scheduler, does nothing | {asked.jobs} | | {rate:.2f} |")
        rate = _theirs(asked.peer, 10, executor="")
        print(f"| jupyter-scheduler, empty notebook | 10 | | {rate:.2f} |")


if __name__ == "__main__":
    main()
