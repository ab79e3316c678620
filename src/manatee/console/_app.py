"""The console's app: pages, static files, and the headers that every answer carries."""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from manatee.console import (
    _approval_pages,
    _audit_pages,
    _catalogue_pages,
    _job_pages,
    _project_pages,
    _review_pages,
    _sign_in_pages,
)
from manatee.console._keys import OwnKeys
from manatee.console._pages import FOLDER, ConsoleContext, go, page
from manatee.console._sessions import COOKIE, Sessions
from manatee.errors import AuthenticationError, ManateeError, meaning

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def create_console(url: str, keys: OwnKeys | None = None) -> FastAPI:
    """Make the console for one service.

    Args:
        url: Of the service.
        keys: Of the person at whose machine it runs; None for a console of several.
    """
    own = keys or OwnKeys()
    app = FastAPI(title="ManaTEE console", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.console = ConsoleContext(Sessions(url), own, url, own.start_code)

    @app.middleware("http")
    async def add_headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.exception_handler(ManateeError)
    def failed(request: Request, error: ManateeError) -> Response:
        if isinstance(error, AuthenticationError):
            return _sign_in_again(app, request)
        return page(
            request,
            "problem.html",
            status=meaning(error).http_status,
            session=_session_or_none(app, request),
            error=error,
        )

    app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
    for module in (
        _sign_in_pages,
        _job_pages,
        _approval_pages,
        _review_pages,
        _catalogue_pages,
        _project_pages,
        _audit_pages,
    ):
        app.include_router(module.router)
    return app


def close_console(app: FastAPI) -> None:
    """Sign everybody out and close all connections, once the app is served no more."""
    app.state.console.sessions.close()


def _sign_in_again(app: FastAPI, request: Request) -> Response:
    """Forget a session that counts no more, and say so to whoever had one."""
    key = request.cookies.get(COOKIE, "")
    app.state.console.sessions.end(key)
    response = go("/sign-in?ended=1" if key else "/sign-in")
    response.delete_cookie(COOKIE)
    return response


def _session_or_none(app: FastAPI, request: Request) -> object:
    try:
        return app.state.console.sessions.get(request.cookies.get(COOKIE, ""))
    except AuthenticationError:
        return None
