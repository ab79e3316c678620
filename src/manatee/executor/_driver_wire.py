"""What executor and driver say to each other: one job in, then lines of JSON out.

The driver reads messages of the researcher's kernel, so the executor reads the driver strictly.
"""

from typing import Annotated, Literal

import msgspec

from manatee.records import Record

Outcome = Literal["finished", "cell_error", "time", "kernel_died", "output_size", "not_started"]


class DriverJob(Record, frozen=True, kw_only=True):
    """Everything the driver is told, once, on its standard input.

    Attributes:
        notebook: The submitted notebook, JSON text.
        kernel: Command that starts the kernel in its sandbox.
        connection: Path of the connection file to write; the sandbox binds it.
        sockets: Path prefix of the sockets to the kernel.
        cell_seconds: Longest run of one cell.
        output_bytes: Most that all cells together may send.
        memory_bytes: Most private memory of the driver itself.
    """

    notebook: str
    kernel: tuple[str, ...]
    connection: str
    sockets: str
    cell_seconds: int
    output_bytes: int
    memory_bytes: int


class CellEvent(Record, frozen=True, kw_only=True, tag_field="type", tag="cell"):
    """A code cell started or finished; counted from 1."""

    cell: Annotated[int, msgspec.Meta(ge=1)]
    state: Literal["started", "finished"]


class RunEnded(Record, frozen=True, kw_only=True, tag_field="type", tag="ended"):
    """The last line. Partial outputs are in `notebook` too."""

    outcome: Outcome
    cell: Annotated[int, msgspec.Meta(ge=1)] | None = None
    ename: Annotated[str, msgspec.Meta(max_length=200)] = ""
    errno: int | None = None
    line: Annotated[int, msgspec.Meta(ge=1)] | None = None
    notebook: str = ""
    """The executed notebook, JSON text."""
