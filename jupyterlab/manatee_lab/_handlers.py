"""Requests of the panel: each is passed on to the desk, in a thread, and answered as JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec
from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.iostream import StreamClosedError

from manatee.errors import InputError, MalformedError, ManateeError, meaning
from manatee.records import canonical_json
from manatee_lab._live import LiveRoom, Watcher

ALIVE_SECONDS = 5.0
"""Longest silence of the live stream: a panel that hears nothing for longer reconnects."""

VIEW_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "frame-ancestors 'self'"
)
"""Outputs are untrusted: a page of them can run nothing and ask nobody for anything."""


class DeskHandler(APIHandler):
    """What all requests share: the desk, threads, and errors that say what to do."""

    @property
    def desk(self) -> Any:
        """The desk of this server."""
        return self.settings["manatee_desk"]

    @property
    def live(self) -> LiveRoom:
        """What happens in the room."""
        found: LiveRoom = self.settings["manatee_live"]
        return found

    async def ask(self, call: Callable[[], Any]) -> Any:
        """Call the desk in a thread; its errors become answers."""
        return await asyncio.to_thread(call)

    async def answer(self, call: Callable[[], Any]) -> Any:
        """Answer with what a call of the desk returns."""
        found = await self.ask(call)
        self.finish(canonical_json(found))
        return found

    def show(self, page: bytes) -> None:
        """Send a page of somebody else's making."""
        self.set_header("content-security-policy", VIEW_POLICY)
        self.finish(page, set_content_type="text/html; charset=utf-8")

    def body(self, kind: type[Any]) -> Any:
        """Return the request's body as a record."""
        try:
            return msgspec.json.decode(self.request.body, type=kind)
        except msgspec.MsgspecError as error:
            raise MalformedError("the request is not what the panel sends.") from error

    def path_argument(self) -> str:
        """Return the output's path that a request names."""
        return self.get_query_argument("path", "")

    def write_error(self, status_code: int, **more: Any) -> None:
        """Say what went wrong, without a trace."""
        error = more.get("exc_info", (None, None, None))[1]
        answer = {"message": f"The server answered {status_code}.", "hint": "", "code": "internal"}
        if isinstance(error, ManateeError):
            self.set_status(meaning(error).http_status)
            answer = {"message": error.message, "hint": error.hint, "code": error.code}
        self.finish(json.dumps(answer))

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """Log our refusals as one line; their traces say nothing."""
        if isinstance(error, ManateeError):
            self.log.info("manatee: %s %s: %s", self.request.method, error.code, error.message)
        else:
            super().log_exception(kind, error, trace)


class Info(DeskHandler):
    """Whom this server speaks for."""

    @web.authenticated
    async def get(self) -> None:
        """Answer with the person, the service and what may be asked for."""
        await self.answer(self.desk.info)


class Datasets(DeskHandler):
    """The catalogue."""

    @web.authenticated
    async def get(self) -> None:
        """Answer with all data sets."""
        await self.answer(self.desk.datasets)


class Report(DeskHandler):
    """A provider's report on a twin."""

    @web.authenticated
    async def get(self, name: str) -> None:
        """Answer with the page, which can run nothing."""
        self.show(await self.ask(lambda: self.desk.report(name)))


class Preflight(DeskHandler):
    """What stands in a notebook's way."""

    class Asked(msgspec.Struct):
        """The notebook's path, as JupyterLab knows it."""

        notebook: str

    @web.authenticated
    async def post(self) -> None:
        """Answer with findings."""
        asked = self.body(self.Asked)
        await self.answer(lambda: self.desk.preflight(asked.notebook))


class SubmitAsked(msgspec.Struct):
    """A submission, as the form gives it."""

    notebook: str
    purpose: str
    project: str
    datasets: tuple[str, ...]
    declared_outputs: tuple[str, ...]
    parameters: dict[str, str | int | float | bool | None]
    resource_class: str
    resubmits: str | None = None


class Jobs(DeskHandler):
    """The list of jobs, and new ones."""

    @web.authenticated
    async def get(self) -> None:
        """Answer with one page."""
        text = self.get_query_argument("cursor", "")
        if text and not text.isdecimal():
            raise InputError("the cursor of a page of jobs is a number.")
        cursor = int(text) if text else None
        await self.answer(lambda: self.desk.jobs(cursor))

    @web.authenticated
    async def post(self) -> None:
        """Submit."""
        asked = self.body(SubmitAsked)
        self.live.take(await self.answer(lambda: self.desk.submit(asked)))


class Rehearsal(DeskHandler):
    """A dress rehearsal on the twin, and what came out of it."""

    @web.authenticated
    async def post(self) -> None:
        """Rehearse; answers when it has ended."""
        asked = self.body(SubmitAsked)
        await self.answer(lambda: self.desk.rehearse(asked))

    @web.authenticated
    async def get(self) -> None:
        """Answer with a page of the executed notebook, which can run nothing."""
        self.show(await self.ask(self.desk.rehearsed))


class Job(DeskHandler):
    """One job."""

    @web.authenticated
    async def get(self, job_id: str) -> None:
        """Answer with its present state."""
        await self.answer(lambda: self.desk.job(job_id))


class Events(DeskHandler):
    """What happened to a job so far."""

    @web.authenticated
    async def get(self, job_id: str) -> None:
        """Answer with all events."""
        await self.answer(lambda: self.desk.history(job_id))


class Notebook(DeskHandler):
    """Where a job's notebook lies."""

    @web.authenticated
    async def get(self, job_id: str) -> None:
        """Answer with its path in JupyterLab's folder."""
        await self.answer(lambda: self.desk.notebook(job_id))


class Cancel(DeskHandler):
    """Cancelling."""

    @web.authenticated
    async def post(self, job_id: str) -> None:
        """Cancel the job."""
        self.live.take(await self.answer(lambda: self.desk.cancel(job_id)))


class Outputs(DeskHandler):
    """The list of released files."""

    @web.authenticated
    async def get(self, job_id: str) -> None:
        """Answer with names and sizes; files are decrypted here, never in the browser."""
        await self.answer(lambda: self.desk.outputs(job_id))


class View(DeskHandler):
    """A released file to look at."""

    @web.authenticated
    async def get(self, job_id: str) -> None:
        """Answer with a page that can run nothing and fetch nothing."""
        path = self.path_argument()
        self.show(await self.ask(lambda: self.desk.view(job_id, path)))


class File(DeskHandler):
    """A released file to keep."""

    @web.authenticated
    async def get(self, job_id: str) -> None:
        """Answer with the bytes, to be saved and never shown."""
        path = self.path_argument()
        self.attach(await self.ask(lambda: self.desk.file(job_id, path)), path)

    def attach(self, data: bytes, path: str) -> None:
        """Send bytes as a download."""
        name = quote(path.rsplit("/", 1)[-1])
        self.set_header("content-disposition", f"attachment; filename*=UTF-8''{name}")
        self.set_header("content-security-policy", VIEW_POLICY)
        self.finish(data, set_content_type="application/octet-stream")


class Bundle(File):
    """A job's run bundle."""

    @web.authenticated
    async def get(self, job_id: str) -> None:
        """Answer with the bundle as one zip archive."""
        data = await self.ask(lambda: self.desk.bundle(job_id))
        self.attach(data, f"{job_id}-bundle.zip")


class Attestation(DeskHandler):
    """What the verification of a run says."""

    @web.authenticated
    async def get(self, job_id: str) -> None:
        """Answer with every check, its mark and its reason."""
        await self.answer(lambda: self.desk.attestation(job_id))


class Diff(DeskHandler):
    """Stage one and stage two, side by side."""

    @web.authenticated
    async def get(self, job_id: str) -> None:
        """Answer with cells and whether they differ."""
        await self.answer(lambda: self.desk.diff(job_id))


class Live(DeskHandler):
    """What happens, as it happens: one JSON object a line."""

    watcher: Watcher | None = None

    @web.authenticated
    async def get(self) -> None:
        """Stream until the panel goes or the service does."""
        self.set_header("content-type", "application/x-ndjson")
        self.set_header("cache-control", "no-store")
        self.watcher = Watcher()
        self.watcher.put({"kind": "alive"})
        self.live.watch(self.watcher)
        try:
            while True:
                try:
                    line = await asyncio.wait_for(self.watcher.next(), ALIVE_SECONDS)
                except TimeoutError:
                    line = {"kind": "alive"}
                if line is None:
                    break
                self.write(json.dumps(line) + "\n")
                await self.flush()
        except StreamClosedError:
            pass
        finally:
            self.live.unwatch(self.watcher)

    def on_connection_close(self) -> None:
        """Stop when the panel is closed."""
        if self.watcher is not None:
            self.watcher.put(None)


_JOB = r"jobs/([a-z0-9-]{1,64})"

HANDLERS: tuple[tuple[str, type[DeskHandler]], ...] = (
    (r"info", Info),
    (r"datasets", Datasets),
    (r"datasets/([a-z0-9._-]{1,63})/report", Report),
    (r"preflight", Preflight),
    (r"rehearsal", Rehearsal),
    (r"jobs", Jobs),
    (_JOB, Job),
    (_JOB + r"/events", Events),
    (_JOB + r"/notebook", Notebook),
    (_JOB + r"/cancel", Cancel),
    (_JOB + r"/outputs", Outputs),
    (_JOB + r"/view", View),
    (_JOB + r"/file", File),
    (_JOB + r"/bundle", Bundle),
    (_JOB + r"/attestation", Attestation),
    (_JOB + r"/diff", Diff),
    (r"live", Live),
)
