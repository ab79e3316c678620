"""A clean room on this machine, and a JupyterLab of the researcher's in front of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manatee.cli._lab_demo import approve_as_provider
from manatee.cli._local_room import PROJECT, RESEARCHER
from manatee.cli._people import read_identity
from manatee.cli._researcher import Work, submit
from manatee.client import ManateeClient
from manatee.jobs import TERMINAL_STATES, JobState
from manatee.records import JobAnswer, parse_json

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Lab:
    """Addresses and secrets of everything that runs for the stories."""

    url: str
    """JupyterLab's, with its token."""
    demo: Path
    """The demo's folder."""
    provider: ManateeClient
    researcher: ManateeClient

    @property
    def folder(self) -> Path:
        """JupyterLab's folder."""
        return self.demo / "work"

    @property
    def desk(self) -> Path:
        """The server extension's folder."""
        return self.demo / "desk"

    @property
    def trust(self) -> Path:
        """Whom the researcher trusts."""
        return self.desk / "trust.json"

    @property
    def secrets(self) -> tuple[str, str]:
        """What must never reach the browser."""
        connection = parse_json((self.desk / "connection.json").read_bytes())
        return (connection["token"], read_identity(self.desk / "identity.json").identity)

    def approve(self, job: JobAnswer) -> None:
        """Approve as the data provider does."""
        self.until(job.id, "awaiting_approval")
        approve_as_provider(self.provider, self.demo / "room" / "provider" / "approver.json", job)

    def write(self, path: str, text: str) -> None:
        """Put a notebook into JupyterLab's folder, in a folder of its own."""
        (self.folder / path).parent.mkdir(exist_ok=True)
        (self.folder / path).write_text(text)

    def submit(self, path: str, purpose: str) -> JobAnswer:
        """Submit by the command line's function, and approve."""
        job = self.submit_only(path, purpose)
        self.approve(job)
        return job

    def submit_only(self, path: str, purpose: str) -> JobAnswer:
        """Submit by the command line's function."""
        return submit(
            Work(
                workspace=(self.folder / path).parent,
                notebook=Path(path).name,
                parameters={},
                datasets=("insurance",),
                declared_outputs=(),
                purpose=purpose,
                project=PROJECT,
                researcher=RESEARCHER,
                recipient=read_identity(self.desk / "identity.json").recipient,
            ),
            client=self.researcher,
            runtime=self.researcher.runtimes()[0],
        )

    def newest(self) -> JobAnswer:
        """Return the job that was submitted last."""
        return self.researcher.job_page(page_size=1).jobs[0]

    def until(self, job_id: str, *states: str) -> JobAnswer:
        """Wait for a job to come to one of some states, or to its end."""
        while True:
            job = self.researcher.job(job_id)
            if job.state in states or JobState(job.state) in TERMINAL_STATES:
                return job
            time.sleep(0.05)


def notebook(*cells: str, outputs: dict[int, list[dict[str, Any]]] | None = None) -> str:
    """Return a notebook of code cells; `outputs` gives saved ones, by the cell's number."""
    found = outputs or {}
    return json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {
                "kernelspec": {
                    "name": "python3",
                    "language": "python",
                    "display_name": "Python 3 (ipykernel)",
                },
                "language_info": {"name": "python"},
                "manatee": {"parameters": {"rows": 3}},
            },
            "cells": [
                {
                    "cell_type": "code",
                    "id": f"cell-{number}",
                    "metadata": {},
                    "execution_count": None,
                    "outputs": found.get(number, []),
                    "source": source,
                }
                for number, source in enumerate(cells, start=1)
            ],
        }
    )


def printed(text: str) -> dict[str, Any]:
    """Return a saved output of `print`."""
    return {"output_type": "stream", "name": "stdout", "text": text}


@contextmanager
def running_lab(folder: Path) -> Iterator[Lab]:
    """Run `manatee lab --demo` as a person does; in the end nothing of it may be left."""
    (folder / "jupyter").mkdir()
    exposed = {"LabApp": {"expose_app_in_browser": True}}
    (folder / "jupyter" / "jupyter_lab_config.json").write_text(json.dumps(exposed))
    demo = folder / "demo"
    command = [sys.executable, "-m", "manatee.cli", "lab", "--demo", "--dir", str(demo)]
    with (folder / "lab.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--no-browser", "--no-approvals"],
            cwd=REPOSITORY,
            env={**os.environ, "JUPYTER_CONFIG_DIR": str(folder / "jupyter")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), (folder / "lab.log").read_text()
        values = _assignments(demo / "provider.env")
        desk = parse_json((demo / "desk" / "connection.json").read_bytes())
        with (
            ManateeClient(values["MANATEE_URL"], values["MANATEE_TOKEN"]) as provider,
            ManateeClient(desk["url"], desk["token"]) as researcher,
        ):
            yield Lab(url, demo, provider, researcher)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)
        if process.stdout is not None:
            process.stdout.close()
    assert _processes_in(demo) == []


def _assignments(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def _processes_in(folder: Path) -> list[str]:
    """Return the command lines of processes that name a folder, or were started for it."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            text = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
            if str(folder).encode() in text and path.name != str(os.getpid()):
                found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found
