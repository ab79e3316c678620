"""Server-side checks of a submitted job, before anybody is asked to approve it."""

from __future__ import annotations

from collections.abc import Collection

from manatee.errors import ManifestError, RuntimeEnvironmentError, WorkspaceError
from manatee.records import check_manifest, resource_class
from manatee.store import Job, Store
from manatee.workspace import check_parameters, read_notebook


def check_job(
    job: Job, store: Store, *, runtimes: Collection[str], backend_kinds: Collection[str]
) -> None:
    """Check everything that can be checked without running the code.

    Args:
        job: The job.
        store: Where workspace and catalogue are.
        runtimes: Digests of the runtimes that can be run here.
        backend_kinds: Backends that are here.

    Raises:
        ManifestError: The manifest contradicts itself or the data sets' output policy, or names a
            resource class or backend that is not here.
        RuntimeEnvironmentError: The runtime is not here.
        UnknownDatasetError: A data set version is not published.
        WorkspaceError: The workspace is missing or is not an archive of ours.
        NotebookError: The entry notebook is missing or cannot be run.
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
    for use in manifest.datasets:
        entry = store.datasets.get(use.name, use.version)
        if entry.output_policy_digest != manifest.output_policy_digest:
            raise ManifestError(
                f"output_policy_digest is not that of data set {use.name!r}.",
                hint="All data sets of a job must have the output policy the manifest names.",
            )
    if store.blobs.find(manifest.workspace_digest) is None:
        raise WorkspaceError("the workspace was not uploaded.")
    notebook = read_notebook(
        store.blobs.path_of(manifest.workspace_digest), manifest.entry_notebook
    )
    check_parameters(notebook.parameters, manifest.parameters)
