"""The desk that the panel asks: the project's client and commands' functions, as answers."""

from __future__ import annotations

import dataclasses
import io
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from manatee._clock import monotonic
from manatee.cli._people import Identity, read_identity
from manatee.cli._researcher import Work, describe_exit, rehearse, submit
from manatee.cli._tee import tee_named
from manatee.cli._verify import headline, verify
from manatee.client import ManateeClient
from manatee.errors import ConflictError, InputError, NotFoundError, SettingsError
from manatee.jobs import TERMINAL_STATES, JobState
from manatee.preflight import importable_modules, own_modules, preflight
from manatee.records import (
    RESOURCE_CLASSES,
    JobAnswer,
    JobEvent,
    JobPage,
    Record,
    read_record,
)
from manatee.releasing import fetch_bundle
from manatee.settings import load_settings
from manatee_lab._catalogue import dataset_answer
from manatee_lab._compare import compare
from manatee_lab._pages import media_type, page_of, viewable

PAGE = 50
DEFAULT_CLASS = "small"


class Connection(Record, frozen=True, kw_only=True):
    """To which service, as whom. Lies in a file that only its owner may read."""

    format_version: Literal[1] = 1
    url: str
    token: str
    runtime_digest: str
    projects: tuple[str, ...] = ()
    tee: str = "simulated"
    runtime: str = ""


def open_desk(folder: Path | None, root: Path) -> Desk:
    """Open the desk whose files lie in a folder.

    Args:
        folder: With connection.json, identity.json, trust.json; None: `desk` in ManaTEE's home.
        root: JupyterLab's folder, in which notebooks lie.

    Raises:
        SettingsError: A file is missing, or others may read the token.
    """
    folder = folder or load_settings().home.expanduser() / "desk"
    path = folder / "connection.json"
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsError(
                f"others may read {path}, which holds a token.", hint=f"chmod 600 {path}"
            )
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"this JupyterLab is connected to no clean room: there is no {path}.",
            hint="Start it with `manatee lab`.",
        ) from error
    connection = read_record(data, Connection, what="connection")
    return Desk(connection, read_identity(folder / "identity.json"), folder, root)


class LazyDesk:
    """Opens the desk at its first use, so that JupyterLab starts without one and says why."""

    def __init__(self, make: Callable[[], Desk]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._desk: Desk | None = None

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._desk is None:
                self._desk = self._make()
        return getattr(self._desk, name)


class Desk:
    """One researcher's side of a clean room. Every method may block."""

    def __init__(
        self, connection: Connection, identity: Identity, folder: Path, root: Path
    ) -> None:
        self._connection = connection
        self._identity = identity
        self._folder = folder
        self._root = root.resolve()
        self._client = ManateeClient(connection.url, connection.token)
        self._fetching = threading.Lock()
        self._rehearsing = threading.Lock()
        self._rehearsed = b""

    def info(self) -> dict[str, Any]:
        """Return whom this desk speaks for, and what may be asked for."""
        return {
            "person": self._client.whoami().name,
            "service": self._connection.url,
            "simulated": self._connection.tee == "simulated",
            # the first is what the form proposes
            "resource_classes": sorted(RESOURCE_CLASSES, key=lambda name: name != DEFAULT_CLASS),
            "projects": list(self._connection.projects),
        }

    def datasets(self) -> list[dict[str, Any]]:
        """Return the catalogue."""
        return [dataset_answer(self._client, entry) for entry in self._client.datasets()]

    def report(self, name: str) -> bytes:
        """Return the provider's report on a twin, as HTML.

        Raises:
            NotFoundError: There is none.
        """
        entry = self._client.dataset(name)
        target = self._folder / "reports" / f"{entry.version.removeprefix('sha256:')}.html"
        if not target.is_file():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._client.download_report(entry, target):
                raise NotFoundError("there is no report on this twin.")
        return target.read_bytes()

    # --- notebooks and jobs ---------------------------------------------------------------------

    def _notebook(self, path: str) -> Path:
        found = (self._root / path).resolve()
        if not found.is_relative_to(self._root) or not found.is_file():
            raise InputError(f"there is no notebook {path!r} in this JupyterLab's folder.")
        return found

    def preflight(self, path: str) -> dict[str, Any]:
        """Return what would stop a notebook, found without running it."""
        notebook = self._notebook(path)
        granted = [entry.publication.dataset.name for entry in self._client.datasets()]
        found = preflight(
            notebook.read_bytes(),
            modules=self._modules(),
            own=own_modules(notebook.parent),
            granted=granted,
        )
        return {
            "findings": [dataclasses.asdict(item) for item in found.findings],
            "datasets": [name for name in found.datasets if name in granted],
            "parameters": dict(found.parameters or {}),
            "n_cells": found.n_cells,
        }

    def _modules(self) -> frozenset[str] | None:
        folder = self._connection.runtime
        return importable_modules(Path(folder)) if folder else None

    def notebook(self, job_id: str) -> dict[str, Any]:
        """Return where a job's notebook lies: where it was submitted from, or the only match."""
        note = self._folder / "submitted" / job_id
        if note.is_file():
            path = note.read_text()
            return {"path": path if (self._root / path).is_file() else None}
        name = self._client.job(job_id).manifest.entry_notebook
        found = [
            path
            for pattern in (name, f"*/{name}", f"*/*/{name}")
            for path in self._root.glob(pattern)
            if path.is_file()
        ]
        one = found[0].relative_to(self._root).as_posix() if len(found) == 1 else None
        return {"path": one}

    def _work(self, asked: Any, *, submission: int = 1) -> Work:
        notebook = self._notebook(asked.notebook)
        return Work(
            workspace=notebook.parent,
            notebook=notebook.name,
            parameters=_scalars(asked.parameters),
            datasets=tuple(asked.datasets),
            declared_outputs=tuple(asked.declared_outputs),
            purpose=asked.purpose or "dress rehearsal on the twin",
            project=asked.project or "rehearsal",
            researcher=self._client.whoami().name,
            recipient=self._identity.recipient,
            resource_class=asked.resource_class,
            backend_kind=tee_named(self._connection.tee).backend_kind,
            submission=submission,
        )

    def rehearse(self, asked: Any) -> dict[str, Any]:
        """Run the notebook's folder on the twins, here, in the secure stage's sandbox and runtime.

        Nothing is sent to the service. The executed notebook, error messages and all, is kept
        until the next rehearsal.

        Raises:
            SettingsError: The runtime of the secure stage is not on this machine.
            BackendUnavailableError: Isolation cannot be had here.
            ConflictError: Another rehearsal runs.
        """
        if not self._connection.runtime:
            raise SettingsError(
                "the runtime of the secure stage is not on this machine.",
                hint="Rehearse where `manatee doctor` finds it.",
            )
        if not self._rehearsing.acquire(blocking=False):
            raise ConflictError("another rehearsal runs.", hint="Wait until it has ended.")
        try:
            folder = self._folder / "rehearsal"
            began = monotonic()
            outcome = rehearse(
                self._work(asked),
                client=self._client,
                backend=tee_named(self._connection.tee).backend(folder, self._folder),
                runtime=Path(self._connection.runtime),
                identity=self._identity.identity,
                progress=lambda _text: None,
            )
            self._rehearsed = next(
                (file.data for file in outcome.files if file.path == "notebook.ipynb"), b""
            )
        finally:
            self._rehearsing.release()
        return {
            "succeeded": outcome.exit.succeeded,
            "words": describe_exit(outcome.exit),
            "cell": outcome.exit.cell,
            "seconds": round(monotonic() - began, 1),
            "files": [file.path for file in outcome.files],
        }

    def rehearsed(self) -> bytes:
        """Return a page of the last rehearsal's notebook, which can do nothing.

        Raises:
            NotFoundError: There was none.
        """
        if not self._rehearsed:
            raise NotFoundError("there is no rehearsal to look at.")
        return page_of("notebook.ipynb", self._rehearsed)

    def submit(self, asked: Any) -> JobAnswer:
        """Submit the notebook's folder, as it lies on disk now."""
        submission = 1
        if asked.resubmits is not None:
            submission = self._client.job(asked.resubmits).manifest.submission + 1
        job = submit(
            self._work(asked, submission=submission),
            client=self._client,
            runtime=self._connection.runtime_digest,
        )
        note = self._folder / "submitted" / job.id
        note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        note.write_text(asked.notebook)
        return job

    def jobs(self, cursor: int | None) -> JobPage:
        """Return one page of jobs, newest first."""
        return self._client.job_page(cursor=cursor, page_size=PAGE)

    def job(self, job_id: str) -> JobAnswer:
        """Return a job."""
        return self._client.job(job_id)

    def events(self, job_id: str, *, after: int = 0) -> Iterator[JobEvent]:
        """Yield a job's events until it ends."""
        return self._client.events(job_id, after=after)

    def history(self, job_id: str) -> list[JobEvent]:
        """Return the events of an ended job; those of a live one come by `events`."""
        if JobState(self._client.job(job_id).state) not in TERMINAL_STATES:
            return []
        return list(self._client.events(job_id))

    def cancel(self, job_id: str) -> JobAnswer:
        """Cancel a job."""
        return self._client.cancel(job_id)

    # --- what came out --------------------------------------------------------------------------

    def _bundle(self, job_id: str) -> Path:
        """Return the folder of a released job's run bundle, fetched and opened once."""
        folder = self._folder / "runs" / job_id
        with self._fetching:
            if not folder.is_dir():
                if self._client.job(job_id).state != JobState.RELEASED.value:
                    raise ConflictError("the outputs of this job are not released.")
                folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                fetch_bundle(self._client, job_id, identity=self._identity.identity, folder=folder)
        return folder

    def _outputs(self, job_id: str) -> Mapping[str, Path]:
        folder = self._bundle(job_id) / "outputs"
        return {
            path.relative_to(folder).as_posix(): path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }

    def outputs(self, job_id: str) -> dict[str, Any]:
        """Return the names and sizes of released files."""
        files = self._outputs(job_id)
        notebooks = [name for name in files if name.endswith(".ipynb")]
        return {
            "job_id": job_id,
            "notebook": notebooks[0] if notebooks else None,
            "files": [
                {
                    "path": name,
                    "size": path.stat().st_size,
                    "media_type": media_type(name),
                    "viewable": viewable(name),
                }
                for name, path in files.items()
            ],
        }

    def file(self, job_id: str, path: str) -> bytes:
        """Return a released file's bytes.

        Raises:
            NotFoundError: The run released no such file.
        """
        found = self._outputs(job_id).get(path)
        if found is None:
            raise NotFoundError("the run released no such file.")
        return found.read_bytes()

    def view(self, job_id: str, path: str) -> bytes:
        """Return a page that shows a released file and can do nothing else."""
        return page_of(path, self.file(job_id, path))

    def bundle(self, job_id: str) -> bytes:
        """Return the run bundle as a zip archive."""
        folder = self._bundle(job_id)
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.is_symlink():
                    archive.write(path, f"{job_id}/{path.relative_to(folder).as_posix()}")
        return target.getvalue()

    def attestation(self, job_id: str) -> dict[str, Any]:
        """Verify the run bundle, and return every check for people."""
        folder, trust = self._bundle(job_id), self._folder / "trust.json"
        found = verify(folder, trust if trust.is_file() else None)
        details = [
            f"{name}\n{(folder / name).read_text(errors='replace')}"
            for name in ("manifest.json", "run.dsse.json", "evidence.json", "log.tlog-proof")
            if (folder / name).is_file()
        ]
        return {
            "job_id": job_id,
            "headline": headline(found),
            "verified": found.verified,
            "tier": found.tier.value if found.tier else "",
            "checks": [
                {"mark": item.mark.value, "title": item.title, "reason": item.reason}
                for item in found.checks
            ],
            "details": "\n\n".join(details),
        }

    def diff(self, job_id: str) -> dict[str, Any]:
        """Compare the notebook as it was submitted, outputs and all, with the executed one."""
        folder = self._bundle(job_id)
        manifest = self._client.job(job_id).manifest
        executed = self.outputs(job_id)["notebook"]
        if executed is None:
            raise NotFoundError("the run released no notebook to compare with.")
        before = (folder / "workspace" / manifest.entry_notebook).read_bytes()
        after = (folder / "outputs" / executed).read_bytes()
        return {"job_id": job_id, "cells": compare(before, after)}


def _scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return whole numbers as integers: JavaScript has one kind of number."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in values.items()
    }
