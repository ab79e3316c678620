"""Running the notebook, and finding out why it failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from manatee.errors import WorkspaceError
from manatee.executor._driver_process import DriverProcess
from manatee.executor._driver_wire import CellEvent, DriverJob, RunEnded
from manatee.executor._exit_status import known_class
from manatee.executor._kernel_sandbox import kernel_argv
from manatee.executor._limits_seen import KernelCgroups, disk_full
from manatee.executor._notebook import (
    code_cells,
    executed_notebook,
    without_outputs,
)
from manatee.executor._places import DATA, OUTPUTS, WORKSPACE, Places
from manatee.executor._seccomp import write_filter
from manatee.records import Cause, ExitStatus, ResourceClass, Scalar, canonical_json

_ENOSPC = 28
_EAGAIN = 11

_OUTCOMES = {
    "time": Cause.TIME,
    "output_size": Cause.OUTPUT_SIZE,
    "not_started": Cause.BACKEND,
}

_DISK_CLASSES = frozenset({"OSError", "ArrowException", "OperationalError"})
_PROCESS_CLASSES = frozenset({"BlockingIOError", "RuntimeError", "OSError", "ImportError"})


@dataclass(frozen=True)
class Ran:
    """How the notebook ended, and the notebook with the outputs it has so far."""

    exit: ExitStatus
    notebook: dict[str, Any]


def prepare(
    places: Places,
    resources: ResourceClass,
    *,
    submitted: dict[str, Any],
    entry: str,
    datasets: tuple[str, ...],
    parameters: Mapping[str, Scalar],
) -> DriverJob:
    """Write what the kernel's sandbox is made from.

    Effects: session file and system call filter in the agent's private folder.

    Raises:
        BackendError: The filter cannot be compiled.
        WorkspaceError: The files cannot be written.
    """
    session = places.private / "session.json"
    seccomp = places.private / "seccomp.bpf"
    connection = places.private / "connection.json"
    content = {
        "datasets": {name: f"{DATA}/{name}" for name in datasets},
        "parameters": dict(parameters),
        "outputs": OUTPUTS,
    }
    try:
        session.write_bytes(canonical_json(content))
    except OSError as error:
        raise WorkspaceError("the session file cannot be written.") from error
    write_filter(seccomp)
    folder = entry.rpartition("/")[0]
    return DriverJob(
        notebook=json.dumps(without_outputs(submitted)),
        kernel=tuple(
            kernel_argv(
                places,
                resources,
                datasets=datasets,
                session=session,
                seccomp=seccomp,
                connection=connection,
                folder=f"{WORKSPACE}/{folder}" if folder else WORKSPACE,
            )
        ),
        connection=str(connection),
        sockets=str(places.sockets / "kernel"),
        cell_seconds=resources.cell_seconds,
        output_bytes=resources.output_bytes,
        memory_bytes=resources.agent_memory_bytes // 2,
    )


def run_notebook(
    driver: DriverProcess,
    cgroups: KernelCgroups,
    job: DriverJob,
    places: Places,
    resources: ResourceClass,
    *,
    submitted: dict[str, Any],
    on_cell: Callable[[CellEvent, int], None],
) -> Ran:
    """Run all code cells; stop at the first that fails. The kernel is gone when this returns.

    Raises:
        BackendError: Driver or kernel could not be ended, or not be understood.
        OutputCheckError: The executed notebook is not the submitted one.
    """
    total = len(code_cells(submitted))
    started = finished = 0

    def count(event: CellEvent) -> None:
        nonlocal started, finished
        if event.state == "started":
            started = min(event.cell, total)
        else:
            finished = min(event.cell, total)
        on_cell(event, total)

    max_bytes = 4 * resources.output_bytes + (32 << 20)
    with driver:
        ended = driver.run(job, resources, on_cell=count, max_bytes=max_bytes)
    if isinstance(ended, RunEnded) and ended.notebook:
        notebook = executed_notebook(
            submitted, ended.notebook, max_bytes=max_bytes, cells_run=started
        )
    else:
        notebook = without_outputs(submitted)
    if isinstance(ended, RunEnded) and ended.outcome == "finished" and finished == total:
        status = ExitStatus(succeeded=True, cells_run=finished, cells_total=total)
    else:
        failed = isinstance(ended, RunEnded) and ended.outcome == "cell_error"
        status = ExitStatus(
            succeeded=False,
            cells_run=finished,
            cells_total=total,
            cause=_cause(ended, cgroups, places, resources),
            cell=started or None,
            line=ended.line if isinstance(ended, RunEnded) else None,
            exception_class=known_class(ended.ename)
            if isinstance(ended, RunEnded) and failed
            else None,
        )
    return Ran(exit=status, notebook=notebook)


def _cause(
    ended: RunEnded | Cause, cgroups: KernelCgroups, places: Places, resources: ResourceClass
) -> Cause:
    """Say which limit was hit, if one was; the counters know better than the exception."""
    usage = cgroups.usage()
    if usage.oom_kills:
        return Cause.MEMORY
    if isinstance(ended, Cause):
        return ended
    if ended.outcome in _OUTCOMES:
        forked = ended.outcome == "time" and usage.forks_denied
        return Cause.PROCESSES if forked else _OUTCOMES[ended.outcome]
    if ended.outcome == "cell_error":
        return _cause_of_error(
            ended, forks_denied=usage.forks_denied, full=disk_full(places.scratch)
        )
    if usage.cpu_seconds >= resources.kernel_cpu_seconds:
        return Cause.CPU_TIME
    if usage.forks_denied:
        return Cause.PROCESSES
    return Cause.DISK if disk_full(places.scratch) else Cause.KERNEL_DIED


def _cause_of_error(ended: RunEnded, *, forks_denied: int, full: bool) -> Cause:
    if ended.ename == "MemoryError":
        return Cause.MEMORY
    if forks_denied and (ended.errno == _EAGAIN or ended.ename in _PROCESS_CLASSES):
        return Cause.PROCESSES
    if ended.errno == _ENOSPC or (full and ended.ename in _DISK_CLASSES):
        return Cause.DISK
    return Cause.CELL_ERROR
