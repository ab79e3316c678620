"""What a researcher does: rehearse on the twin, submit, follow, fetch and prove."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from manatee._clock import monotonic
from manatee.errors import JobFailedError, ManifestError, UnknownDatasetError
from manatee.records import (
    CatalogueEntry,
    DatasetUse,
    Digest,
    ExitStatus,
    GuestPlan,
    JobAnswer,
    JobManifest,
    OutputFile,
    Scalar,
    check_manifest,
    check_twin_report,
    digest_record,
    resource_class,
)
from manatee.runtime import runtime_digest
from manatee.sealing import open_outputs
from manatee.workspace import check_parameters, pack, read_notebook

if TYPE_CHECKING:
    from manatee.backends import Backend
    from manatee.client import ManateeClient

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Work:
    """What the researcher wants to run; both stages use it unchanged."""

    workspace: Path
    notebook: str
    parameters: Mapping[str, Scalar]
    datasets: tuple[str, ...]
    declared_outputs: tuple[str, ...]
    purpose: str
    project: str
    researcher: str
    recipient: str
    resource_class: str = "small"
    backend_kind: str = "sandbox"
    submission: int = 1
    twin_report: bool = False


@dataclass(frozen=True)
class RehearsalOutcome:
    """How the notebook did on the twin; `files` are its outputs, opened."""

    exit: ExitStatus
    files: tuple[OutputFile, ...]


@contextmanager
def packed(work: Work) -> Iterator[tuple[Path, Digest, Mapping[str, Scalar]]]:
    """Pack the workspace into a temporary archive.

    Yields:
        The archive, its digest, and the notebook's parameters with the given ones in place.

    Raises:
        WorkspaceError: The folder cannot be packed safely.
        NotebookError: The notebook is missing or cannot be run.
        UnknownParameterError: A parameter the notebook does not declare, or of another type.
    """
    with tempfile.TemporaryDirectory(prefix="manatee-") as scratch:
        archive = Path(scratch) / "workspace.tar"
        digest = pack(work.workspace, archive)
        info = read_notebook(archive, work.notebook)
        yield archive, digest, check_parameters(info.parameters, work.parameters)


def _common_policy(entries: tuple[CatalogueEntry, ...]) -> str:
    digests = {entry.output_policy_digest for entry in entries}
    if len(digests) != 1:
        raise ManifestError(
            "the data sets have different output policies.",
            hint="A job runs under one; ask the providers to agree, or use fewer data sets.",
        )
    return digests.pop()


def catalogue_entries(client: ManateeClient, names: tuple[str, ...]) -> tuple[CatalogueEntry, ...]:
    """Look data sets up in the catalogue.

    Raises:
        UnknownDatasetError: A name nobody published; the message lists those that are.
    """
    known = {entry.publication.dataset.name: entry for entry in client.datasets()}
    for name in names:
        if name not in known:
            raise UnknownDatasetError(
                f"there is no data set {name!r}.",
                hint=f"The catalogue has: {', '.join(sorted(known)) or 'none yet'}.",
            )
    return tuple(known[name] for name in names)


def _manifest(
    work: Work,
    *,
    stage: str,
    entries: tuple[CatalogueEntry, ...],
    workspace: Digest,
    runtime: str,
    parameters: Mapping[str, Scalar],
) -> JobManifest:
    manifest = JobManifest(
        stage="secure" if stage == "secure" else "rehearsal",
        project=work.project,
        researcher=work.researcher,
        purpose=work.purpose,
        submission=work.submission,
        runtime_digest=runtime,
        workspace_digest=workspace,
        entry_notebook=work.notebook,
        parameters=dict(parameters),
        datasets=tuple(
            DatasetUse(
                name=entry.publication.dataset.name,
                version=entry.version if stage == "secure" else entry.twin_version,
            )
            for entry in entries
        ),
        declared_outputs=work.declared_outputs,
        output_policy_digest=_common_policy(entries),
        output_recipients=(work.recipient,),
        resource_class=work.resource_class,
        backend_kind=work.backend_kind,
        twin_report=work.twin_report and stage == "secure",
    )
    check_manifest(manifest)
    return manifest


def rehearse(
    work: Work,
    *,
    client: ManateeClient,
    backend: Backend,
    runtime: Path,
    identity: str,
    progress: Callable[[str], None],
) -> RehearsalOutcome:
    """Run the notebook on the twins, in the very sandbox and runtime of stage two.

    No key, no evidence and no approval are needed: the twins are low-risk. Outputs come back with
    error messages and all, since the twin is what they can speak of.

    Raises:
        BackendUnavailableError: Isolation cannot be had here.
        JobFailedError: The guest was lost.
    """
    from manatee.backends import GuestInputs, GuestState

    entries = catalogue_entries(client, work.datasets)
    with packed(work) as (archive, digest, parameters):
        twins = archive.parent / "twins"
        for entry in entries:
            client.download_twin(entry, twins / entry.publication.twin.name)
        manifest = _manifest(
            work,
            stage="rehearsal",
            entries=entries,
            workspace=digest,
            runtime=runtime_digest(runtime),
            parameters=parameters,
        )
        plan = backend.plan(
            GuestInputs(
                plan=GuestPlan(
                    manifest=manifest,
                    attempt=1,
                    datasets=tuple(entry.publication.twin for entry in entries),
                    output_policy=entries[0].publication.output_policy,
                ),
                resources=resource_class(work.resource_class),
                workspace=archive,
                datasets={use.name: twins / use.name for use in manifest.datasets},
                runtime=runtime,
                broker_urls={},
            )
        )
        handle = backend.launch(plan)
        try:
            deadline = monotonic() + resource_class(work.resource_class).wall_seconds + 60
            seen = -1
            while True:
                status = backend.status(handle)
                for event in backend.events(handle, seen):
                    seen = event.seq
                    progress(describe_event(event.phase, event.cell, event.cells_total))
                if status.state.ended or monotonic() > deadline:
                    break
                time.sleep(POLL_SECONDS)
            if status.state is not GuestState.SUCCEEDED:
                cause = status.cause.value if status.cause else "lost"
                raise JobFailedError(f"the rehearsal's guest ended early: {cause}.")
            collected = backend.collect(handle)
            files = (
                open_outputs(collected.outputs.read_bytes(), identity).files
                if collected.outputs
                else ()
            )
        finally:
            backend.cleanup(handle)
    return RehearsalOutcome(collected.result.exit, files)


def describe_event(phase: str, cell: int | None, cells_total: int | None) -> str:
    """Return progress as a person would say it."""
    if phase == "running" and cell is not None:
        return f"cell {cell} of {cells_total}"
    return phase.replace("_", " ")


def submit(work: Work, *, client: ManateeClient, runtime: str) -> JobAnswer:
    """Pack, upload and submit; nothing runs before every provider approved the job digest.

    Args:
        work: What to run.
        client: The researcher's.
        runtime: Digest of the runtime the job must run in.

    Raises:
        DuplicateSubmissionError: The very same job was submitted before.
        InputError: Something in it is not acceptable; nothing was submitted.
    """
    entries = catalogue_entries(client, work.datasets)
    with packed(work) as (archive, digest, parameters):
        manifest = _manifest(
            work,
            stage="secure",
            entries=entries,
            workspace=digest,
            runtime=runtime,
            parameters=parameters,
        )
        check_twin_report(manifest, [entry.publication.dataset for entry in entries])
        client.upload(archive)
        answer = client.submit(manifest)
    if answer.job_digest != digest_record(manifest):
        raise ManifestError("the service answered for another job than the one submitted.")
    return answer


def describe_exit(status: ExitStatus) -> str:
    """Return how a run ended as a person would say it."""
    if status.succeeded:
        return "succeeded"
    parts = [f"cause: {status.cause.value}"] if status.cause is not None else []
    if status.cell is not None:
        line = f", line {status.line}" if status.line is not None else ""
        parts.append(f"cell {status.cell}{line}")
    if status.exception_class:
        parts.append(status.exception_class)
    if status.check:
        parts.append(f"check: {status.check}")
    return "; ".join(parts) or "failed"


def explain_failure(job: JobAnswer) -> JobFailedError:
    """Return a job's end as an error with its cause: cell, line, class, and nothing more."""
    parts = [f"job {job.id} ended {job.state}"]
    if job.exit is not None:
        parts.append(describe_exit(job.exit))
    elif job.cause is not None:
        parts.append(f"cause: {job.cause.value}")
    if job.message:
        parts.append(job.message)
    return JobFailedError("; ".join(parts) + ".", hint="Try it on the twin: `manatee rehearse`.")
