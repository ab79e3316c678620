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
    TooSlowError,
    meaning,
)
from manatee.records import (
    AuditEvent,
    AuditPage,
    Caller,
    CatalogueEntry,
    DatasetPublication,
    DevicePoll,
    DeviceSignIn,
    DeviceState,
    GuestResult,
    Handover,
    HandoverCode,
    HandoverRequest,
    IssuedToken,
    JobAnswer,
    JobEvent,
    JobManifest,
    JobPage,
    NewMember,
    NewToken,
    OrganisationAnswer,
    PasskeyAnswer,
    PasskeyEntry,
    PasskeyList,
    PasskeyOptions,
    Problem,
    Project,
    ProjectAgreement,
    ProjectAnswer,
    ProjectPage,
    ProjectStop,
    ProviderReturn,
    ProviderSignIn,
    Quota,
    Redemption,
    Rejection,
    Review,
    SecondFactor,
    SignedApproval,
    SignIn,
    SignInWays,
    TokenList,
)
from manatee.store import Job

_RECORDS: tuple[Any, ...] = (
    DevicePoll,
    DeviceSignIn,
    DeviceState,
    Handover,
    HandoverCode,
    HandoverRequest,
    IssuedToken,
    NewToken,
    PasskeyAnswer,
    PasskeyEntry,
    PasskeyList,
    PasskeyOptions,
    ProviderReturn,
    ProviderSignIn,
    Redemption,
    SecondFactor,
    SignIn,
    SignInWays,
    TokenList,
    Caller,
    CatalogueEntry,
    DatasetPublication,
    GuestResult,
    AuditEvent,
    AuditPage,
    JobAnswer,
    JobEvent,
    JobManifest,
    JobPage,
    NewMember,
    OrganisationAnswer,
    Problem,
    Project,
    ProjectAgreement,
    ProjectAnswer,
    ProjectPage,
    ProjectStop,
    Quota,
    Rejection,
    Review,
    SignedApproval,
)
_TEMPLATE = "#/components/schemas/{name}"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"


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
    media_type: str = JSON,
    many: bool = False,
) -> dict[int | str, dict[str, Any]]:
    """Return `responses` for OpenAPI: the good answer and every error.

    Args:
        what: One sentence on the good answer.
        kind: Its record; None for no JSON, or none of a record's.
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
        if media_type == EVENT_STREAM:
            schema = _event_of(schema)
        good["content"] = {media_type: {"schema": schema}}
    elif status != 204:
        plain = {"type": "object"} if media_type == JSON else {"type": "string", "format": "binary"}
        good["content"] = {media_type: {"schema": plain}}
    found: dict[int | str, dict[str, Any]] = {status: good}
    everywhere: tuple[type[ManateeError], ...] = (
        AuthenticationError,
        AuthorizationError,
        InputError,
        ManateeError,
        StoreError,
        TooSlowError,
    )
    problem = {"$ref": _TEMPLATE.format(name="Problem")}
    for error in (*everywhere, *errors):
        found[meaning(error).http_status] = {
            "description": (error.__doc__ or "").strip().split("\n")[0],
            "content": {"application/problem+json": {"schema": problem}},
        }
    return found


def _event_of(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one event of a stream, whose data is JSON of another schema."""
    text = {"type": "string"}
    data = text | {"contentMediaType": JSON, "contentSchema": schema}
    members = {"id": text, "event": text, "data": data}
    return {"type": "object", "properties": members, "required": ["data"]}


JOB_ERRORS = (NotFoundError,)
SUBMIT_ERRORS = (NotFoundError, ConflictError, LimitError, TooLargeError)


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
