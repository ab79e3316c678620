"""Records as responses, and their schemas for OpenAPI."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.responses import Response

from manatee.errors import (
    AuthenticationError,
    AuthorizationError,
    ConflictError,
    InputError,
    LimitError,
    ManateeError,
    NotFoundError,
    StoreError,
    TooLargeError,
    meaning,
)
from manatee.records import (
    Caller,
    CatalogueEntry,
    DatasetPublication,
    GuestResult,
    JobAnswer,
    JobEvent,
    JobManifest,
    JobPage,
    Problem,
    Rejection,
    Review,
    SignedApproval,
)
from manatee.store import Job

_RECORDS: tuple[Any, ...] = (
    Caller,
    CatalogueEntry,
    DatasetPublication,
    GuestResult,
    JobAnswer,
    JobEvent,
    JobManifest,
    JobPage,
    Problem,
    Rejection,
    Review,
    SignedApproval,
)
_TEMPLATE = "#/components/schemas/{name}"


def answer(value: object, status: int = 200) -> Response:
    """Return a record as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def job_answer(job: Job) -> JobAnswer:
    """Return a job as the service shows it."""
    return JobAnswer(
        id=job.id,
        job_digest=job.job_digest,
        manifest=job.manifest,
        providers=job.providers,
        state=job.state.value,
        version=job.version,
        attempt=job.attempt,
        exit=job.exit,
        cause=job.cause,
        reason_code=job.reason_code,
        message=job.message,
        created_at=job.created_at,
        updated_at=job.updated_at,
    )


def body_of(kind: type) -> dict[str, Any]:
    """Return `openapi_extra` for a JSON body that is a record."""
    schema = {"$ref": _TEMPLATE.format(name=kind.__name__)}
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def documented(
    what: str,
    kind: type | None = None,
    *errors: type[ManateeError],
    status: int = 200,
    media_type: str = "application/json",
    many: bool = False,
) -> dict[int | str, dict[str, Any]]:
    """Return `responses` for OpenAPI: the good answer and every error.

    Args:
        what: One sentence on the good answer.
        kind: Its record; None for no JSON.
        *errors: Beside those any call may meet.
        status: Of the good answer.
        media_type: Of the good answer.
        many: A JSON array of the record.
    """
    good: dict[str, Any] = {"description": what}
    if kind is not None:
        schema: dict[str, Any] = {"$ref": _TEMPLATE.format(name=kind.__name__)}
        if many:
            schema = {"type": "array", "items": schema}
        good["content"] = {media_type: {"schema": schema}}
    elif status != 204:
        good["content"] = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    found: dict[int | str, dict[str, Any]] = {status: good}
    everywhere: tuple[type[ManateeError], ...] = (
        AuthenticationError,
        AuthorizationError,
        InputError,
        ManateeError,
        StoreError,
    )
    problem = {"$ref": _TEMPLATE.format(name="Problem")}
    for error in (*everywhere, *errors):
        found[meaning(error).http_status] = {
            "description": (error.__doc__ or "").strip().split("\n")[0],
            "content": {"application/problem+json": {"schema": problem}},
        }
    return found


JOB_ERRORS = (NotFoundError,)
SUBMIT_ERRORS = (ConflictError, LimitError, TooLargeError)


def install_schemas(app: FastAPI) -> None:
    """Add the records' schemas to the app's OpenAPI document."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            _, schemas = msgspec.json.schema_components(_RECORDS, ref_template=_TEMPLATE)
            document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents
