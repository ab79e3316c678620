"""Runs a campaign: starts real processes, submits jobs over HTTP, and lets everything go wrong."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import random
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
from sqlalchemy import func, select

from manatee.reconciler import Reconciler
from manatee.store._schema import JobEventRow
from manatee.testing import ControlPlane
from manatee.testing._postgresql import (
    fresh_database,
    postgresql_programs,
    postgresql_server,
    server_away,
)

from ._place import DOWN, SOCKET, SWEEP_SECONDS, PlaceBackend, PlaceConfig, read_journal, run_place
from ._setting import Setting
from ._verdict import Submitted, judge
from ._workers import (
    RUNTIME,
    WorkerConfig,
    run_api,
    run_broker,
    run_log,
    run_reconciler,
)

CLOCK_SECONDS = 3600
"""By how much a clock jumps at most, either way."""

LOOK_SECONDS = 0.1
"""Pause between two looks at how far it has come."""

CANCELLED_SHARE = 0.1
CLIENTS = 4


@dataclass(frozen=True)
class Asked:
    """What kind of campaign is wanted.

    Attributes:
        pause: Seconds between two troubles, in the mean.
        restarts: Of the database server, spread over the run.
        crash_chance: Of a kill -9 at each point between two effects.
        unanswered_chance: That the status of a guest that lives is UNKNOWN, at each look.
        planted: A bug of `_planted.BUGS`.
        stuck_seconds: It is over, and failed, when so long nothing has happened.
    """

    jobs: int = 500
    seed: int = 1
    database: str = "postgresql"
    bucket: bool = False
    reconcilers: int = 4
    apis: int = 2
    pause: float = 0.5
    restarts: int = 6
    crash_chance: float = 0.004
    unanswered_chance: float = 0.05
    planted: str = ""
    stuck_seconds: float = 60.0


@dataclass
class Report:
    """What was done and what was found."""

    did: Counter[str] = field(default_factory=Counter)
    found: dict[str, list[str]] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    logs: str = ""

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return bool(self.found) and not any(self.found.values())

    def table(self) -> str:
        """Return it as text for people."""
        lines = [f"{'did: ' + what:<58} {times:>6}" for what, times in sorted(self.did.items())]
        lines += [f"{'jobs ' + what:<58} {times:>6}" for what, times in sorted(self.ends.items())]
        lines += [f"{'found: ' + what:<58} {len(of):>6}" for what, of in self.found.items()]
        lines += [f"  {what}: {one}" for what, of in self.found.items() for one in of[:20]]
        lines.append(f"{self.seconds:.0f} s: {'all promises kept' if self.good else 'FAILED'}")
        return "\n".join(lines)


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def campaign(asked: Asked, say: Callable[[str], None] = lambda _text: None) -> Report:
    """Run a campaign in a temporary folder."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mt-camp-")))
        database_url, away = "", None
        if asked.database == "postgresql":
            programs = postgresql_programs()
            if programs is None:
                raise SystemExit("no PostgreSQL server here: apt-get install postgresql")
            dsn = stack.enter_context(postgresql_server(programs))
            database_url = stack.enter_context(fresh_database(dsn))
            away = lambda: server_away(programs, dsn)  # noqa: E731
        bucket = stack.enter_context(_bucket()) if asked.bucket else None
        run = _Run(asked, folder, database_url, away, bucket)
        try:
            return run.run(say)
        finally:
            run.stop()


@dataclass
class _Bucket:
    url: str
    environment: tuple[tuple[str, str], ...]
    front: Any


@contextlib.contextmanager
def _bucket() -> Iterator[_Bucket]:
    import os

    from tests.contract._s3 import BUCKET, FaultyFront, S3Server

    with S3Server.started() as server, FaultyFront.before(server.url) as front:
        environment = {
            "AWS_ENDPOINT": front.url,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "y",
            "AWS_REGION": "us-east-1",
        }
        os.environ.update(environment)
        yield _Bucket(f"s3+http://{BUCKET}/campaign", tuple(environment.items()), front)


class _Run:
    def __init__(
        self,
        asked: Asked,
        folder: Path,
        database_url: str,
        away: Callable[[], Any] | None,
        bucket: _Bucket | None,
    ) -> None:
        self.asked, self.folder, self.away, self.bucket = asked, folder, away, bucket
        self.chance = random.Random(asked.seed)
        self.report = Report()
        self.processes: dict[str, Any] = {}
        self.generation: Counter[str] = Counter()
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["tests.campaign._workers", "tests.campaign._place"])
        self.setting = Setting(folder, database_url, bucket.url if bucket else "")
        self.fixed: list[Any] = []
        broker_url = self._start_broker()
        self.fixed.append(self._start(run_place, PlaceConfig(folder, broker_url)))
        self.ports = [free_port() for _ in range(asked.apis)]
        self.workers = {
            name: WorkerConfig(
                name=name,
                folder=folder,
                database_url=database_url,
                blobs_url=bucket.url if bucket else "",
                clock_file=folder / "clocks" / name,
                seed=str(asked.seed),
                crash_chance=asked.crash_chance if name.startswith("reconciler") else 0.0,
                unanswered_chance=asked.unanswered_chance,
                port=self.ports[int(name.split("-")[1])] if name.startswith("api") else 0,
                planted=asked.planted if name.startswith("reconciler") else "",
                environment=bucket.environment if bucket else (),
            )
            for name in [f"api-{n}" for n in range(asked.apis)]
            + [f"reconciler-{n}" for n in range(asked.reconcilers)]
        }
        self.submitted: dict[int, Submitted] = {}
        self.todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.over = threading.Event()
        self.wrong = ""

    # --- processes --------------------------------------------------------------------------------

    def _start(self, target: Callable[..., None], *arguments: Any) -> Any:
        process = self.context.Process(target=target, args=arguments, daemon=True)
        process.start()
        return process

    def _start_broker(self) -> str:
        """Start the key broker and return its URL once it answers: guests ask it only once."""
        for _ in range(5):  # somebody else may take the port before the broker does
            url = f"http://127.0.0.1:{free_port()}"
            broker = self._start(run_broker, self.folder, int(url.rpartition(":")[2]))
            deadline = time.monotonic() + 60
            while broker.is_alive() and time.monotonic() < deadline:
                with contextlib.suppress(httpx.TransportError):
                    if httpx.get(f"{url}/v1/log/checkpoint", trust_env=False).status_code < 500:
                        self.fixed.append(broker)
                        return url
                time.sleep(0.05)
            broker.kill()
            broker.join()
        raise RuntimeError("the key broker of the campaign did not start")

    def _keep_alive(self) -> None:
        for name, config in self.workers.items():
            process = self.processes.get(name)
            if process is not None and process.is_alive():
                continue
            self.generation[name] += 1
            # another life, another series of chances
            again = replace(config, seed=f"{config.seed}-{self.generation[name]}")
            target = run_api if name.startswith("api") else run_reconciler
            self.processes[name] = self._start(target, again)

    def stop(self) -> None:
        """Kill everything that still runs."""
        self.over.set()
        for process in [*self.processes.values(), *self.fixed]:
            process.kill()
            process.join()
        self.setting.plane.store.close()

    # --- clients ----------------------------------------------------------------------------------

    def _client(self, number: int) -> None:
        chance = random.Random(f"{self.asked.seed}-client-{number}")
        tokens = self.setting.plane.tokens
        with httpx.Client(trust_env=False, timeout=30) as line:
            while not self.over.is_set():
                try:
                    job = self.todo.get(timeout=0.2)
                except queue.Empty:
                    continue
                self._bring(line, tokens, job, chance)

    def _bring(self, line: httpx.Client, tokens: Any, number: int, chance: random.Random) -> None:
        manifest = self.setting.manifest(number)
        digest = self.setting.job_digest(number)
        body = msgspec.json.encode(manifest)
        answer = self._ask(line, tokens["alice"], "/v1/jobs", body, chance)
        if answer is None:
            return
        if answer.status_code == 201:
            job_id = answer.json()["id"]
        else:  # it was taken in before, but the answer was lost: the job is found under its digest
            job_id = answer.json()["detail"].split(" as ")[1].rstrip(".")
        cancelled = chance.random() < CANCELLED_SHARE
        self.submitted[number] = Submitted(job_id, digest, cancelled)
        approval = msgspec.json.encode(self.setting.plane.approval(digest))
        self._ask(line, tokens["hospital"], f"/v1/jobs/{job_id}/approvals", approval, chance)
        if cancelled:
            time.sleep(chance.random())
            self._ask(line, tokens["alice"], f"/v1/jobs/{job_id}/cancel", b"", chance)

    def _ask(
        self, line: httpx.Client, token: str, path: str, body: bytes, chance: random.Random
    ) -> httpx.Response | None:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        while not self.over.is_set():
            url = f"http://127.0.0.1:{chance.choice(self.ports)}{path}"
            try:
                answer = line.post(url, content=body, headers=headers)
            except httpx.TransportError:
                self.report.did["request cut off and repeated"] += 1
                time.sleep(0.1)
                continue
            if answer.status_code in (200, 201, 409):
                return answer
            self.report.did[f"request answered {answer.status_code} and repeated"] += 1
            time.sleep(0.2)
        return None

    # --- what goes wrong --------------------------------------------------------------------------

    def _kill(self, kind: str) -> None:
        names = [name for name in self.processes if name.startswith(kind)]
        process = self.processes[self.chance.choice(names)]
        if process.is_alive():
            process.kill()
            process.join()
            self.report.did[f"kill -9 of {kind}"] += 1

    def _place_down(self) -> None:
        (self.folder / DOWN).touch()
        time.sleep(self.chance.uniform(0.1, 1.0))
        (self.folder / DOWN).unlink()
        self.report.did["place of guests UNKNOWN for a while"] += 1

    def _restart_database(self) -> None:
        times = self.report.did["database server killed"]
        # spread over the run
        if self.away is None or self._ended() * self.asked.restarts < times * self.asked.jobs:
            return
        with self.away():
            time.sleep(self.chance.uniform(0.1, 1.0))
        self.report.did["database server killed"] += 1

    def _clock_jump(self) -> None:
        """Set one worker's clock wrong, and the one that was wrong right again."""
        if self.wrong:
            self._set_clock(self.wrong, 0)
        self.wrong = self.chance.choice(sorted(self.workers))
        self._set_clock(self.wrong, self.chance.uniform(-CLOCK_SECONDS, CLOCK_SECONDS))
        self.report.did["clock jumped"] += 1

    def _set_clock(self, name: str, seconds: float) -> None:
        path = self.workers[name].clock_file
        path.with_suffix(".new").write_text(str(seconds))
        path.with_suffix(".new").replace(path)

    def _blobs_fail(self) -> None:
        if self.bucket is None:
            return
        fault = self.chance.choice(["500", "503", "drop", "slow", "truncate", "flip"])
        # bytes that are wrong twice in a row are damage, and rightly end a job
        times = 1 if fault in ("flip", "truncate") else self.chance.randint(1, 12)
        self.bucket.front.then(*[fault] * times)
        self.report.did[f"object store: {fault}"] += 1

    def _trouble(self) -> None:
        what = self.chance.choices(
            [
                lambda: self._kill("reconciler"),
                lambda: self._kill("api"),
                self._place_down,
                self._restart_database,
                self._clock_jump,
                self._blobs_fail,
            ],
            weights=[4, 2, 1, 1, 1, 4],
        )[0]
        what()

    # --- the run ----------------------------------------------------------------------------------

    def run(self, say: Callable[[str], None]) -> Report:
        began = time.monotonic()
        while not (self.folder / SOCKET).exists():
            time.sleep(0.02)
        self._keep_alive()
        for number in range(self.asked.jobs):
            self.todo.put(number)
        clients = [
            threading.Thread(target=self._client, args=(n,), daemon=True) for n in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        ended, seen, calm = 0, 0, False
        progress_at = told_at = trouble_at = time.monotonic()
        while time.monotonic() - progress_at < self.asked.stuck_seconds:
            self._keep_alive()
            if not calm and time.monotonic() >= trouble_at:
                self._trouble()
                trouble_at = time.monotonic() + self.chance.uniform(0, 2 * self.asked.pause)
            time.sleep(LOOK_SECONDS)
            ended, now = self._ended(), self._happened()
            if now != seen:
                seen, progress_at = now, time.monotonic()
            if time.monotonic() - told_at > 10:
                told_at = time.monotonic()
                say(f"{told_at - began:.0f} s: {len(self.submitted)} submitted, {ended} ended")
            if ended >= self.asked.jobs:
                break
            if not calm and ended > 0.95 * self.asked.jobs:
                calm = self._calm()
        self._calm()
        self.over.set()
        for client in clients:
            client.join(40)
        self._let_them_sweep()
        self._sweep()
        self._judge()
        self.report.seconds = time.monotonic() - began
        return self.report

    def _calm(self) -> bool:
        """Let clocks be right and crashes end, so that what is left over is a fault of ours."""
        for name in self.workers:
            self._set_clock(name, 0)
            self.workers[name] = replace(self.workers[name], crash_chance=0.0)
        if self.bucket is not None:
            self.bucket.front.left.clear()
        return True

    def _ended(self) -> int:
        states = self.setting.plane.store.jobs.counts()
        return sum(states.get(name, 0) for name in ("released", "rejected", "failed", "cancelled"))

    def _happened(self) -> int:
        with self.setting.plane.store.database.read() as session:
            return session.scalar(select(func.count()).select_from(JobEventRow)) or 0

    def _let_them_sweep(self) -> None:
        place, until = PlaceBackend(self.folder), time.monotonic() + 2 * SWEEP_SECONDS
        while place.list_orphans(frozenset()) and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)

    def _sweep(self) -> None:
        Reconciler(
            store=self.setting.plane.store,
            backends={PlaceBackend.kind: PlaceBackend(self.folder)},
            runtimes={RUNTIME: self.folder},
            folder=self.folder / "work",
            clock=self.setting.plane.clock,
            owner="the last sweep",
            run_log=run_log(self.folder),
        ).sweep()

    def _judge(self) -> None:
        plane: ControlPlane = self.setting.plane
        self.report.found = judge(plane.store, self.folder, self.submitted, self.asked.jobs)
        self.report.ends = Counter(plane.store.jobs.counts())
        self.report.did["kill -9 between two steps"] = sum(
            word == "crash" for word, _ in read_journal(self.folder)
        )
        self.report.did["status of one guest UNKNOWN"] = sum(
            word == "unknown" for word, _ in read_journal(self.folder)
        )
        self.report.did["slept past its lease before a launch"] = sum(
            word == "sleep" for word, _ in read_journal(self.folder)
        )
        self.report.logs = "\n".join(
            path.read_text()[-3000:] for path in sorted((self.folder / "logs").iterdir())
        )
