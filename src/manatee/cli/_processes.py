"""Processes of one installation beside one another: who runs what, and who may not."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import threading
from enum import StrEnum
from pathlib import Path

from manatee.errors import ManateeError, SettingsError
from manatee.records import canonical_json, parse_json
from manatee.settings import Settings

LOCK = "serving.lock"


class Part(StrEnum):
    """What one process of several may run alone."""

    API = "api"
    RECONCILER = "reconciler"


def hold_alone(folder: Path) -> None:
    """Be the one process that runs the key broker in a folder, until this process ends.

    Raises:
        SettingsError: Another process runs it, or the folder cannot be written.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError(f"no key broker can be run in {folder} ({error.strerror}).") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise SettingsError(
            f"another process runs the key broker in {folder}.",
            hint="Its files are one process's: let that one end first.",
        ) from error
    _held.append(descriptor)


_held: list[int] = []
"""Locks that are given up when the process ends."""


def announce(settings: Settings, url: str) -> None:
    """Write `service.json` into the home folder: how others on this machine find the service."""
    path = settings.home / "service.json"
    temporary = path.with_suffix(".new")
    temporary.write_bytes(canonical_json({"url": url, "pid": os.getpid()}))
    temporary.replace(path)


def retract(settings: Settings) -> None:
    """Remove `service.json` if this process wrote it."""
    path = settings.home / "service.json"
    with contextlib.suppress(OSError, ManateeError):
        if parse_json(path.read_bytes()).get("pid") == os.getpid():
            path.unlink()


def refuse_embedded_broker(settings: Settings) -> None:
    """Refuse to run beside others while the home folder holds a key broker.

    Raises:
        SettingsError: It does. A broker's files are one process's.
    """
    if (settings.home / "keybroker" / "broker.json").exists():
        raise SettingsError(
            "the home folder holds a key broker, which one process alone may run.",
            hint="Move the folder away and run it by `manatee keybroker serve`, or leave --only.",
        )


def wait_for_the_end() -> None:
    """Return at SIGINT or SIGTERM."""
    told = threading.Event()
    ends = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: told.set()) for number in ends}
    try:
        told.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
