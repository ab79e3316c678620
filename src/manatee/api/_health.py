"""Whether the service lives, whether it can work, and how it does."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from manatee.api._answers import answer, documented
from manatee.api._callers import CallerOf, require
from manatee.api._context import context_of
from manatee.api._metrics import MEDIA_TYPE
from manatee.errors import AuthenticationError, AuthorizationError, StoreError
from manatee.rights import Action

router = APIRouter()


@router.get("/healthz")
def healthz() -> Response:
    """Say that the process answers. Restart it if it does not."""
    return answer({"status": "ok"})


@router.get("/readyz", responses=documented("The service can work.", None, StoreError))
def readyz(request: Request) -> Response:
    """Say that the database answers and blobs can be taken in. Send no requests here if not."""
    context_of(request).store.require_ready()
    return answer({"status": "ready"})


@router.get(
    "/metrics",
    responses=documented(
        "Metrics in Prometheus' text format.",
        None,
        AuthenticationError,
        AuthorizationError,
        StoreError,
        media_type="text/plain",
    ),
)
def metrics(request: Request, account: CallerOf) -> Response:
    """Return the metrics, for operators and auditors."""
    require(account, Action.READ_METRICS)
    return Response(context_of(request).metrics.text(), media_type=MEDIA_TYPE)
