"""What every handler needs, set once by `create_app`."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from fastapi import Request

from manatee._clock import Clock
from manatee.ledger import EntryLog
from manatee.store import Store


@dataclass(frozen=True)
class Context:
    """The service behind one app.

    Attributes:
        runtimes: Digests of the runtimes the reconcilers can run.
        max_queued_jobs: Jobs that may wait.
        max_data_bytes: Cap of one blob of a data provider, in bytes.
        max_workspace_bytes: Cap of one blob of anyone else, in bytes.
        heartbeat_seconds: Longest silence of an event stream.
        run_log: Transparency log of runs; None: this service keeps none.
        stopping: Set when the server is to end; event streams end with it.
    """

    store: Store
    clock: Clock
    runtimes: tuple[str, ...]
    max_queued_jobs: int
    max_data_bytes: int
    max_workspace_bytes: int
    heartbeat_seconds: float
    run_log: EntryLog | None = None
    stopping: threading.Event = field(default_factory=threading.Event)


def context_of(request: Request) -> Context:
    """Return the context of the app that serves this request."""
    context: Context = request.app.state.context
    return context
