"""What happens in the room, as lines for every open panel.

One thread looks for new jobs while somebody watches, and one per live job follows its events; all
panels share them. Nothing runs while nobody watches.
"""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

from manatee.errors import ManateeError
from manatee.jobs import TERMINAL_STATES, JobState
from manatee.records import JobAnswer, canonical_json

LOOK_SECONDS = 2.0
"""Pause between two looks for jobs submitted elsewhere."""

MAX_FOLLOWED = 16
"""Jobs whose events are followed at one time, newest first; the rest are looked at."""

Line = dict[str, Any]


class Watcher:
    """One open panel: lines for it, in order."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Line | None] = asyncio.Queue()

    def put(self, line: Line | None) -> None:
        """Add a line, from any thread; None ends the stream."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._queue.put_nowait, line)

    async def next(self) -> Line | None:
        """Return the next line, or None at the end of the stream."""
        return await self._queue.get()


class LiveRoom:
    """Hands out what happens to all who watch."""

    def __init__(self, desk: Any, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._desk = desk
        self._look_seconds = look_seconds
        self._lock = threading.Lock()
        self._watchers: set[Watcher] = set()
        self._jobs: dict[str, JobAnswer] = {}
        self._events: dict[str, list[Line]] = {}
        self._followed: set[str] = set()
        self._looker: threading.Thread | None = None
        self._nobody = threading.Event()

    def watch(self, watcher: Watcher) -> None:
        """Give a panel everything that is going on now, and whatever comes."""
        with self._lock:
            for job in self._jobs.values():
                if not _ended(job):
                    watcher.put(_job_line(job))
                    for line in self._events.get(job.id, []):
                        watcher.put(line)
            self._watchers.add(watcher)
            self._nobody.clear()
            if self._looker is None:
                self._looker = threading.Thread(target=self._look, name="manatee-look", daemon=True)
                self._looker.start()

    def unwatch(self, watcher: Watcher) -> None:
        """Forget a panel that was closed."""
        with self._lock:
            self._watchers.discard(watcher)
            if not self._watchers:
                self._nobody.set()

    def close(self) -> None:
        """End all streams."""
        with self._lock:
            for watcher in self._watchers:
                watcher.put(None)
            self._watchers.clear()
            self._nobody.set()

    def take(self, job: JobAnswer) -> None:
        """Take in a job somebody here has just submitted or cancelled."""
        self._see(job)

    def _look(self) -> None:
        """Look at the newest jobs again and again, until nobody watches."""
        while True:
            try:
                for job in self._desk.jobs(None).jobs:
                    self._see(job)
            except ManateeError:
                # the service is away: panels must know that what they show is old
                self._break()
            if self._nobody.wait(self._look_seconds):
                with self._lock:
                    if not self._watchers:
                        self._looker = None
                        return

    def _break(self) -> None:
        with self._lock:
            watchers, self._watchers = self._watchers, set()
            self._nobody.set()
        for watcher in watchers:
            watcher.put(None)

    def _see(self, job: JobAnswer) -> None:
        with self._lock:
            known = self._jobs.get(job.id)
            if known is not None and known.version >= job.version:
                changed = False
            else:
                self._jobs[job.id] = job
                changed = True
            job = self._jobs[job.id]
            follow = (
                not _ended(job)
                and job.id not in self._followed
                and len(self._followed) < MAX_FOLLOWED
                and bool(self._watchers)
            )
            if follow:
                self._followed.add(job.id)
            if changed:
                self._tell(_job_line(job))
        if follow:
            threading.Thread(
                target=self._follow, args=(job.id,), name=f"manatee-{job.id}", daemon=True
            ).start()

    def _follow(self, job_id: str) -> None:
        """Pass a job's events on until it ends or nobody watches."""
        try:
            after = len(self._events.get(job_id, []))
            for event in self._desk.events(job_id, after=after):
                line = {
                    "kind": "event",
                    "job_id": job_id,
                    "event": json.loads(canonical_json(event)),
                }
                with self._lock:
                    self._events.setdefault(job_id, []).append(line)
                    self._tell(line)
                if event.kind == "state":
                    self._see(self._desk.job(job_id))
                if self._nobody.is_set():
                    break
            self._see(self._desk.job(job_id))
        except ManateeError:
            pass  # the looker finds the job again when the service is back
        finally:
            with self._lock:
                self._followed.discard(job_id)
                if _ended(self._jobs[job_id]):
                    self._events.pop(job_id, None)

    def _tell(self, line: Line) -> None:
        for watcher in self._watchers:
            watcher.put(line)


def _ended(job: JobAnswer) -> bool:
    return JobState(job.state) in TERMINAL_STATES


def _job_line(job: JobAnswer) -> Line:
    return {"kind": "job", "job": json.loads(canonical_json(job))}
