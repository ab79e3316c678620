"""What every handler needs, set once by `create_app`."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Protocol

from fastapi import Request

from manatee._clock import Clock
from manatee.api._metrics import Metrics
from manatee.api._patience import STALL_SECONDS
from manatee.identity import Hub, Provider
from manatee.ledger import EntryLog
from manatee.store import Store


class ProvedLog(Protocol):
    """A log that the API reads and another writes."""

    def size(self) -> int:
        """Return how many entries it holds."""

    def prove(self, index: int) -> bytes:
        """Return the proof of an entry. Raises NotFoundError: it is not there yet."""

    def growth(self, since: int) -> bytes:
        """Return the proof that it grew from so many entries. Raises LedgerError: it has fewer."""


@dataclass(frozen=True)
class Context:
    """The service behind one app.

    Attributes:
        runtimes: Digests of the runtimes the reconcilers can run.
        max_queued_jobs: Jobs that may wait.
        max_data_bytes: Cap of one blob of a data provider, in bytes.
        max_workspace_bytes: Cap of one blob of anyone else, in bytes.
        heartbeat_seconds: Longest silence of an event stream.
        stall_seconds: How long a caller may pause while it sends.
        run_log: Transparency log of runs; None: this service keeps none.
        audit_log: Where the audit trail is proved; None: this service keeps none.
        metrics: Counts what this app answers.
        provider: Where people may sign in, beside here; None: nowhere.
        public_url: Where browsers find the service, without a slash at its end; "" not told.
        hub: The JupyterHub whose tokens count, beside our own; None: none.
        stopping: Set when the server is to end; event streams end with it.
    """

    store: Store
    clock: Clock
    runtimes: tuple[str, ...]
    max_queued_jobs: int
    max_data_bytes: int
    max_workspace_bytes: int
    heartbeat_seconds: float
    metrics: Metrics
    stall_seconds: float = STALL_SECONDS
    run_log: EntryLog | None = None
    audit_log: ProvedLog | None = None
    provider: Provider | None = None
    public_url: str = ""
    hub: Hub | None = None
    stopping: threading.Event = field(default_factory=threading.Event)


def context_of(request: Request) -> Context:
    """Return the context of the app that serves this request."""
    context: Context = request.app.state.context
    return context
