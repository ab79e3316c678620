"""A Jupyter kernel manager that starts one fixed command and looks for no kernelspec."""

from __future__ import annotations

from typing import Any

import zmq.asyncio
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

RECONNECT_MILLISECONDS = 5
"""How soon a socket tries again that was there before the kernel bound it."""

QUEUED_MESSAGES = 100
"""Messages of the kernel that wait in the driver's memory at most, per socket."""


def bounded_context(max_message_bytes: int) -> zmq.asyncio.Context:
    """Return a ZeroMQ context whose sockets drop a peer that sends a larger message."""
    context = zmq.asyncio.Context()
    context.setsockopt(zmq.MAXMSGSIZE, max_message_bytes)
    context.setsockopt(zmq.RCVHWM, QUEUED_MESSAGES)
    context.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MILLISECONDS)
    context.setsockopt(zmq.LINGER, 0)
    return context


class SandboxedKernelManager(AsyncKernelManager):  # type: ignore[misc]  # jupyter_client is untyped
    """Starts the kernel by the command it is given; environment and kernelspecs play no part."""

    def __init__(self, command: list[str], **traits: Any) -> None:
        super().__init__(**traits)
        spec = KernelSpec(argv=command, display_name="Python 3", language="python")
        self._fixed_spec = spec
        self.provisioner = LocalProvisioner(
            kernel_id="kernel", kernel_spec=spec, parent=self, log=self.log
        )

    @property
    def kernel_spec(self) -> KernelSpec:
        """The one command, whatever the notebook's metadata asks for."""
        return self._fixed_spec
