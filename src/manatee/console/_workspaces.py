"""Downloading and unpacking the code of jobs, for as long as a page is made."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from manatee.client import ManateeClient
from manatee.records import JobAnswer
from manatee.workspace import unpack

_APPROVED = frozenset(
    {
        "approved",
        "building",
        "built",
        "launching",
        "attesting",
        "running",
        "output_check",
        "awaiting_release",
        "released",
        "failed",
    }
)
"""States that a job reaches with all approvals only; `failed` may be without, and is looked at."""


@contextmanager
def workspace(client: ManateeClient, job: JobAnswer) -> Iterator[Path]:
    """Give a folder with a job's code, checked against the manifest's digest."""
    with tempfile.TemporaryDirectory(prefix="manatee-console-") as scratch:
        archive, folder = Path(scratch) / "workspace.tar", Path(scratch) / "code"
        client.download_workspace(job, archive)
        unpack(archive, folder, expected=job.manifest.workspace_digest)
        yield folder


def last_approved(jobs: list[JobAnswer], job: JobAnswer) -> JobAnswer | None:
    """Return the newest earlier job of the same researcher, project and notebook that ran."""
    for other in jobs:  # newest first
        same = (
            other.id != job.id
            and other.created_at <= job.created_at
            and other.manifest.researcher == job.manifest.researcher
            and other.manifest.project == job.manifest.project
            and other.manifest.entry_notebook == job.manifest.entry_notebook
        )
        if same and other.state in _APPROVED and (other.state != "failed" or other.exit):
            return other
    return None
