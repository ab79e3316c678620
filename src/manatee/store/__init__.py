"""Persistence of the control plane: ciphertext, digests and the state of jobs.

Nothing in here can read data or fake a run; it is trusted with availability only. Callers get
frozen records and errors of `manatee.errors`; SQLAlchemy does not cross this seam.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from manatee._clock import Clock
from manatee.errors import StoreError
from manatee.store._accounts import Accounts
from manatee.store._blobs import Blobs, BlobWriter
from manatee.store._changes import Changes
from manatee.store._database import Database
from manatee.store._datasets import Datasets
from manatee.store._decisions import Decisions
from manatee.store._jobs import Jobs
from manatee.store._leases import Leases
from manatee.store._records import Account, Blob, Job, JobUpdate, ReviewDecision

__all__ = [
    "Account",
    "Accounts",
    "Blob",
    "BlobWriter",
    "Blobs",
    "Changes",
    "Datasets",
    "Decisions",
    "Job",
    "JobUpdate",
    "Jobs",
    "Leases",
    "ReviewDecision",
    "Store",
    "open_store",
]


@dataclass(frozen=True)
class Store:
    """One installation's store; safe to share between threads and to open in many processes."""

    accounts: Accounts
    blobs: Blobs
    datasets: Datasets
    jobs: Jobs
    leases: Leases
    decisions: Decisions
    changes: Changes
    database: Database

    def close(self) -> None:
        """Close all connections; the store must not be used afterwards."""
        self.database.close()


def open_store(folder: Path, *, clock: Clock) -> Store:
    """Open the store in a folder, making it if there is none.

    Raises:
        StoreError: The folder cannot be used, or its database is of another schema version.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(f"the store's folder cannot be made ({error.strerror}).") from error
    database = Database(folder / "manatee.db")
    changes = Changes()
    return Store(
        accounts=Accounts(database, clock),
        blobs=Blobs(database, folder / "blobs", clock),
        datasets=Datasets(database, clock),
        jobs=Jobs(database, clock, changes),
        leases=Leases(database, clock, changes),
        decisions=Decisions(database, clock, changes),
        changes=changes,
        database=database,
    )
