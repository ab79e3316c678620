"""One small control plane in a folder: people, a published data set, guests in memory.

For tests of whatever stands on the store, the reconciler or the API. The data set holds made-up
bytes: nothing here opens it.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace as replace_settings
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from manatee._clock import Clock, system_clock, timestamp
from manatee.bundle import make_statement, sign_statement
from manatee.jobs import JobState
from manatee.ledger import ED25519, EntryLog, new_signer
from manatee.policy import sign_approval
from manatee.reconciler import Reconciler
from manatee.records import (
    CatalogueEntry,
    DatasetManifest,
    DatasetPublication,
    DatasetUse,
    DisclosureRecord,
    ExitStatus,
    FileEntry,
    GuestPlan,
    GuestResult,
    JobManifest,
    OutputCheck,
    OutputPolicy,
    Project,
    ProjectParty,
    ResultManifest,
    RunPredicate,
    SignedApproval,
    WrappedKey,
    digest_bytes,
    digest_record,
    to_base64,
)
from manatee.settings import Settings
from manatee.store import Job, Store, open_store
from manatee.testing._memory_backend import GuestScript, MemoryBackend, MemoryPlace
from manatee.workspace import pack

RUNTIME = digest_bytes(b"a runtime")
SEALED = b"ciphertext of a table"
TWIN = b"a twin's rows"
OUTPUTS = b"sealed outputs"
RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
_PEOPLE: dict[str, Any] = {
    "alice": ["researcher"],
    "bob": ["researcher"],
    "hospital": ["data_provider", "output_reviewer"],
    "registry": ["data_provider", "output_reviewer"],
    "carol": ["auditor"],
    "olga": ["operator"],
}


@functools.cache
def _new_database() -> bytes:
    """Return an SQLite database with the release's tables: making them takes a while."""
    with tempfile.TemporaryDirectory() as folder:
        open_store(Path(folder), clock=system_clock).close()
        return (Path(folder) / "manatee.db").read_bytes()


class SettableClock:
    """A clock that runs with the system's, and can be put forward."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        """Return the moment it shows."""
        return system_clock() + self._ahead

    def put_forward(self, seconds: float) -> None:
        """Let so many seconds pass at once."""
        self._ahead += timedelta(seconds=seconds)


def guest_result(
    plan: GuestPlan, *, succeeded: bool = True, passed: bool = True, sealed: bytes | None = OUTPUTS
) -> GuestResult:
    """Return the result an honest guest would give, signed by a fresh key."""
    job_digest = digest_record(plan.manifest)
    status = ExitStatus(succeeded=succeeded, cells_run=1, cells_total=1)
    predicate = RunPredicate(
        manifest=plan.manifest,
        attempt=plan.attempt,
        datasets=plan.datasets,
        output_policy=plan.output_policy,
        approvals=plan.approvals,
        result=ResultManifest(
            job_digest=job_digest,
            exit=status,
            outputs=(),
            sealed_outputs=None
            if sealed is None
            else FileEntry(path="outputs.age", sha256=digest_bytes(sealed), size=len(sealed)),
            disclosure=DisclosureRecord(
                policy_digest=plan.manifest.output_policy_digest,
                checks=(OutputCheck(name="size", title="Size", passed=passed, reason="1 file"),),
            ),
        ),
        key_releases=(),
        insecure_settings=(),
    )
    key = Ed25519PrivateKey.generate().private_bytes_raw()
    envelope = sign_statement(make_statement(predicate), key)
    return GuestResult(
        job_digest=job_digest,
        attempt=plan.attempt,
        exit=status,
        envelope=to_base64(envelope),
    )


class ControlPlane:
    """A store with people and one data set, and reconcilers for it.

    Attributes:
        tokens: Account name to API token.
        place: Where the guests are.
    """

    def __init__(
        self,
        folder: Path,
        *,
        release: str = "automatic",
        at_once: bool = True,
        database_url: str = "",
        blobs_url: str = "",
    ) -> None:
        """Make it in an empty folder.

        Args:
            folder: Where everything is kept.
            release: Of the data set's output policy: `automatic` or `reviewer`.
            at_once: Guests end inside `launch`; see `MemoryPlace`.
            database_url: An empty PostgreSQL database; "" for SQLite in the folder.
            blobs_url: Bucket and prefix of the blobs; "" for the folder.
        """
        self.folder = folder
        self.clock = SettableClock()
        self.settings = replace_settings(
            Settings(), home=folder, database_url=database_url, blob_store_url=blobs_url
        )
        if not database_url:
            (folder / "store").mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / "store" / "manatee.db").write_bytes(_new_database())
        self.store = self.open()
        accounts = self.store.accounts
        later = self.clock() + timedelta(days=1)
        for name, roles in _PEOPLE.items():
            accounts.add(name, roles)
        self.tokens = {name: accounts.issue_token(name, expires_at=later) for name in _PEOPLE}
        self.approver = Ed25519PrivateKey.generate()
        public = to_base64(self.approver.public_key().public_bytes_raw())
        accounts.add_approval_key("hospital", public)
        self.workspace = self._workspace()
        self.upload("alice", self.workspace)
        self.upload("hospital", SEALED)
        self.upload("hospital", TWIN)
        self.entry: CatalogueEntry = self.store.datasets.publish(self.publication(release))
        self.project = self.open_project()
        self.log_signer = new_signer("manatee.invalid/runs/test", ED25519)
        self.run_log = EntryLog(folder / "run-log", self.log_signer)
        guests = folder / "guests"
        guests.mkdir()
        self.place = MemoryPlace(guests, at_once=at_once)
        self.place.default_script = GuestScript(outputs=OUTPUTS, result=guest_result)

    def open(self) -> Store:
        """Open the store, once more."""
        return open_store(
            self.folder / "store",
            clock=self.clock,
            database_url=self.settings.database_url,
            blobs_url=self.settings.blob_store_url,
        )

    def _workspace(self) -> bytes:
        source = self.folder / "source"
        source.mkdir()
        notebook = {
            "cells": [
                {
                    "cell_type": "code",
                    "id": "one",
                    "metadata": {},
                    "source": "1",
                    "outputs": [],
                    "execution_count": None,
                }
            ],
            "metadata": {
                "kernelspec": {"name": "python3", "display_name": "Python 3"},
                "manatee": {"parameters": {"threshold": 3}},
            },
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        (source / "analysis.ipynb").write_text(json.dumps(notebook))
        pack(source, self.folder / "workspace.tar")
        return (self.folder / "workspace.tar").read_bytes()

    def upload(self, account: str, data: bytes) -> str:
        """Put a blob in the store in somebody's name."""
        return self.store.blobs.put(
            digest_bytes(data), [data], account=account, max_bytes=len(data)
        ).digest

    def publication(self, release: str = "automatic", name: str = "insurance") -> Any:
        """Return a publication of the hospital's data set."""
        common: dict[str, Any] = {
            "name": name,
            "provider": "hospital",
            "schema_digest": digest_bytes(b"schema"),
            "contract_digest": digest_bytes(b"contract"),
        }
        sealed = FileEntry(path="t.parquet", sha256=digest_bytes(SEALED), size=len(SEALED))
        twin = FileEntry(path="t.parquet", sha256=digest_bytes(TWIN), size=len(TWIN))
        key = WrappedKey(broker_id="hospital", ciphertext=to_base64(b"wrapped"))
        policy: dict[str, Any] = {
            "name": "strict",
            "max_total_bytes": 1000,
            "max_files": 1,
            "max_cell_text_characters": 100,
            "allowed_mime_types": ["text/plain"],
            "allowed_file_types": [".csv"],
            "row_match_margin_bits": 10,
            "release": release,
            "reviewers": (RECIPIENT,) if release == "reviewer" else (),
        }
        return DatasetPublication(
            dataset=DatasetManifest(**common, label="real", files=(sealed,), wrapped_key=key),
            twin=DatasetManifest(**common, label="synthetic", files=(twin,)),
            contract="columns: []",
            privacy_statement={"method": "dummy"},
            output_policy=msgspec.convert(policy, OutputPolicy),
            broker_id="hospital",
            broker_url="http://127.0.0.1:9",
        )

    def open_project(self, **changes: Any) -> Project:
        """Let all parties agree to a project, by default `study` of everybody; returns it.

        The hospital proposes it. `changes` replace its members.
        """
        now = self.clock()
        parties = {"alice": 0, "bob": 0, "carol": 0, "hospital": 1, "registry": 1}
        members: dict[str, Any] = {
            "name": "study",
            "purpose": "to learn",
            "parties": tuple(
                ProjectParty(organisation=name, approvals_needed=needed)
                for name, needed in parties.items()
            ),
            "datasets": ("insurance", "births", "deaths", "visits"),
            "starts_at": timestamp(now - timedelta(minutes=1)),
            "ends_at": timestamp(now + timedelta(days=365)),
        }
        project = Project(**members | changes)
        self.store.projects.propose(project, by="hospital")
        for party in project.parties:
            self.store.projects.agree(
                project.name, organisation=party.organisation, digest=digest_record(project)
            )
        return project

    def manifest(self, **changes: Any) -> JobManifest:
        """Return a job manifest of Alice's; `changes` replace its members."""
        members: dict[str, Any] = {
            "stage": "secure",
            "project": "study",
            "researcher": "alice",
            "purpose": "to learn",
            "runtime_digest": RUNTIME,
            "workspace_digest": digest_bytes(self.workspace),
            "entry_notebook": "analysis.ipynb",
            "datasets": (DatasetUse(name="insurance", version=self.entry.version),),
            "output_policy_digest": self.entry.output_policy_digest,
            "output_recipients": (RECIPIENT,),
            "resource_class": "tiny",
            "backend_kind": "memory",
        }
        return JobManifest(**members | changes)

    def submit(self, **changes: Any) -> Job:
        """Submit a job straight to the store."""
        return self.store.jobs.submit(self.manifest(**changes), max_queued_jobs=1000)

    def approval(self, job_digest: str) -> SignedApproval:
        """Return the hospital's signed yes to a job."""
        return sign_approval(
            self.approver.private_bytes_raw(),
            provider="hospital",
            approver="dora",
            job_digest=job_digest,
            at=self.clock(),
        )

    def approve(self, job: Job) -> None:
        """Approve a job straight in the store."""
        self.store.decisions.approve(job, self.approval(job.job_digest))

    def state(self, job: Job) -> JobState:
        """Return where a job stands."""
        return self.store.jobs.get(job.id).state

    def reconciler(
        self,
        owner: str = "one",
        *,
        store: Store | None = None,
        after_step: Callable[[str], None] = lambda _point: None,
        clock: Clock | None = None,
        max_jobs_in_flight: int = 2,
        lease_seconds: float = 10.0,
    ) -> Reconciler:
        """Return a reconciler that is not started."""
        return Reconciler(
            store=store or self.store,
            backends={"memory": MemoryBackend(self.place)},
            runtimes={RUNTIME: self.folder},
            folder=self.folder / "work",
            clock=clock or self.clock,
            owner=owner,
            run_log=self.run_log,
            after_step=after_step,
            max_jobs_in_flight=max_jobs_in_flight,
            lease_seconds=lease_seconds,
        )
