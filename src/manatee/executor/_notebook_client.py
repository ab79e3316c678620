"""nbclient, with bounds on what the kernel may send and a quicker eye for its death."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

import zmq
import zmq.asyncio
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from traitlets import Int

START_SECONDS = 60.0
"""Longest wait for a kernel to answer for the first time."""

ALIVE_SECONDS = 0.1
"""How often a running cell's kernel is looked at."""

DROPPED_SECONDS = 0.5
"""How long a kernel that hung up is given to turn out dead, rather than cut off for size."""

MESSAGE_OVERHEAD = 256
"""Bytes every message counts on top of its content: empty messages fill memory too."""


class OutputSizeError(Exception):
    """The kernel sent more than it may. Never leaves the driver."""


class BoundedClient(NotebookClient):  # type: ignore[misc]  # nbclient is untyped
    """Runs cells of one notebook on a started kernel."""

    output_bytes = Int()

    received = 0
    timed_out = False
    oversized = False
    cut_off: asyncio.Future[None]
    hang_ups: zmq.asyncio.Socket

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Count a message, then let nbclient take it. Raises OutputSizeError."""
        content = msg["content"]
        text = content.get("text")
        size = len(text) if isinstance(text, str) else len(json.dumps(content, default=str))
        self.received += size + MESSAGE_OVERHEAD
        if self.received > self.output_bytes:
            raise OutputSizeError
        if msg["msg_type"].startswith("comm_"):
            return None  # no widgets: they could rewrite outputs of other cells
        return super().process_message(msg, cell, cell_index)

    async def connect(self) -> None:
        """Open the channels and wait until the kernel answers and its output is heard.

        Raises:
            DeadKernelError: The kernel ended instead, or did not answer in `START_SECONDS`.
        """
        self.kc = self.km.client()
        self.kc.start_channels(hb=False, stdin=False)
        self.kc.allow_stdin = False
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        self.kc.kernel_info()
        replied = heard = False
        while not (replied and heard):
            if not replied:
                replied = bool(await self.kc.shell_channel.socket.poll(20))
                if replied:
                    await self.kc.shell_channel.get_msg()
            if not heard:
                heard = bool(await self.kc.iopub_channel.socket.poll(20))
            if replied and not heard:
                self.kc.kernel_info()  # its status message will be heard, if nothing else was
                replied = False
            if not await self.km.is_alive() or asyncio.get_running_loop().time() > deadline:
                raise DeadKernelError("the kernel did not start")
        self.hang_ups = self.kc.iopub_channel.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self.cut_off = asyncio.ensure_future(self._watch_output())

    async def run_cell(self, cell: Any, index: int) -> None:
        """Run one cell.

        Raises:
            CellExecutionError: It failed.
            DeadKernelError: The kernel ended.
            CellTimeoutError: It ran too long; `timed_out` is true then.
            OutputSizeError: The kernel sent too much.
        """
        running = asyncio.ensure_future(self.async_execute_cell(cell, index))
        await asyncio.wait({running, self.cut_off}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            running.cancel()
            raise OutputSizeError
        try:
            await running
        except CellTimeoutError:
            if self.timed_out:
                raise
            raise OutputSizeError from None  # output was lost on the way: it was too much
        if await self.hang_ups.poll(0):
            raise OutputSizeError  # ZeroMQ dropped a message and connected again

    async def _watch_output(self) -> None:
        """Return when a live kernel's output socket was dropped: a message was over the limit."""
        await self.hang_ups.poll()
        await asyncio.sleep(DROPPED_SECONDS)
        if not await self.km.is_alive():
            await asyncio.Event().wait()  # it died: whoever runs the cell will notice

    async def _async_poll_output_msg(self, parent_msg_id: str, cell: Any, cell_index: int) -> None:
        try:
            await super()._async_poll_output_msg(parent_msg_id, cell, cell_index)
        except (OutputSizeError, ValueError, KeyError, TypeError, AttributeError, IndexError):
            # too much, or not Jupyter messages at all: stop waiting for the reply
            if self.task_poll_for_reply is not None:
                self.oversized = True
                self.task_poll_for_reply.cancel()

    async def _async_poll_kernel_alive(self) -> None:
        while await self.km.is_alive():  # noqa: ASYNC110  # a process, not a task
            await asyncio.sleep(ALIVE_SECONDS)
        if self.task_poll_for_reply is not None:
            self.task_poll_for_reply.cancel()

    def _async_handle_timeout(self, timeout: int, cell: Any = None) -> Awaitable[Any]:
        self.timed_out = True
        return super()._async_handle_timeout(timeout, cell)  # type: ignore[no-any-return]
