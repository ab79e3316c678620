"""Reading what a guest left, strictly, to decide the job's state.

The signature and the evidence are **not** verified here: the control plane is not who relies on
them. Providers, researchers and auditors verify the run bundle themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from manatee.bundle import read_statement, run_entry
from manatee.errors import BackendError, BundleError, InputError
from manatee.records import ExitStatus, GuestResult, read_record, unbase64
from manatee.store import Job


@dataclass(frozen=True)
class ReadResult:
    """What the result says, by its own account.

    Attributes:
        outputs_digest: Digest of the sealed outputs that the run statement names.
    """

    exit: ExitStatus
    checks_passed: bool
    outputs_digest: str | None


def read_result(job: Job, result: GuestResult) -> ReadResult:
    """Read a guest's result.

    Raises:
        BackendError: It is another job's or attempt's, contradicts itself, or a run said to have
            succeeded carries no statement or no outputs.
    """
    if result.job_digest != job.job_digest or result.attempt != job.attempt:
        raise BackendError("the guest's result is of another job or attempt.")
    if result.envelope is None:
        if result.exit.succeeded:
            raise BackendError("a run said to have succeeded carries no statement.")
        return ReadResult(result.exit, checks_passed=False, outputs_digest=None)
    try:
        statement, _payload, _key = read_statement(unbase64(result.envelope))
    except (InputError, BundleError) as error:
        raise BackendError("the guest's run statement does not parse.") from error
    run = statement.predicate
    if (
        run.manifest != job.manifest
        or run.attempt != job.attempt
        or run.result.job_digest != job.job_digest
        or run.result.exit != result.exit
    ):
        raise BackendError("the guest's result and its run statement contradict one another.")
    checks = run.result.disclosure.checks
    sealed = run.result.sealed_outputs
    if result.exit.succeeded and sealed is None:
        raise BackendError("a run said to have succeeded carries no sealed outputs.")
    return ReadResult(
        exit=result.exit,
        checks_passed=bool(checks) and all(check.passed for check in checks),
        outputs_digest=None if sealed is None else sealed.sha256,
    )


def logged_as(stored: bytes) -> bytes | None:
    """Return the entry of a stored result for the log of runs; None if it has no statement.

    Raises:
        MalformedError, BundleError: It is not what `read_result` let in.
    """
    result = read_record(stored, GuestResult, what="result", max_bytes=len(stored))
    if result.envelope is None:
        return None
    _statement, payload, _key = read_statement(unbase64(result.envelope))
    return run_entry(payload, result.job_digest)
