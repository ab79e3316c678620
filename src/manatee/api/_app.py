"""The app: routes, problems, and the document that describes them."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import FastAPI
from starlette.responses import Response

from manatee._clock import Clock
from manatee.api import _catalogue, _events, _jobs, _reviews
from manatee.api._answers import answer, install_schemas
from manatee.api._context import Context
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
    run_log: EntryLog | None = None,
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
        run_log: Transparency log of runs.
    """
    app = FastAPI(
        title="ManaTEE",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    app.state.context = Context(
        store=store,
        clock=clock,
        runtimes=tuple(sorted(runtimes)),
        max_queued_jobs=settings.max_queued_jobs,
        max_data_bytes=max_data_bytes,
        max_workspace_bytes=max_workspace_bytes,
        heartbeat_seconds=heartbeat_seconds,
        run_log=run_log,
    )
    install_problems(app)

    @app.get("/healthz")
    def healthz() -> Response:
        """Say that the service answers."""
        return answer({"status": "ok"})

    for module in (_catalogue, _jobs, _reviews, _events):
        app.include_router(module.router)
    install_schemas(app)
    return app
