"""What the executor does, from the first line to the last."""

from __future__ import annotations

import json
import threading
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manatee.errors import (
    AttestationError,
    BrokerUnreachableError,
    GuestChannelError,
    InputError,
    KeyDeniedError,
    ManateeError,
    OutputCheckError,
    SealingError,
    TooLargeError,
)
from manatee.executor._attester import Attester, attester_for
from manatee.executor._channel import GuestChannel
from manatee.executor._driver_process import DriverProcess
from manatee.executor._driver_start import Driver
from manatee.executor._driver_wire import CellEvent
from manatee.executor._keys import brokers, get_keys
from manatee.executor._limits_seen import KernelCgroups
from manatee.executor._places import Places
from manatee.executor._plan import Job, read_plan
from manatee.executor._protect import protect_memory, silence
from manatee.executor._release import Leaving, leaving
from manatee.executor._result import sign_run
from manatee.executor._run import prepare, run_notebook
from manatee.executor._twin_reports import check_noise, twin_reports
from manatee.records import (
    BrokerSession,
    Cause,
    ExitStatus,
    FileEntry,
    GuestEvent,
    GuestResult,
    Phase,
    ResultManifest,
    TwinReport,
    digest_bytes,
    recipients_of,
    to_base64,
)
from manatee.sealing import seal_outputs, unseal_to_arrow
from manatee.workspace import check_notebook, check_parameters, unpack

SEALED_NAME = "outputs.age"

_CAUSES: tuple[tuple[type[ManateeError], Cause], ...] = (
    (KeyDeniedError, Cause.KEY_DENIED),
    (BrokerUnreachableError, Cause.BROKER),
    (AttestationError, Cause.ATTESTATION),
    (SealingError, Cause.DATA),
    (OutputCheckError, Cause.OUTPUT_POLICY),
    (TooLargeError, Cause.OUTPUT_SIZE),
    (InputError, Cause.WORKSPACE),
    (GuestChannelError, Cause.BACKEND),
    (ManateeError, Cause.INTERNAL),
)
"""Error class to cause, the first that fits."""


@dataclass
class _Progress:
    """Tells the host what is being done; `seq` counts from 1."""

    channel: GuestChannel
    seq: int = 0

    def phase(self, phase: Phase) -> None:
        self.seq += 1
        self.channel.event(GuestEvent(seq=self.seq, phase=phase))

    def cell(self, event: CellEvent, total: int) -> None:
        self.seq += 1
        self.channel.event(
            GuestEvent(
                seq=self.seq,
                phase="running",
                cell=event.cell,
                cells_total=total,
                cell_state=event.state,
            )
        )


@dataclass
class _Run:
    """What is known of the run so far; the result is made from it however the run ends."""

    sessions: list[BrokerSession] = field(default_factory=list)
    exit: ExitStatus = field(
        default_factory=lambda: ExitStatus(
            succeeded=False, cells_run=0, cells_total=0, cause=Cause.INTERNAL
        )
    )
    leaving: Leaving = field(default_factory=Leaving)
    twin_reports: tuple[TwinReport, ...] = ()


def main(arguments: list[str], waiting: Driver) -> int:
    """Carry one job out.

    Args:
        arguments: The run folder.
        waiting: The driver, started and waiting for a job.

    Returns:
        0 once a result was delivered, whatever the result says.
    """
    places = Places(run=Path(arguments[0]))
    # 1. nobody reads this process's memory
    protect_memory()
    # 2. the plan, and that everything in it is what the job digest names
    job = read_plan(places.plan)
    if job.secure:
        silence()
    channel = GuestChannel(places.channel)
    attester = attester_for(job.plan.manifest.backend_kind, channel)
    run = _Run()
    try:
        _carry_out(job, places, channel, attester, waiting, run)
    except ManateeError as error:
        run.exit = _failed(run.exit, error)
        run.leaving = Leaving()
        if not job.secure:
            print(f"failed: {type(error).__name__}: {error}", flush=True)
    except Exception as error:  # noqa: BLE001  # the process's boundary: a result must still go out
        run.exit = _failed(run.exit, ManateeError("something unforeseen happened."))
        run.leaving = Leaving()
        if not job.secure:
            traceback.print_exception(error)
    _deliver(job, channel, attester, run)
    return 0


def _carry_out(
    job: Job,
    places: Places,
    channel: GuestChannel,
    attester: Attester,
    waiting: Driver,
    run: _Run,
) -> None:
    plan, manifest = job.plan, job.plan.manifest
    progress = _Progress(channel)
    progress.phase("starting")
    # 3. limits for the kernel exist; the driver has none of the secrets to come
    cgroups = KernelCgroups(places.cgroups)
    with DriverProcess(waiting, cgroups) as driver:
        places.make()
        # 4. the workspace is the submitted one, and its notebook can be run
        unpack(places.workspace_archive, places.workspace, expected=manifest.workspace_digest)
        submitted, parameters = _notebook(places, job)
        check_noise(job)
        # 5. attest to each key broker and open its keys
        keys: dict[str, bytes] = {}
        if job.secure:
            progress.phase("attesting")
            for broker_id, datasets in brokers(job).items():
                opened = get_keys(job, broker_id, datasets, channel=channel, attester=attester)
                run.sessions.append(opened.session)
                keys |= opened.keys
        # 6. verify and open the tables; each key is let go as soon as it was used
        progress.phase("opening")
        for dataset in plan.datasets:
            places.open_dataset(dataset.name).mkdir(mode=0o700)
            unseal_to_arrow(
                places.sealed_dataset(dataset.name),
                dataset.files,
                keys.pop(dataset.name) if job.secure else None,
                places.table(dataset.name),
            )
        # 6b. measure where the twins mislead, before any code of the researcher's has run
        run.twin_reports = twin_reports(job, places)
        # 7. run the notebook in the kernel's sandbox
        driver_job = prepare(
            places,
            job.resources,
            submitted=submitted,
            entry=manifest.entry_notebook,
            datasets=tuple(dataset.name for dataset in plan.datasets),
            parameters=parameters,
        )
        progress.phase("running")
        threading.Thread(target=_load_checks, daemon=True).start()
        ran = run_notebook(
            driver,
            cgroups,
            driver_job,
            places,
            job.resources,
            submitted=submitted,
            on_cell=progress.cell,
        )
        run.exit = ran.exit
    # 8. check what it left; the kernel is gone, nothing changes any more
    progress.phase("output_check")
    run.leaving = leaving(job, places, ran)
    run.exit = run.leaving.judge(run.exit)
    # 9. seal what may leave (sent in `_deliver`, once the statement is attested)
    progress.phase("sealing")
    if run.leaving.outputs.files:
        recipients = manifest.output_recipients
        if job.secure:
            recipients = recipients_of(recipients, job.plan.output_policy)
        run.leaving.sealed = seal_outputs(run.leaving.outputs, recipients)
        if len(run.leaving.sealed) > job.resources.output_bytes:
            raise TooLargeError("the sealed outputs are over the resource class's output size.")


def _load_checks() -> None:
    """Load what the output check will need, while the kernel starts and this process waits."""
    import pyarrow as pa
    import pyarrow.compute

    pa.array([0])  # makes pyarrow look for pandas, which takes long where there is one


def _notebook(places: Places, job: Job) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the submitted notebook and the run's parameters; no kernel has run yet."""
    path = places.workspace / job.plan.manifest.entry_notebook
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError("the entry notebook is not in the workspace.") from error
    info = check_notebook(data)
    return json.loads(data), check_parameters(info.parameters, job.plan.manifest.parameters)


def _failed(so_far: ExitStatus, error: ManateeError) -> ExitStatus:
    cause = next(cause for kind, cause in _CAUSES if isinstance(error, kind))
    return ExitStatus(
        succeeded=False,
        cells_run=so_far.cells_run,
        cells_total=so_far.cells_total,
        cause=cause,
        check=_check(error),
    )


def _check(error: ManateeError) -> str | None:
    if isinstance(error, KeyDeniedError):
        return error.check
    return "output-files" if isinstance(error, OutputCheckError) else None


def _deliver(job: Job, channel: GuestChannel, attester: Attester, run: _Run) -> None:
    """Sign what happened if keys were released, then send outputs and result, in this order."""
    signed = None
    if run.sessions:
        try:
            # 10. the statement, and evidence that binds it
            signed = sign_run(job, _result(job, run), tuple(run.sessions), attester)
        except (AttestationError, GuestChannelError):
            run.exit = ExitStatus(
                succeeded=False,
                cells_run=run.exit.cells_run,
                cells_total=run.exit.cells_total,
                cause=Cause.ATTESTATION,
            )
            run.leaving = Leaving()
    # 11. outputs first, the result last
    if run.leaving.sealed:
        channel.outputs(run.leaving.sealed)
    channel.result(
        GuestResult(
            job_digest=job.digest,
            attempt=job.plan.attempt,
            exit=run.exit,
            envelope=to_base64(signed.envelope) if signed else None,
            evidence=signed.evidence if signed else None,
        )
    )


def _result(job: Job, run: _Run) -> ResultManifest:
    sealed = run.leaving.sealed
    return ResultManifest(
        job_digest=job.digest,
        exit=run.exit,
        outputs=run.leaving.outputs.entries(),
        sealed_outputs=FileEntry(path=SEALED_NAME, sha256=digest_bytes(sealed), size=len(sealed))
        if sealed
        else None,
        disclosure=run.leaving.disclosure(job.plan.manifest.output_policy_digest),
        twin_reports=run.twin_reports,
    )
