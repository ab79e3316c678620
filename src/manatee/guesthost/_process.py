"""One sandboxed process with its control groups: started, watched, and surely ended."""

from __future__ import annotations

import json
import os
import select
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from manatee._clock import monotonic
from manatee.backends._cgroups import GuestGroups
from manatee.guesthost._staging import privilege_drop
from manatee.records import Cause, ResourceClass

_ENTER_GROUPS = (
    'n=$1; shift; while [ "$n" -gt 0 ]; do echo 0 > "$1" || exit 125; shift; n=$((n-1)); done; '
    'exec "$@"'
)
"""Shell that moves itself into each control group named and becomes the program that follows."""

_LOOK_SECONDS = 0.1
MAX_LOG_BYTES = 1 << 20


@dataclass(frozen=True)
class Ending:
    """How the sandboxed process ended.

    Attributes:
        cause: Why it was ended by us; None if it ended by itself.
        exit_code: Of the program inside; None if it never ran or was killed.
    """

    cause: Cause | None
    exit_code: int | None


def _keep_log(stream: IO[bytes], path: Path) -> None:
    left = MAX_LOG_BYTES
    with path.open("wb") as log:
        while chunk := stream.read1(1 << 16):  # type: ignore[attr-defined]  # a BufferedReader
            log.write(chunk[:left])
            log.flush()
            left -= len(chunk[:left])


class SandboxedProcess:
    """A program below bubblewrap. Start it from the main thread: it dies with that thread."""

    def __init__(
        self,
        *,
        arguments: Sequence[str],
        program: Sequence[str],
        groups: GuestGroups,
        resources: ResourceClass,
        uid: int | None,
        log: Path | None,
    ) -> None:
        """Start.

        Args:
            arguments: Bubblewrap's, without the program.
            program: What runs inside.
            groups: Control groups, created.
            resources: Their limits.
            uid: Host user id to run as; None for our own.
            log: File that takes what the program writes; None throws it away.

        Raises:
            BackendUnavailableError: The control groups do not take the process.
        """
        self._status, status_end = os.pipe()
        held, hold = os.pipe()
        wait = ["--block-fd", str(held)] if groups.settles else []
        command = ["bwrap", "--json-status-fd", str(status_end), *wait, *arguments, "--", *program]
        entrances = [str(path) for path in groups.entrances()]
        output = subprocess.DEVNULL if log is None else subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                [
                    *("/bin/sh", "-c", _ENTER_GROUPS, "sh", str(len(entrances))),
                    *entrances,
                    *privilege_drop(uid),
                    *command,
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(status_end, held),
                cwd="/",
                env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
            )
            os.close(status_end)
            self._heard = b""
            if groups.settles:
                self._heard = os.read(self._status, 4096)  # bubblewrap names its child: it is held
                groups.settle(resources)
        finally:
            os.close(hold)  # lets it go
            os.close(held)
        if log is not None and self._process.stdout is not None:
            given = (self._process.stdout, log)
            threading.Thread(target=_keep_log, args=given, daemon=True).start()

    @property
    def pid(self) -> int:
        """Host process id of bubblewrap."""
        return self._process.pid

    def wait(self, *, until: float, cancelled: Callable[[], bool]) -> Ending:
        """Wait for the end, or bring it about.

        Args:
            until: Moment on the monotonic clock when time is up.
            cancelled: Asked ten times a second.
        """
        cause: Cause | None = None
        watch = os.pidfd_open(self._process.pid)
        try:
            while not select.select([watch], [], [], _LOOK_SECONDS)[0]:
                if cancelled():
                    cause = Cause.CANCELLED
                elif monotonic() > until:
                    cause = Cause.TIME
                if cause is not None:
                    break
        finally:
            os.close(watch)
        self.kill()
        return Ending(cause, self._exit_code())

    def kill(self) -> None:
        """Kill bubblewrap, and with it every process in its namespace. Idempotent."""
        self._process.kill()
        self._process.wait()

    def _exit_code(self) -> int | None:
        os.set_blocking(self._status, False)
        try:
            while chunk := os.read(self._status, 4096):
                self._heard += chunk
        except BlockingIOError:
            pass  # something still holds the other end; all that was said is read
        os.close(self._status)
        code: int | None = None
        for line in self._heard.splitlines():
            code = json.loads(line).get("exit-code", code)
        return code
