"""What an output reviewer does, on her own machine: open, look, and seal again for the researcher.

The guest has sealed the outputs to the reviewers alone, because the output policy that it was
attested with says so; the service cannot hand them to the researcher before.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from manatee.bundle import read_statement
from manatee.client import ManateeClient
from manatee.errors import ConflictError, NotVerifiedError
from manatee.records import (
    GuestResult,
    JobAnswer,
    Review,
    RunOutputs,
    RunPredicate,
    unbase64,
)
from manatee.sealing import open_outputs, seal_outputs


@dataclass(frozen=True)
class ForReview:
    """Outputs that wait for a decision, and what their guest said of them."""

    job: JobAnswer
    outputs: RunOutputs
    run: RunPredicate


def open_for_review(client: ManateeClient, job_id: str, *, identity: str) -> ForReview:
    """Download and open the outputs of a job, checked against the run's signed statement.

    The statement's evidence is not appraised here: `manatee review open` writes a run bundle, and
    `manatee verify` appraises it.

    Args:
        client: The reviewer's.
        job_id: Of a job that waits for release, or was released.
        identity: The reviewer's age identity.

    Raises:
        ConflictError: The job has no outputs that wait.
        SealingError: They were sealed to other reviewers.
        NotVerifiedError: They are not those of the statement, or it is another job's.
    """
    job = client.job(job_id)
    run = statement_of(client.result(job_id), job)
    folder = Path(tempfile.mkdtemp(prefix="manatee-review-"))
    try:
        client.download_outputs(job_id, folder / "outputs.age")
        outputs = open_outputs((folder / "outputs.age").read_bytes(), identity)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    check_outputs(outputs, run)
    return ForReview(job=job, outputs=outputs, run=run)


def statement_of(result: GuestResult, job: JobAnswer) -> RunPredicate:
    """Return what a run's statement says.

    Raises:
        NotVerifiedError: There is none, or it is of another job.
    """
    if result.envelope is None:
        raise NotVerifiedError("the run left no signed statement.")
    statement, _payload, _key = read_statement(unbase64(result.envelope))
    run = statement.predicate
    if run.result.job_digest != job.job_digest or run.manifest != job.manifest:
        raise NotVerifiedError("the run statement is that of another job.")
    return run


def check_outputs(outputs: RunOutputs, run: RunPredicate) -> None:
    """Check that opened outputs are those that a run's statement lists.

    Raises:
        NotVerifiedError: They are not.
    """
    found = {(entry.path, entry.commitment) for entry in outputs.entries()}
    if found != {(entry.path, entry.commitment) for entry in run.result.outputs}:
        raise NotVerifiedError(
            "the outputs are not those of the run statement.",
            hint="Do not release them; tell the operator.",
        )


def approve(client: ManateeClient, item: ForReview, *, reason: str) -> JobAnswer:
    """Say yes: seal the outputs for the job's recipients, upload that, and decide. Idempotent.

    Raises:
        ConflictError: The job does not wait for release, or was decided otherwise.
    """
    sealed = seal_outputs(item.outputs, item.job.manifest.output_recipients)
    digest = client.upload_bytes(sealed)
    review = Review(decision="approve", reason=reason, outputs_digest=digest)
    return client.review(item.job.id, review)


def reject(client: ManateeClient, job_id: str, *, reason: str) -> JobAnswer:
    """Say no: nothing leaves, and the job ends rejected.

    Raises:
        ConflictError: The job does not wait for release, or no reason is given.
    """
    if not reason.strip():
        raise ConflictError("a no needs a reason.", hint="The researcher will read it.")
    return client.review(job_id, Review(decision="reject", reason=reason))
