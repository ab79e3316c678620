"""Giving the driver its job, following it, and ending it with everything below it."""

from __future__ import annotations

import os
import selectors
import signal
from collections.abc import Callable
from types import TracebackType

from manatee._clock import monotonic
from manatee.errors import BackendError, MalformedError
from manatee.executor._driver_start import Driver
from manatee.executor._driver_wire import CellEvent, DriverJob, RunEnded
from manatee.executor._limits_seen import KernelCgroups
from manatee.records import Cause, ResourceClass, canonical_json, parse_json, to_record

LOOK_SECONDS = 0.25
"""How often limits are looked at while the driver is silent."""

FORK_BOMB = 200
"""Forks denied from which on the run is ended as a fork bomb."""

REPORT_SECONDS = 10
"""Part of the wall time kept for checking, sealing and reporting; the host kills at its end."""

END_SECONDS = 10.0
"""How long killed processes may take to be gone."""

_CHUNK = 1 << 20


class DriverProcess:
    """One driver. Used as a context manager: at its end neither driver nor kernel is left."""

    def __init__(self, process: Driver, cgroups: KernelCgroups) -> None:
        """Take charge of a driver that waits for a job."""
        self._process = process
        self._cgroups = cgroups

    def __enter__(self) -> DriverProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def run(
        self,
        job: DriverJob,
        resources: ResourceClass,
        *,
        on_cell: Callable[[CellEvent], None],
        max_bytes: int,
    ) -> RunEnded | Cause:
        """Give the driver its job and follow it to the end.

        Args:
            job: The job.
            resources: Wall and processor time.
            on_cell: Called for each cell that starts or finishes.
            max_bytes: Cap of everything the driver may say.

        Returns:
            The driver's last word, or the cause for which the run was ended from here.

        Raises:
            BackendError: The driver does not speak as it should.
        """
        deadline = monotonic() + max(resources.wall_seconds - REPORT_SECONDS, 1)
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise BackendError("the driver has no pipes.")
        try:
            stdin.write(canonical_json(job))
            stdin.close()
        except OSError as error:
            raise BackendError("the driver ended before it had its job.") from error
        said = 0
        pending = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while True:
                if cause := self._over_limit(resources, deadline):
                    return cause
                if not selector.select(LOOK_SECONDS):
                    continue
                chunk = os.read(stdout.fileno(), _CHUNK)
                said += len(chunk)
                pending += chunk
                if said > max_bytes:
                    return Cause.OUTPUT_SIZE
                if not chunk:
                    return Cause.OUTPUT_SIZE if said else Cause.BACKEND
                *lines, rest = pending.split(b"\n") if b"\n" in chunk else (pending,)
                pending = bytearray(rest)
                for line in lines:
                    read = _line(bytes(line), max_bytes)
                    if isinstance(read, RunEnded):
                        return read
                    on_cell(read)

    def _over_limit(self, resources: ResourceClass, deadline: float) -> Cause | None:
        usage = self._cgroups.usage()
        if usage.forks_denied >= FORK_BOMB:
            return Cause.PROCESSES
        if usage.cpu_seconds > resources.kernel_cpu_seconds:
            return Cause.CPU_TIME
        return Cause.TIME if monotonic() > deadline else None

    def end(self) -> None:
        """Kill the driver and all processes of the kernel, and see them gone. Idempotent.

        Raises:
            BackendError: A process of the kernel is still there; nothing it could touch is safe.
        """
        self._process.kill()
        self._process.wait()
        deadline = monotonic() + END_SECONDS
        while left := self._cgroups.processes():
            if monotonic() > deadline:
                raise BackendError("processes of the kernel could not be ended.")
            for process in left:
                _kill(process)
            _pause()


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # gone meanwhile, or going with its namespace


def _pause() -> None:
    """Wait a moment for the operating system."""
    with selectors.DefaultSelector() as selector:
        selector.select(0.01)


def _line(line: bytes, max_bytes: int) -> CellEvent | RunEnded:
    try:
        said = parse_json(line, max_bytes=max_bytes)
        if isinstance(said, dict) and said.get("type") == "ended":
            return to_record(said, RunEnded, what="driver line")
        return to_record(said, CellEvent, what="driver line")
    except MalformedError as error:
        raise BackendError("the driver does not speak as it should.") from error
