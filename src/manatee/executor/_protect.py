"""Shutting the agent's memory to every other process of its user."""

import ctypes
import os
import resource

from manatee.errors import BackendError

_PR_SET_DUMPABLE = 4  # linux/prctl.h
_PR_GET_DUMPABLE = 3


def protect_memory() -> None:
    """Make this process undumpable: no core file, no ptrace, no /proc/PID/mem by its own user.

    Effects: lasts until the process executes another program.

    Raises:
        BackendError: The kernel did not do it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 or libc.prctl(_PR_GET_DUMPABLE) != 0:
        raise BackendError("the executor's memory cannot be protected.")


def silence() -> None:
    """Send standard output and error to nowhere: logs are off outside in stage `secure`."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
