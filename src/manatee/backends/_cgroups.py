"""Control groups of one guest, under cgroup v1, v2 and hybrids of both.

Each hierarchy that has a controller we need gets a group for the guest and, below it, one for
the researcher's kernel, which the guest may join by itself. The guest's group caps kernel and
executor together, so that a greedy kernel is killed while the executor lives to say so.

Under v2 a group with limited children holds no process itself. The guest therefore starts in its
own group (its cgroup namespace is rooted there, so that it can reach both children) and is moved
into the child `agent` before its program runs: see `settle`.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from manatee._clock import monotonic
from manatee.errors import BackendError, BackendUnavailableError
from manatee.records import ResourceClass

REQUIRED = ("memory", "pids", "cpu")
_OPTIONAL = ("cpuacct",)
_HOST_LEAF = "manatee-host"
"""v2: where the processes of the service move, so that their group may limit children."""

_AGENT_PIDS = 256
"""Processes and threads of executor and notebook driver, on top of the kernel's."""

_PERIOD_US = 100_000
_PAUSE_SECONDS = 0.01
_HINT = (
    "Start the service with `systemd-run --user --scope -p Delegate=yes …`, as root, or in a "
    "container whose control groups are writable."
)


@dataclass(frozen=True)
class Hierarchy:
    """One mounted hierarchy, seen from this process.

    Attributes:
        base: The group under which guests' groups are made.
        controllers: Those of `REQUIRED` and the optional ones that live here.
        unified: Whether it is cgroup v2.
    """

    base: Path
    controllers: frozenset[str]
    unified: bool


@dataclass(frozen=True)
class _Mount:
    root: str
    point: str
    kind: str
    options: frozenset[str]


def _unescape(text: str) -> str:
    return text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def _mounts(mountinfo: str) -> list[_Mount]:
    found = []
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, tail = left.split(), right.split()
        if len(tail) >= 3 and tail[0] in {"cgroup", "cgroup2"}:
            options = frozenset(tail[2].split(","))
            found.append(_Mount(_unescape(fields[3]), _unescape(fields[4]), tail[0], options))
    return found


def _place(mount: _Mount, path: str) -> Path:
    relative = os.path.relpath(path, mount.root)
    inside = "." if relative.startswith("..") else relative
    return Path(os.path.normpath(os.path.join(mount.point, inside)))


def find_hierarchies(membership: str, mountinfo: str) -> tuple[Hierarchy, ...]:
    """Find where each controller lives.

    Args:
        membership: Text of `/proc/self/cgroup`.
        mountinfo: Text of `/proc/self/mountinfo`.

    Raises:
        BackendUnavailableError: A required controller is nowhere to be found.
    """
    mounts = _mounts(mountinfo)
    wanted = set(REQUIRED + _OPTIONAL)
    found: list[Hierarchy] = []
    unified: str | None = None
    for line in membership.splitlines():
        _, names, path = line.split(":", 2)
        if not names:
            unified = path
            continue
        here = frozenset(names.split(",")) & wanted
        mount = next((m for m in mounts if m.kind == "cgroup" and here & m.options), None)
        if here and mount is not None:
            found.append(Hierarchy(_place(mount, path), here, unified=False))
            wanted -= here
    mount = next((m for m in mounts if m.kind == "cgroup2"), None)
    if unified is not None and mount is not None:
        base = _place(mount, unified)
        if base.name == _HOST_LEAF:
            base = base.parent
        try:
            offered = frozenset((base / "cgroup.controllers").read_text().split()) & wanted
        except OSError:
            offered = frozenset()
        if offered:
            found.append(Hierarchy(base, offered, unified=True))
            wanted -= offered
    if missing := wanted & set(REQUIRED):
        raise BackendUnavailableError(
            f"no control group controller for: {', '.join(sorted(missing))}.", hint=_HINT
        )
    return tuple(sorted(found, key=lambda item: "memory" not in item.controllers))


def own_hierarchies() -> tuple[Hierarchy, ...]:
    """Find the hierarchies of this process. Raises as `find_hierarchies` does."""
    try:
        membership = Path("/proc/self/cgroup").read_text()
        mountinfo = Path("/proc/self/mountinfo").read_text()
    except OSError as error:
        raise BackendUnavailableError("/proc cannot be read.", hint=_HINT) from error
    return find_hierarchies(membership, mountinfo)


def _pids(group: Path) -> list[int]:
    try:
        return [int(line) for line in (group / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def _delegate(group: Path, controllers: frozenset[str]) -> None:
    """v2: let a group limit its children."""
    if controllers <= set((group / "cgroup.subtree_control").read_text().split()):
        return
    if (group / "cgroup.events").exists():  # not the root of the hierarchy
        leaf = group / _HOST_LEAF
        for pid in _pids(group):
            leaf.mkdir(exist_ok=True)
            (leaf / "cgroup.procs").write_text(str(pid))
    words = " ".join(f"+{name}" for name in sorted(controllers))
    (group / "cgroup.subtree_control").write_text(words)


def _limits(unified: bool, memory: int, pids: int, cpus: int | None) -> dict[str, list[list[str]]]:
    """Return, per controller, the files to write. A last word `?` marks one that may be absent."""
    if unified:
        return {
            "memory": [["memory.max", str(memory)], ["memory.swap.max", "0", "?"]],
            "pids": [["pids.max", str(pids)]],
            "cpu": [["cpu.max", f"{cpus * _PERIOD_US} {_PERIOD_US}"]] if cpus else [],
        }
    quota = [["cpu.cfs_period_us", str(_PERIOD_US)]]
    quota += [["cpu.cfs_quota_us", str((cpus or 0) * _PERIOD_US)]]
    return {
        "memory": [
            ["memory.limit_in_bytes", str(memory)],
            ["memory.memsw.limit_in_bytes", str(memory), "?"],
        ],
        "pids": [["pids.max", str(pids)]],
        "cpu": quota if cpus else [],
    }


def _write_limits(hierarchy: Hierarchy, group: Path, limits: dict[str, list[list[str]]]) -> None:
    for controller in sorted(hierarchy.controllers):
        for name, value, *optional in limits.get(controller, []):
            if not optional or (group / name).exists():
                (group / name).write_text(value)


@dataclass(frozen=True)
class GuestGroups:
    """The groups of one guest. Plain paths, so that a new process can remove them."""

    name: str
    hierarchies: tuple[Hierarchy, ...]

    def guest(self, hierarchy: Hierarchy) -> Path:
        """Return the guest's group in a hierarchy."""
        return hierarchy.base / self.name

    def all_groups(self) -> list[Path]:
        """Return every group that may exist, children first."""
        return [
            path
            for hierarchy in self.hierarchies
            for top in [self.guest(hierarchy)]
            for path in (top / "kernel", top / "agent", top)
        ]

    def kernel_groups(self) -> list[Path]:
        """Return the groups that the guest may join by itself, in the order the guest sees."""
        return [self.guest(hierarchy) / "kernel" for hierarchy in self.hierarchies]

    def entrances(self) -> list[Path]:
        """Return the files to which a new guest writes `0` before anything else."""
        return [self.guest(hierarchy) / "cgroup.procs" for hierarchy in self.hierarchies]

    def create(self, resources: ResourceClass, uid: int | None) -> None:
        """Make the groups and set their limits.

        Args:
            resources: The limits.
            uid: Owner of the kernel's groups as the host knows it; None leaves them ours.

        Raises:
            BackendUnavailableError: The groups cannot be made or a limit cannot be set.
        """
        total = resources.kernel_memory_bytes + resources.agent_memory_bytes
        try:
            for hierarchy in self.hierarchies:
                if hierarchy.unified:
                    _delegate(hierarchy.base, hierarchy.controllers)
                top = self.guest(hierarchy)
                top.mkdir(exist_ok=True)
                pids = resources.kernel_pids + _AGENT_PIDS
                _write_limits(hierarchy, top, _limits(hierarchy.unified, total, pids, None))
                (top / "kernel").mkdir(exist_ok=True)
                if hierarchy.unified:
                    (top / "agent").mkdir(exist_ok=True)
                else:
                    self._limit_kernel(hierarchy, resources)
                if uid is not None:
                    owned = [top / "kernel", top / "kernel" / "cgroup.procs"]
                    # v2 asks the same of the common ancestor
                    owned += [top / "cgroup.procs"] if hierarchy.unified else []
                    for path in owned:
                        os.chown(path, uid, uid)
        except OSError as error:
            raise BackendUnavailableError(
                f"control groups cannot be made: {error.strerror}.", hint=_HINT
            ) from error

    def _limit_kernel(self, hierarchy: Hierarchy, resources: ResourceClass) -> None:
        limits = _limits(
            hierarchy.unified,
            resources.kernel_memory_bytes,
            resources.kernel_pids,
            resources.cpus,
        )
        _write_limits(hierarchy, self.guest(hierarchy) / "kernel", limits)

    @property
    def settles(self) -> bool:
        """Whether the guest must be held until `settle` has moved it."""
        return any(hierarchy.unified for hierarchy in self.hierarchies)

    def settle(self, resources: ResourceClass) -> None:
        """Under v2: move the held guest into `agent` and set the kernel's limits.

        Raises:
            BackendUnavailableError: It cannot be done; the guest must not go on.
        """
        try:
            for hierarchy in self.hierarchies:
                if not hierarchy.unified:
                    continue
                top = self.guest(hierarchy)
                while pids := _pids(top):
                    for pid in pids:
                        (top / "agent" / "cgroup.procs").write_text(str(pid))
                _delegate(top, hierarchy.controllers)
                self._limit_kernel(hierarchy, resources)
        except OSError as error:
            raise BackendUnavailableError(
                f"the kernel's limits cannot be set: {error.strerror}.", hint=_HINT
            ) from error

    def agent_was_oom_killed(self) -> bool:
        """Whether memory ran out outside the kernel's group."""
        for hierarchy in self.hierarchies:
            top = self.guest(hierarchy)
            name = "agent/memory.events" if hierarchy.unified else "memory.oom_control"
            if "memory" in hierarchy.controllers:
                try:
                    words = (line.split() for line in (top / name).read_text().splitlines())
                except OSError:
                    continue
                if any(word[0] == "oom_kill" and word[1] != "0" for word in words):
                    return True
        return False

    def remove(self, *, within_seconds: float = 10.0) -> None:
        """Kill whatever is in the groups, then remove them. Idempotent.

        Raises:
            BackendError: A process cannot be killed in time.
        """
        give_up = monotonic() + within_seconds
        while True:
            left = [group for group in self.all_groups() if group.exists()]
            for group in left:
                for pid in _pids(group):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
                try:
                    group.rmdir()
                except OSError:  # busy until its processes and children are gone
                    continue
            if not left:
                return
            if monotonic() > give_up:
                raise BackendError(
                    f"processes of {self.name} do not die.", hint="Look at the host; it is ill."
                )
            time.sleep(_PAUSE_SECONDS)
