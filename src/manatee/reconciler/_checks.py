"""Server-side checks of a submitted job, before anybody is asked to approve it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from manatee.errors import (
    ManifestError,
    NotebookError,
    RuntimeEnvironmentError,
    WorkspaceError,
)
from manatee.preflight import importable_modules, preflight
from manatee.records import check_manifest, check_twin_report, resource_class
from manatee.store import Job, Store
from manatee.workspace import EntryNotebook, check_notebook, check_parameters, read_entry


def check_job(
    job: Job, store: Store, *, runtimes: Mapping[str, Path], backend_kinds: Collection[str]
) -> None:
    """Check everything that can be checked without running the code.

    Args:
        job: The job.
        store: Where workspace and catalogue are.
        runtimes: Digests of the runtimes that can be run here, with their folders.
        backend_kinds: Backends that are here.

    Raises:
        ManifestError: The manifest contradicts itself or the data sets' output policy, or names a
            resource class or backend that is not here, or asks for a twin report that no provider
            allows.
        RuntimeEnvironmentError: The runtime is not here.
        UnknownDatasetError: A data set version is not published.
        WorkspaceError: The workspace is missing or is not an archive of ours.
        NotebookError: The entry notebook is missing or cannot be run: pre-flight finds
            what must fail.
        UnknownParameterError: A parameter the notebook does not declare, or of another type.
        StoreError: The store failed; checked again later.
    """
    manifest = job.manifest
    check_manifest(manifest)
    resource_class(manifest.resource_class)
    if manifest.backend_kind not in backend_kinds:
        known = ", ".join(sorted(backend_kinds)) or "none"
        raise ManifestError(
            f"there is no backend {manifest.backend_kind!r} here.", hint=f"There is: {known}."
        )
    if manifest.runtime_digest not in runtimes:
        raise RuntimeEnvironmentError(
            "the runtime asked for is not installed here.",
            hint="Use a runtime the service lists.",
        )
    published = [store.datasets.get(use.name, use.version) for use in manifest.datasets]
    check_twin_report(manifest, [entry.publication.dataset for entry in published])
    for use, entry in zip(manifest.datasets, published, strict=True):
        if entry.output_policy_digest != manifest.output_policy_digest:
            raise ManifestError(
                f"output_policy_digest is not that of data set {use.name!r}.",
                hint="All data sets of a job must have the output policy the manifest names.",
            )
    if store.blobs.find(manifest.workspace_digest) is None:
        raise WorkspaceError("the workspace was not uploaded.")
    with store.blobs.as_file(manifest.workspace_digest) as archive:
        found = read_entry(archive, manifest.entry_notebook)
    check_parameters(check_notebook(found.data).parameters, manifest.parameters)
    _check_code(found, [use.name for use in manifest.datasets], runtimes[manifest.runtime_digest])


def _check_code(entry: EntryNotebook, datasets: Collection[str], runtime: Path) -> None:
    # what must fail is refused before anybody is asked to approve it; no boundary rests on this
    try:
        modules = importable_modules(runtime)
    except RuntimeEnvironmentError:
        modules = None  # a runtime that is no virtual environment: nothing is said of imports
    found = preflight(entry.data, modules=modules, own=entry.modules, granted=datasets)
    for finding in found.findings:
        if finding.severity == "error":
            place = "" if finding.cell is None else f"code cell {finding.cell}"
            place += "" if finding.line is None else f", line {finding.line}"
            message = finding.message
            if finding.code == "data-set":
                message = "It uses a data set that the job does not ask for."
            raise NotebookError(
                f"the notebook cannot run as it is: {place}: {message}",
                hint="`manatee preflight` says more, before you submit.",
            )
