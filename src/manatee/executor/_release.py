"""What may leave the guest: the checked notebook and the declared files, or nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from manatee.executor._files import take_files
from manatee.executor._notebook import NOTEBOOK, notebook_bytes
from manatee.executor._places import Places
from manatee.executor._plan import Job
from manatee.executor._run import Ran
from manatee.outputs import check_outputs, clean_notebook, passed, strip_errors
from manatee.records import (
    Cause,
    DisclosureRecord,
    ExitStatus,
    OutputCheck,
    OutputFile,
    RunOutputs,
)


@dataclass
class Leaving:
    """Outputs that may leave, the checks they passed or failed, and the sealed bytes once made."""

    outputs: RunOutputs = field(default_factory=RunOutputs)
    checks: tuple[OutputCheck, ...] = ()
    sealed: bytes | None = None

    def disclosure(self, policy_digest: str) -> DisclosureRecord:
        """Return the record of the checks; it has none if the run ended before them."""
        return DisclosureRecord(policy_digest=policy_digest, checks=self.checks)

    def judge(self, status: ExitStatus) -> ExitStatus:
        """Return the exit status, with the first failed check in it if one failed."""
        failed = next((check.name for check in self.checks if not check.passed), None)
        if failed is None:
            return status
        cause = Cause.OUTPUT_POLICY if status.cause is None else status.cause
        return msgspec.structs.replace(status, succeeded=False, cause=cause, check=failed)


def leaving(job: Job, places: Places, ran: Ran) -> Leaving:
    """Check a run's outputs and decide what leaves.

    In a rehearsal everything leaves, tracebacks too: it is made from twins, for the researcher.
    In a secure run that failed nothing does, and nothing is said of it: there would be nobody to
    release it. In one that did not, error messages are stripped, and what does not pass stays.

    Raises:
        OutputCheckError: The output folder holds links, devices or too much.
        TooLargeError: The declared outputs are over the class's size.
    """
    plan = job.plan
    if job.secure and not ran.exit.succeeded:
        return Leaving()
    notebook = clean_notebook(ran.notebook)
    harmless = strip_errors(notebook)
    taken = take_files(
        places.outputs, plan.manifest.declared_outputs, max_bytes=job.resources.output_bytes
    )
    record = check_outputs(
        notebook=harmless,
        files=taken.files,
        declared=plan.manifest.declared_outputs,
        policy=plan.output_policy,
        tables={dataset.name: places.table(dataset.name) for dataset in plan.datasets},
    )
    checks = (*record.checks, _undeclared(taken.undeclared > 0))
    shown = harmless if job.secure else notebook
    files = (OutputFile(path=NOTEBOOK, data=notebook_bytes(shown)), *taken.files)
    if job.secure and not passed(record):
        files = ()
    return Leaving(outputs=RunOutputs(files), checks=checks)


def _undeclared(some: bool) -> OutputCheck:
    return OutputCheck(
        name="undeclared-files",
        title="Only declared files leave",
        passed=True,
        reason="Others were left behind." if some else "There are no others.",
    )
