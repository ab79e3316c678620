"""Every error as `application/problem+json`, its status from the one table in `errors`."""

from __future__ import annotations

import logging

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from manatee.errors import (
    KeyDeniedError,
    MalformedError,
    ManateeError,
    NotFoundError,
    TooManyAttemptsError,
    meaning,
)
from manatee.records import Problem

PROBLEM_TYPE = "application/problem+json"

RETRY_SECONDS = 5
"""What callers are told to wait where a later try may succeed."""

_PASSING = (408, 429, 503, 507)

_log = logging.getLogger("manatee.api")


def title_of(kind: type[ManateeError]) -> str:
    """Return the first sentence of an error class's docstring."""
    return (kind.__doc__ or "").strip().split("\n")[0].split(". ")[0].rstrip(".")


def problem(error: ManateeError, status: int | None = None) -> Response:
    """Return an error as a response."""
    code = status or meaning(error).http_status
    body = Problem(
        type=f"urn:manatee:error:{error.code}",
        title=title_of(type(error)),
        status=code,
        code=error.code,
        detail=error.message,
        hint=error.hint,
        check=error.check if isinstance(error, KeyDeniedError) else None,
    )
    headers = {"www-authenticate": "Bearer"} if code == 401 else {}
    if error.retryable and code in _PASSING:
        told = error.retry_seconds if isinstance(error, TooManyAttemptsError) else RETRY_SECONDS
        headers["retry-after"] = str(told)
    if code == 408:
        headers["connection"] = "close"
    return Response(msgspec.json.encode(body), code, headers, PROBLEM_TYPE)


def install_problems(app: FastAPI) -> None:
    """Make every error of the app a problem, the framework's own included."""

    @app.exception_handler(ManateeError)
    def _ours(_request: Request, error: ManateeError) -> Response:
        if meaning(error).http_status >= 500:
            _log.error("answered %s", error.code)
        return problem(error)

    @app.exception_handler(RequestValidationError)
    def _invalid(_request: Request, error: RequestValidationError) -> Response:
        # pydantic quotes the value it refused; only the place is told
        places = sorted({".".join(str(part) for part in item["loc"]) for item in error.errors()})
        return problem(MalformedError(f"not as documented: {', '.join(places)}."))

    @app.exception_handler(HTTPException)
    def _framework(_request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return problem(NotFoundError("there is no such address."))
        return problem(MalformedError(f"refused: {error.detail}."), error.status_code)

    @app.exception_handler(Exception)
    def _bug(_request: Request, _error: Exception) -> Response:
        # the server logs the traceback; the caller learns only that it was not their fault
        return problem(ManateeError("the service met an unexpected error."))
