"""What the kernel's cgroups say about limits that were hit; version 1 and 2."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from manatee.errors import BackendError

FULL_SHARE = 0.99
"""A scratch disk filled beyond this share counts as full."""


@dataclass(frozen=True)
class Usage:
    """A moment's counters.

    Attributes:
        oom_kills: Processes the kernel of the operating system killed for memory.
        forks_denied: Forks that failed at the limit of processes.
        cpu_seconds: Processor time of everything that ran in the cgroups.
    """

    oom_kills: int
    forks_denied: int
    cpu_seconds: float


class KernelCgroups:
    """The folders `<root>/<n>`, each a cgroup (v2) or one controller's (v1)."""

    def __init__(self, root: Path) -> None:
        """Find the cgroups.

        Raises:
            BackendError: There are none: the kernel would run without limits.
        """
        try:
            self.folders = tuple(sorted(path for path in root.iterdir() if path.is_dir()))
        except OSError as error:
            raise BackendError("the guest was given no cgroup for the kernel.") from error
        if not self.folders:
            raise BackendError("the guest was given no cgroup for the kernel.")
        for folder in self.folders:
            if not os.access(folder / "cgroup.procs", os.W_OK):
                raise BackendError("a cgroup for the kernel cannot be joined.")

    def usage(self) -> Usage:
        """Read the counters; one that does not exist counts as zero."""
        nanoseconds = sum(self._numbers("cpuacct.usage"))
        microseconds = self._counter("cpu.stat", "usage_usec")
        return Usage(
            oom_kills=self._counter("memory.events", "oom_kill")
            + self._counter("memory.oom_control", "oom_kill"),
            forks_denied=self._counter("pids.events", "max"),
            cpu_seconds=nanoseconds / 1e9 if nanoseconds else microseconds / 1e6,
        )

    def processes(self) -> set[int]:
        """Return the processes still in any of the cgroups, as this process sees their ids.

        Raises:
            BackendError: The list cannot be read.
        """
        found: set[int] = set()
        for folder in self.folders:
            try:
                text = (folder / "cgroup.procs").read_text(encoding="ascii")
            except OSError as error:
                raise BackendError("the processes of a cgroup cannot be listed.") from error
            found.update(int(line) for line in text.split())
        return found

    def _texts(self, name: str) -> list[str]:
        texts = []
        for folder in self.folders:
            try:
                texts.append((folder / name).read_text(encoding="ascii"))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise BackendError(f"{name} of a cgroup cannot be read.") from error
        return texts

    def _numbers(self, name: str) -> list[int]:
        return [int(text) for text in self._texts(name)]

    def _counter(self, name: str, key: str) -> int:
        fields = [line.split() for text in self._texts(name) for line in text.splitlines()]
        return sum(int(field[1]) for field in fields if len(field) == 2 and field[0] == key)


def disk_full(scratch: Path) -> bool:
    """Whether the kernel's disk is full, in bytes or in files."""
    seen = os.statvfs(scratch)
    free_bytes = seen.f_bavail / seen.f_blocks if seen.f_blocks else 1.0
    free_files = seen.f_favail / seen.f_files if seen.f_files else 1.0
    return min(free_bytes, free_files) <= 1 - FULL_SHARE
