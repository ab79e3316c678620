"""A guest's state on the host's disk, shared by the backend and the guest's host process.

Every file is written whole and flushed to disk before it appears under its name. The lock is held
by the guest's host process for as long as it lives, whatever way it dies.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

from manatee.backends._interface import GuestInputs, GuestState, GuestStatus, Plan
from manatee.errors import BackendError, MalformedError, TooLargeError
from manatee.records import (
    Cause,
    DigestText,
    EvidenceKind,
    GuestEvent,
    GuestPlan,
    GuestResult,
    KeyRequest,
    Record,
    ResourceClass,
    canonical_json,
    read_record,
)

MAX_RESULT_BYTES = 16 << 20
"""Cap of a guest's result: the run's statement with all manifests in it."""

MAX_SPEC_BYTES = 64 << 20


R = TypeVar("R", bound=Record)


class GuestSpec(Record, frozen=True, kw_only=True):
    """A launch as the guest's host process reads it; paths are absolute."""

    format_version: Literal[1] = 1
    guest_name: str
    runtime_digest: DigestText
    plan: GuestPlan
    resources: ResourceClass
    workspace: str
    datasets: dict[str, str]
    runtime: str
    runtime_cache: str
    broker_urls: dict[str, str]
    device: EvidenceKind
    device_folder: str
    executor_argv: tuple[str, ...]


class _Ended(Record, frozen=True, kw_only=True):
    state: Literal["succeeded", "failed"]
    cause: Cause | None = None


class Traces(Record, frozen=True, kw_only=True):
    """What a guest's host process leaves outside the folder, noted before it is made."""

    staging: str
    groups: tuple[str, ...]
    """Bases of the control group hierarchies, v2 ones marked by a leading `2`, others by `1`."""


def make_spec(
    plan: Plan,
    *,
    runtime_cache: Path,
    device: EvidenceKind,
    device_folder: Path,
    executor_argv: tuple[str, ...],
) -> GuestSpec:
    """Write a plan down for another process."""
    inputs: GuestInputs = plan.inputs
    return GuestSpec(
        guest_name=plan.guest_name,
        runtime_digest=plan.runtime_digest,
        plan=inputs.plan,
        resources=inputs.resources,
        workspace=str(inputs.workspace.absolute()),
        datasets={name: str(path.absolute()) for name, path in inputs.datasets.items()},
        runtime=str(inputs.runtime.absolute()),
        runtime_cache=str(runtime_cache.absolute()),
        broker_urls=dict(inputs.broker_urls),
        device=device,
        device_folder=str(device_folder.absolute()),
        executor_argv=executor_argv,
    )


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there completely and durably, or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


class GuestFolder:
    """One guest's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec_file = path / "spec.json"
        self.events_file = path / "events.jsonl"
        self.result_file = path / "result.json"
        self.outputs_file = path / "outputs.age"
        self.log_file = path / "guest.log"
        self.host_log_file = path / "guesthost.log"
        self.cancel_file = path / "cancel"
        self.started_file = path / "started"
        self.refusal_file = path / "refusal"
        self._status_file = path / "status.json"
        self._keys = path / "keys"
        self._traces_file = path / "traces.json"

    def exists(self) -> bool:
        """Whether the guest is known here."""
        return self.spec_file.exists()

    def spec(self) -> GuestSpec:
        """Read the launch back.

        Raises:
            BackendError: There is none, or it was damaged.
        """
        return self._read(self.spec_file, GuestSpec, MAX_SPEC_BYTES)

    def result(self) -> GuestResult:
        """Read the guest's result. Raises as `spec` does."""
        return self._read(self.result_file, GuestResult, MAX_RESULT_BYTES)

    def _read(self, path: Path, kind: type[R], max_bytes: int) -> R:
        try:
            return read_record(path.read_bytes(), kind, what=path.name, max_bytes=max_bytes)
        except (OSError, MalformedError, TooLargeError) as error:
            raise BackendError(f"the guest's {path.name} cannot be read.") from error

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the lock for a while; gives whether it was free. The folder may be gone."""
        with self._lock(fcntl.LOCK_EX) as free:
            yield free

    @contextmanager
    def _lock(self, how: int) -> Iterator[bool]:
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            yield False
            return
        try:
            try:
                fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)

    def held(self) -> bool:
        """Whether the guest's host process lives. Observers do not see one another."""
        with self._lock(fcntl.LOCK_SH) as free:
            return not free and self.path.exists()

    def ended(self) -> GuestStatus | None:
        """Return how the guest ended, or None while nobody has said so."""
        if not self._status_file.exists():
            return None
        found = self._read(self._status_file, _Ended, 1000)
        return self.status(GuestState(found.state), found.cause)

    def write_ended(self, state: Literal["succeeded", "failed"], cause: Cause | None) -> None:
        """Say how the guest ended; the last thing written. The first word stands."""
        if not self._status_file.exists():
            write_whole(self._status_file, canonical_json(_Ended(state=state, cause=cause)))

    def status(self, state: GuestState, cause: Cause | None = None) -> GuestStatus:
        """Return a state together with what was asked of key brokers."""
        try:
            names = sorted(item.name for item in self._keys.iterdir())
        except FileNotFoundError:
            return GuestStatus(state, cause)
        requests, allowed = [], set()
        for name in names:
            broker_id, _, what = name.rpartition(".")
            if what == "asked":
                answer = self._keys / f"{broker_id}.answered"
                found = answer.exists()
                requests.append(
                    self._read(answer, KeyRequest, 1000)
                    if found
                    else KeyRequest(broker_id=broker_id)
                )
            elif what == "allowed":
                allowed.add(broker_id)
        return GuestStatus(state, cause, tuple(requests), frozenset(allowed))

    def note_key_request(self, broker_id: str) -> bool:
        """Record durably, before it happens, that the guest asks a broker for keys.

        Returns:
            Whether it is the first time.
        """
        if not self._keys.exists():
            self._keys.mkdir(mode=0o700)
            sync_folder(self.path)
        path = self._keys / f"{broker_id}.asked"
        if path.exists():
            return False
        write_whole(path, b"")
        return True

    def allow_key_request(self, broker_id: str) -> None:
        """Let the guest's request go out to a broker, if it made one."""
        path = self._keys / f"{broker_id}.allowed"
        if (self._keys / f"{broker_id}.asked").exists() and not path.exists():
            write_whole(path, b"")

    def key_request_allowed(self, broker_id: str) -> bool:
        """Whether the guest's request may go out."""
        return (self._keys / f"{broker_id}.allowed").exists()

    def note_key_answer(self, request: KeyRequest) -> None:
        """Record durably what a broker answered, before the guest has it."""
        write_whole(self._keys / f"{request.broker_id}.answered", canonical_json(request))

    def traces(self) -> Traces | None:
        """Return what may lie outside the folder."""
        if not self._traces_file.exists():
            return None
        return self._read(self._traces_file, Traces, 100_000)

    def write_traces(self, traces: Traces) -> None:
        """Note what is about to be made outside the folder."""
        write_whole(self._traces_file, canonical_json(traces))

    def append_event(self, event: GuestEvent) -> None:
        """Add a progress event."""
        with self.events_file.open("ab") as stream:
            stream.write(canonical_json(event) + b"\n")

    def events(self, after: int) -> list[GuestEvent]:
        """Return events with `seq` > `after`, in order; a line half written is not there yet."""
        try:
            data = self.events_file.read_bytes()
        except FileNotFoundError:
            return []
        lines = data.split(b"\n")[:-1]
        found = (read_record(line, GuestEvent, what="guest event") for line in lines)
        return [event for event in found if event.seq > after]
