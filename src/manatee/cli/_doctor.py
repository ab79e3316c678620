"""`manatee doctor`: what is here, what is missing, and how to get it."""

from __future__ import annotations

import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path

from manatee.errors import ManateeError
from manatee.settings import Settings


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `hint` says how to mend it."""

    name: str
    good: bool
    detail: str
    hint: str = ""


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Look at everything the main job needs. Changes nothing; the sandbox is tried for real."""
    return (_python(), _runtime(settings), *_sandbox(), _hardware())


def _python() -> Finding:
    return Finding("python", True, platform.python_version())


def _runtime(settings: Settings) -> Finding:
    from manatee.runtime import runtime_digest

    try:
        digest = runtime_digest(settings.runtime)
    except ManateeError as error:
        return Finding("runtime", False, error.message, error.hint)
    return Finding("runtime", True, f"{settings.runtime}: {digest}")


def _sandbox() -> tuple[Finding, ...]:
    from manatee.backends import SandboxBackend

    with tempfile.TemporaryDirectory(prefix="manatee-doctor-") as scratch:
        backend = SandboxBackend(Path(scratch), device_folder=Path(scratch) / "device")
        found = backend.probe()
    if found.usable:
        return (Finding("sandbox", True, "a guest started, isolated and limited"),)
    return tuple(Finding("sandbox", False, missing) for missing in found.missing)


def _hardware() -> Finding:
    devices = [path for path in ("/dev/sev-guest", "/dev/tdx_guest") if Path(path).exists()]
    detail = ", ".join(devices) or "no TEE device: evidence can only be simulated here"
    return Finding("tee", True, detail)
