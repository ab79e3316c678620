"""One follower per job and one looker, however many panels watch; none when nobody does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("jupyter_server", reason="JupyterLab is not installed")

from manatee_lab._live import LiveRoom, Watcher

from manatee.errors import ServiceUnreachableError
from manatee.records import JobAnswer, JobEvent, JobManifest, JobPage

DIGEST = "sha256:" + "0" * 64


def job(number: int, state: str = "running", version: int = 1) -> JobAnswer:
    return JobAnswer(
        id=f"job-{number:016x}",
        job_digest=DIGEST,
        manifest=JobManifest(
            stage="secure",
            project="p",
            researcher="r",
            purpose="x",
            runtime_digest=DIGEST,
            workspace_digest=DIGEST,
            entry_notebook="n.ipynb",
            datasets=(),
            output_policy_digest=DIGEST,
            output_recipients=("age1",),
            resource_class="small",
            backend_kind="sandbox",
        ),
        providers=("i",),
        state=state,
        version=version,
        attempt=1,
        created_at="2026-01-01T00:00:00Z",
        updated_at="2026-01-01T00:00:00Z",
    )


class Room:
    """A service with jobs that a test changes."""

    def __init__(self, *jobs: JobAnswer) -> None:
        self.known = {item.id: item for item in jobs}
        self.away = False
        self.followed: list[str] = []
        self.looks = 0
        self.changed = threading.Condition()

    def jobs(self, _: Any) -> JobPage:
        self.looks += 1
        if self.away:
            raise ServiceUnreachableError("away.")
        return JobPage(jobs=tuple(self.known.values()), next_cursor=None)

    def job(self, job_id: str) -> JobAnswer:
        return self.known[job_id]

    def events(self, job_id: str, *, after: int) -> Iterator[JobEvent]:
        self.followed.append(job_id)
        with self.changed:
            yield self._event(after + 1, self.known[job_id].state)
            while self.known[job_id].state == "running":
                self.changed.wait(5)
        yield self._event(after + 2, self.known[job_id].state)

    def end(self, number: int, state: str) -> None:
        with self.changed:
            self.known[job(number).id] = job(number, state, version=2)
            self.changed.notify_all()

    @staticmethod
    def _event(seq: int, state: str) -> JobEvent:
        return JobEvent(seq=seq, at="2026-01-01T00:00:00Z", kind="state", state=state)


async def until(watcher: Watcher, *wanted: str) -> list[Any]:
    """Read lines until a job came to a state; returns all of them."""
    found = []
    async with asyncio.timeout(10):
        while True:
            line = await watcher.next()
            found.append(line)
            if line is None or (line["kind"] == "job" and line["job"]["state"] in wanted):
                return found


def test_two_panels_share_one_follower_and_see_the_end() -> None:
    room = Room(job(1))
    live = LiveRoom(room, look_seconds=0.01)

    async def story() -> None:
        first = Watcher()
        live.watch(first)
        await until(first, "running")
        second = Watcher()
        live.watch(second)
        await until(second, "running")
        room.end(1, "released")
        for watcher in (first, second):
            assert (await until(watcher, "released"))[-1]["job"]["state"] == "released"

    asyncio.run(story())
    live.close()
    assert room.followed == [job(1).id]


def test_a_panel_that_comes_later_is_told_what_happened_before() -> None:
    room = Room(job(1))
    live = LiveRoom(room, look_seconds=0.01)

    async def story() -> None:
        first = Watcher()
        live.watch(first)
        async with asyncio.timeout(10):
            while (line := await first.next()) is None or line["kind"] != "event":
                pass
        second = Watcher()
        live.watch(second)
        async with asyncio.timeout(10):
            kinds = [(await second.next())["kind"], (await second.next())["kind"]]  # type: ignore[index]
        assert kinds == ["job", "event"]

    asyncio.run(story())
    room.end(1, "failed")
    live.close()


def test_a_service_that_went_away_ends_the_streams_so_that_panels_say_so() -> None:
    room = Room()
    live = LiveRoom(room, look_seconds=0.01)

    async def story() -> None:
        watcher = Watcher()
        live.watch(watcher)
        room.away = True
        assert (await until(watcher))[-1] is None
        room.away = False
        room.known[job(2).id] = job(2, "released")
        again = Watcher()
        live.watch(again)
        assert (await until(again, "released"))[-1]["job"]["id"] == job(2).id

    asyncio.run(story())
    live.close()


def test_nothing_is_asked_while_nobody_watches() -> None:
    room = Room()
    live = LiveRoom(room, look_seconds=0.01)

    async def story() -> None:
        watcher = Watcher()
        live.watch(watcher)
        await asyncio.sleep(0.1)
        live.unwatch(watcher)

    asyncio.run(story())
    assert room.looks > 1
    time.sleep(0.05)
    before = room.looks
    time.sleep(0.1)
    assert room.looks == before


def test_an_older_answer_is_not_passed_on() -> None:
    room = Room(job(1, "released", version=5))
    live = LiveRoom(room, look_seconds=0.01)

    async def story() -> None:
        watcher = Watcher()
        live.watch(watcher)
        await until(watcher, "released")
        live.take(job(1, "running", version=4))
        live.take(job(3, "failed", version=1))
        states = [line["job"]["state"] for line in await until(watcher, "failed")]
        assert states == ["failed"]

    asyncio.run(story())
    live.close()
