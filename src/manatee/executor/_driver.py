"""The notebook driver: a process of its own between the executor and the researcher's kernel.

It speaks Jupyter's protocol with whatever runs in the kernel's sandbox, so it holds no key, no
descriptor of the executor's, and its memory is bounded. One `DriverJob` comes in on standard input
(the libraries load while the executor still attests); `CellEvent`s and one `RunEnded` go out.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import msgspec
import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from manatee.executor._driver_wire import CellEvent, DriverJob, RunEnded
from manatee.executor._exit_status import error_number, failing_line
from manatee.executor._kernel_manager import SandboxedKernelManager, bounded_context
from manatee.executor._notebook_client import BoundedClient, OutputSizeError
from manatee.executor._protect import protect_memory
from manatee.records import Record, canonical_json, read_record

MAX_JOB_BYTES = 32 << 20
"""Cap of the job, in bytes: the notebook and an argument list."""

_MESSAGE_MARGIN = 1 << 20


def main(source: BinaryIO, target: BinaryIO) -> None:
    """Read the job, run the notebook, report. Any outcome is a `RunEnded` line."""
    protect_memory()
    logging.disable(logging.CRITICAL)  # nbclient's log quotes cells and their errors
    job = read_record(source.read(), DriverJob, what="driver job", max_bytes=MAX_JOB_BYTES)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (job.memory_bytes, hard))

    def tell(line: Record) -> None:
        target.write(canonical_json(line) + b"\n")
        target.flush()

    asyncio.run(_run(job, tell))


async def _run(job: DriverJob, tell: Callable[[Record], None]) -> None:
    """Run it and tell the end; whoever started this process then ends it and the kernel."""
    notebook = nbformat.reads(job.notebook, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None
    context = bounded_context(job.output_bytes + _MESSAGE_MARGIN)
    manager = SandboxedKernelManager(
        list(job.kernel),
        context=context,
        transport="ipc",
        ip=job.sockets,
        connection_file=job.connection,
    )
    client = BoundedClient(
        notebook,
        km=manager,
        timeout=job.cell_seconds,
        output_bytes=job.output_bytes,
        store_widget_state=False,
        allow_errors=False,
        force_raise_errors=True,
        record_timing=False,
        raise_on_iopub_timeout=True,
        skip_cells_with_tag="",
    )
    await manager.start_kernel(
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    ended = await _cells(client, tell)
    text = nbformat.writes(notebook, version=4)
    tell(msgspec.structs.replace(ended, notebook=text))


async def _cells(client: BoundedClient, tell: Callable[[Record], None]) -> RunEnded:
    try:
        await client.connect()
    except DeadKernelError:
        return RunEnded(outcome="not_started")
    number = 0
    for index, cell in enumerate(client.nb.cells):
        if cell.cell_type != "code":
            continue
        number += 1
        tell(CellEvent(cell=number, state="started"))
        try:
            await client.run_cell(cell, index)
        except CellExecutionError as error:
            return RunEnded(
                outcome="cell_error",
                cell=number,
                ename=str(error.ename)[:200],
                errno=error_number(str(error.evalue)),
                line=failing_line(
                    _traceback(cell),
                    execution=client.code_cells_executed,
                    lines=cell.source.count("\n") + 1,
                ),
            )
        except CellTimeoutError:
            return RunEnded(outcome="time", cell=number)
        except DeadKernelError:
            return RunEnded(
                outcome="output_size" if client.oversized else "kernel_died", cell=number
            )
        except OutputSizeError:
            return RunEnded(outcome="output_size", cell=number)
        tell(CellEvent(cell=number, state="finished"))
    return RunEnded(outcome="finished")


def _traceback(cell: Any) -> list[str]:
    errors = [output for output in cell.outputs if output.output_type == "error"]
    return [str(line) for line in errors[-1].traceback] if errors else []


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
