"""Persistence of the control plane: ciphertext, digests and the state of jobs.

Nothing in here can read data or fake a run; it is trusted with availability only. Callers get
frozen records and errors of `manatee.errors`; SQLAlchemy does not cross this seam.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from manatee._clock import Clock
from manatee.errors import StoreError
from manatee.store._accounts import Accounts
from manatee.store._admin import database_revision, database_time, migrate_database
from manatee.store._audit import Audit, AuditQuery
from manatee.store._audited_rows import AuditedRows
from manatee.store._backup import Installation, back_up, restore
from manatee.store._blobs import Blobs, BlobWriter, open_blobs, try_blob_store
from manatee.store._changes import Changes
from manatee.store._credentials import Credentials
from manatee.store._database import Database
from manatee.store._datasets import Datasets
from manatee.store._decisions import Decisions
from manatee.store._engines import open_engines, without_password
from manatee.store._flows import Flows, Links
from manatee.store._jobs import Jobs
from manatee.store._leases import Leases
from manatee.store._organisations import Organisations
from manatee.store._passkeys import Passkeys
from manatee.store._projects import Projects, Room
from manatee.store._records import Account, Blob, Halt, Job, JobUpdate, ReviewDecision
from manatee.store._sight import Sight
from manatee.store._tokens import TOKEN_PREFIX

__all__ = [
    "TOKEN_PREFIX",
    "Account",
    "Accounts",
    "Audit",
    "AuditQuery",
    "AuditedRows",
    "Blob",
    "BlobWriter",
    "Blobs",
    "Changes",
    "Credentials",
    "Datasets",
    "Decisions",
    "Flows",
    "Halt",
    "Installation",
    "Job",
    "JobUpdate",
    "Jobs",
    "Leases",
    "Links",
    "Organisations",
    "Passkeys",
    "Projects",
    "ReviewDecision",
    "Room",
    "Sight",
    "Store",
    "back_up",
    "database_revision",
    "database_time",
    "migrate_database",
    "open_store",
    "restore",
    "try_blob_store",
    "without_password",
]


@dataclass(frozen=True)
class Store:
    """One installation's store; safe to share between threads and to open in many processes."""

    accounts: Accounts
    credentials: Credentials
    flows: Flows
    links: Links
    passkeys: Passkeys
    blobs: Blobs
    datasets: Datasets
    jobs: Jobs
    leases: Leases
    decisions: Decisions
    organisations: Organisations
    projects: Projects
    audit: Audit
    changes: Changes
    database: Database

    def require_ready(self) -> None:
        """Check that the database answers and that uploads can be taken in.

        Raises:
            StoreError: Not now; says what is the matter.
        """
        self.jobs.counts()
        if not os.access(self.blobs.incoming, os.W_OK):
            raise StoreError("uploads cannot be taken in: their folder cannot be written.")

    def close(self) -> None:
        """Close all connections; the store must not be used afterwards."""
        self.database.close()


def open_store(folder: Path, *, clock: Clock, blobs_url: str = "", database_url: str = "") -> Store:
    """Open the store, making it if there is none.

    Args:
        folder: Where the database and staged blobs are, and the blobs if they have no URL.
        clock: For leases, tokens and rows.
        database_url: A PostgreSQL server's database; empty for SQLite in the folder.
        blobs_url: Bucket and prefix of the blobs; see the setting `blob_store_url`.

    Raises:
        SettingsError: A URL cannot be used.
        StoreError: The folder cannot be used, the database cannot be reached, or its schema is
            that of another release.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(f"the store's folder cannot be made ({error.strerror}).") from error
    database = Database(open_engines(database_url, folder))
    changes = Changes()
    return Store(
        accounts=Accounts(database, clock),
        credentials=Credentials(database, clock),
        flows=Flows(database, clock),
        links=Links(database, clock),
        passkeys=Passkeys(database, clock),
        blobs=open_blobs(database, folder / "blobs", clock, url=blobs_url),
        datasets=Datasets(database, clock),
        jobs=Jobs(database, clock, changes),
        leases=Leases(database, clock, changes),
        decisions=Decisions(database, clock, changes),
        organisations=Organisations(database, clock),
        projects=Projects(database, clock, changes),
        audit=Audit(database, clock),
        changes=changes,
        database=database,
    )
