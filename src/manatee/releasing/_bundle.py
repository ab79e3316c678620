"""Fetching what a run left: outputs opened, proof beside them, in one folder."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from manatee.bundle import write_bundle
from manatee.client import ManateeClient
from manatee.records import OutputFile
from manatee.sealing import open_outputs


def fetch_bundle(
    client: ManateeClient, job_id: str, *, identity: str, folder: Path
) -> tuple[OutputFile, ...]:
    """Download a released job's outputs and proof, and write its run bundle.

    Raises:
        JobFailedError: The job ended without a release.
        ConflictError: The job has not ended, or the folder exists.
        SealingError: The outputs were sealed to another identity.
    """
    scratch = Path(tempfile.mkdtemp(prefix="manatee-"))
    try:
        sealed = scratch / "outputs.age"
        client.download_outputs(job_id, sealed)
        outputs = open_outputs(sealed.read_bytes(), identity)
        client.download_workspace(client.job(job_id), scratch / "workspace.tar")
        write_bundle(
            folder,
            result=client.result(job_id),
            workspace_archive=scratch / "workspace.tar",
            outputs=outputs,
            log_proof=client.log_proof(job_id),
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return outputs.files
