"""A job's own folder: everything its guest is made from, under paths no other job shares."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from manatee.backends import GuestInputs
from manatee.errors import RuntimeEnvironmentError, StoreError
from manatee.records import CatalogueEntry, GuestPlan, resource_class
from manatee.store import Job, Store


class InputsFolder:
    """Makes and removes the folders of jobs."""

    def __init__(self, store: Store, folder: Path, runtimes: Mapping[str, Path]) -> None:
        self._store = store
        self._folder = folder
        self._runtimes = runtimes

    def of(self, job: Job) -> Path:
        """Return the job's folder."""
        return self._folder / job.id

    def _entries(self, job: Job) -> list[CatalogueEntry]:
        return [self._store.datasets.get(use.name, use.version) for use in job.manifest.datasets]

    def build(self, job: Job) -> None:
        """Put workspace and sealed files in place. Idempotent.

        Raises:
            NotFoundError: A blob is gone.
            StoreError: The disk failed.
        """
        folder = self.of(job)
        blobs = self._store.blobs
        blobs.materialise(job.manifest.workspace_digest, folder / "workspace.tar")
        for entry in self._entries(job):
            manifest = entry.publication.dataset
            for file in manifest.files:
                blobs.materialise(file.sha256, folder / "datasets" / manifest.name / file.path)

    def inputs(self, job: Job) -> GuestInputs:
        """Return the guest's inputs as they lie in the job's folder; touches no file.

        Raises:
            RuntimeEnvironmentError: The runtime is no longer here.
            UnknownDatasetError: A data set is gone.
        """
        manifest = job.manifest
        entries = self._entries(job)
        runtime = self._runtimes.get(manifest.runtime_digest)
        if runtime is None:
            raise RuntimeEnvironmentError("the runtime asked for is not installed here.")
        publications = [entry.publication for entry in entries]
        folder = self.of(job)
        return GuestInputs(
            plan=GuestPlan(
                manifest=manifest,
                attempt=job.attempt,
                datasets=tuple(item.dataset for item in publications),
                output_policy=publications[0].output_policy,
                approvals=self._store.decisions.approvals(job.id),
            ),
            resources=resource_class(manifest.resource_class),
            workspace=folder / "workspace.tar",
            datasets={
                item.dataset.name: folder / "datasets" / item.dataset.name for item in publications
            },
            runtime=runtime,
            broker_urls={item.broker_id: item.broker_url for item in publications},
        )

    def remove(self, job: Job) -> None:
        """Remove the job's folder. Idempotent.

        Raises:
            StoreError: It could not be removed.
        """
        try:
            shutil.rmtree(self.of(job))
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError("the folder of an ended job cannot be removed.") from error
