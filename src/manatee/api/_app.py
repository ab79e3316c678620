"""The app: routes, problems, and the document that describes them."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import version

from fastapi import FastAPI

from manatee._clock import Clock
from manatee.api import (
    _audit,
    _browser_pages,
    _catalogue,
    _events,
    _handover,
    _health,
    _jobs,
    _oidc,
    _organisations,
    _passkeys,
    _projects,
    _reviews,
    _sign_in,
    _tokens,
)
from manatee.api._answers import install_schemas
from manatee.api._context import Context, ProvedLog
from manatee.api._hub_identity import hub_of
from manatee.api._metrics import Measured, Metrics
from manatee.api._patience import STALL_SECONDS
from manatee.api._places import provider_of, public_url_of
from manatee.api._problems import install_problems
from manatee.ledger import EntryLog
from manatee.settings import Settings
from manatee.store import Store

MAX_DATA_BYTES = 64 << 30
"""Cap of one blob a data provider uploads, in bytes."""

MAX_WORKSPACE_BYTES = 2 << 30
"""Cap of one blob anyone else uploads, in bytes; a workspace has at most 1 GiB of files."""


def create_app(
    store: Store,
    settings: Settings,
    clock: Clock,
    *,
    runtimes: Collection[str],
    max_data_bytes: int = MAX_DATA_BYTES,
    max_workspace_bytes: int = MAX_WORKSPACE_BYTES,
    heartbeat_seconds: float = 15.0,
    stall_seconds: float = STALL_SECONDS,
    run_log: EntryLog | None = None,
    audit_log: ProvedLog | None = None,
) -> FastAPI:
    """Make the service's HTTP app. Nothing is acknowledged before it is durable.

    Args:
        store: Shared with the reconcilers.
        settings: `max_queued_jobs` is taken from it.
        clock: For tokens and approvals.
        runtimes: Digests of the runtimes the reconcilers can run.
        max_data_bytes: Cap of one blob a data provider uploads.
        max_workspace_bytes: Cap of one blob anyone else uploads.
        heartbeat_seconds: Longest silence of an event stream.
        stall_seconds: How long a caller may pause while it sends.
        run_log: Transparency log of runs.
        audit_log: Where the sequencer puts the audit trail.
    """
    app = FastAPI(
        title="ManaTEE",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    metrics = Metrics(store, version("manatee"))
    app.state.context = Context(
        store=store,
        clock=clock,
        runtimes=tuple(sorted(runtimes)),
        max_queued_jobs=settings.max_queued_jobs,
        max_data_bytes=max_data_bytes,
        max_workspace_bytes=max_workspace_bytes,
        heartbeat_seconds=heartbeat_seconds,
        stall_seconds=stall_seconds,
        run_log=run_log,
        audit_log=audit_log,
        metrics=metrics,
        provider=provider_of(settings, clock),
        public_url=public_url_of(settings),
        hub=hub_of(settings, clock),
    )
    install_problems(app)

    app.add_middleware(Measured, metrics=metrics)
    for module in (
        _health,
        _sign_in,
        _oidc,
        _passkeys,
        _handover,
        _tokens,
        _organisations,
        _projects,
        _catalogue,
        _jobs,
        _reviews,
        _events,
        _audit,
        _browser_pages,
    ):
        app.include_router(module.router)
    install_schemas(app)
    return app
