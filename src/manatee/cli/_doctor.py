"""`manatee doctor`: what is here, what is missing, and how to get it."""

from __future__ import annotations

import platform
import tempfile
from pathlib import Path

from manatee._clock import system_clock
from manatee.cli._findings import Finding
from manatee.errors import ManateeError
from manatee.settings import Settings


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Look at everything the main job needs. Changes nothing; the sandbox is tried for real."""
    return (
        _python(),
        _runtime(settings),
        *_sandbox(),
        _hardware(),
        _lab(),
        *_service(settings),
    )


def _service(settings: Settings) -> tuple[Finding, ...]:
    from importlib.util import find_spec

    if find_spec("sqlalchemy") is None:
        hint = "Install the extra: manatee[server]."
        return (Finding("service", True, "the service is left out", hint),)
    from manatee.cli import _doctor_service as service

    return (
        *service.database(settings, system_clock),
        *service.blobs(settings),
        service.disk(settings),
        service.secrets(settings),
        *service.dangerous(settings),
        service.clock_is_kept(),
        *service.tools(settings),
    )


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


def _lab() -> Finding:
    """The desk is no part of the main job: a missing one is told, and is no failure."""
    from importlib.util import find_spec

    from manatee.cli._lab_command import panel_is_built

    if find_spec("jupyterlab") is None or find_spec("manatee_lab") is None:
        return Finding("lab", True, "JupyterLab is left out", "Install the extra: manatee[lab].")
    if not panel_is_built():
        return Finding(
            "lab", True, "JupyterLab is here, its panel is not", "Install Node 20, then ./run."
        )
    return Finding("lab", True, "JupyterLab with the clean room's panel")
