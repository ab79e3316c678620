"""JupyterLab in front of a clean room: what it is told, and its process.

Token and age identity lie in files of the researcher's own that nobody else may read; the server
extension reads them, the browser never sees them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from manatee._clock import monotonic
from manatee.cli._people import Identity
from manatee.client import ManateeClient
from manatee.errors import MalformedError, ServiceUnreachableError, SettingsError
from manatee.notebook import SESSION_VARIABLE
from manatee.records import canonical_json, parse_json
from manatee.settings import plain_environment

START_SECONDS = 60
STOP_SECONDS = 20
STAGE_ONE = "stage-one"

CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "worker-src 'self' blob:; connect-src 'self'; frame-ancestors 'self'; base-uri 'self'"
)
"""Of JupyterLab's pages: nothing comes from elsewhere and nothing is sent there."""


@dataclass(frozen=True)
class DeskFiles:
    """What connects a JupyterLab to a service.

    Attributes:
        folder: Where the files are written; readable by its owner alone.
        projects: Projects that the form proposes.
        runtime: The runtime's folder, to know what can be imported there.
    """

    folder: Path
    url: str
    token: str
    identity: Identity
    trust: Path | None
    runtime_digest: str
    projects: tuple[str, ...]
    tee: str
    runtime: Path

    def write(self) -> None:
        """Write all files, in the place of earlier ones."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = {
            "format_version": 1,
            "url": self.url,
            "token": self.token,
            "runtime_digest": self.runtime_digest,
            "projects": list(self.projects),
            "tee": self.tee,
            "runtime": str(self.runtime.absolute()),
        }
        _write_private(self.folder / "connection.json", canonical_json(connection))
        _write_private(self.folder / "identity.json", canonical_json(self.identity))
        if self.trust is not None:
            shutil.copyfile(self.trust, self.folder / "trust.json")


def _write_private(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "wb") as file:
        file.write(data)


def prepare_stage_one(
    work: Path, desk: Path, client: ManateeClient, *, runtime: Path, notebooks: Sequence[Path]
) -> None:
    """Make what notebooks are written with: twins, a kernel, examples.

    Only the examples lie in `work`: whatever else is there could be packed into a submission.
    What is there already is kept.

    Raises:
        RuntimeEnvironmentError: The runtime has no Python.
    """
    work.mkdir(parents=True, exist_ok=True)
    hidden = desk / STAGE_ONE
    hidden.mkdir(mode=0o700, parents=True, exist_ok=True)
    datasets = {}
    for entry in client.datasets():
        version = entry.twin_version.removeprefix("sha256:")[:32]
        place = hidden / "twins" / version
        if not place.is_dir():
            client.download_twin(entry, place)
        datasets[entry.publication.dataset.name] = str(place)
    (hidden / "outputs").mkdir(exist_ok=True)
    session = {"datasets": datasets, "parameters": {}, "outputs": str(hidden / "outputs")}
    (hidden / "session.json").write_bytes(canonical_json(session))
    kernel = hidden / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True, exist_ok=True)
    python = str(runtime.absolute() / "bin" / "python")
    (kernel / "kernel.json").write_bytes(
        canonical_json(
            {
                "argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                "display_name": "Python 3 (clean room)",
                "language": "python",
                "metadata": {"debugger": True},
                "env": {SESSION_VARIABLE: str(hidden / "session.json")},
            }
        )
    )
    for notebook in notebooks:
        target = work / notebook.parent.name
        if not target.exists():
            shutil.copytree(notebook.parent, target)


def _configure(folder: Path, work: Path, desk: Path, port: int) -> list[str]:
    """Write JupyterLab's settings of ours, and return the options that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labconfig").mkdir(exist_ok=True)
    page = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (folder / "labconfig" / "page_config.json").write_bytes(canonical_json(page))
    config = {
        "ServerApp": {
            "root_dir": str(work),
            "ip": "127.0.0.1",
            "port": port,
            "open_browser": False,
            "tornado_settings": {"headers": {"Content-Security-Policy": CONTENT_POLICY}},
        },
        "KernelSpecManager": {"ensure_native_kernel": False},
        "ManateeLab": {"folder": str(desk)},
    }
    (folder / "jupyter_lab_config.json").write_bytes(canonical_json(config))
    return [f"--config={folder / 'jupyter_lab_config.json'}"]


@contextmanager
def running_jupyter(
    work: Path, desk: Path, *, port: int = 0, options: Sequence[str] = ()
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run JupyterLab in a process of its own while the block runs; its kernels end with it.

    Yields:
        Its address with its token, and the process.

    Raises:
        SettingsError: JupyterLab is not installed.
        ServiceUnreachableError: It did not come up; the end of its log is in the message.
    """
    hidden = desk / STAGE_ONE
    settings = hidden / "lab"
    command = [sys.executable, "-m", "jupyterlab", *_configure(settings, work, desk, port)]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    runtime = settings / "runtime"
    shutil.rmtree(runtime, ignore_errors=True)
    environment = {
        **plain_environment(),
        "JUPYTER_CONFIG_PATH": str(settings),
        "JUPYTER_PATH": str(hidden / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
    }
    with (settings / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *options],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _address(process, runtime, settings / "log"), process
    finally:
        _stop(process)


def _address(process: subprocess.Popen[bytes], runtime: Path, log: Path) -> str:
    deadline = monotonic() + START_SECONDS
    while True:
        for path in sorted(runtime.glob("jpserver-*.json")):
            with suppress(MalformedError, OSError):  # half written
                server = parse_json(path.read_bytes())
                return f"{server['url']}lab?token={server['token']}"
        if process.poll() is not None or monotonic() > deadline:
            end = log.read_text(errors="replace")[-800:]
            if "No module named jupyterlab" in end:
                raise SettingsError(
                    "JupyterLab is not installed.", hint="Install the extra: manatee[lab]."
                )
            raise ServiceUnreachableError(f"JupyterLab did not start: {end}")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
