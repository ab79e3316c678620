"""Blobs, the catalogue of data sets, runtimes, and who one is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from manatee._clock import timestamp
from manatee.api._answers import answer, body_of, documented
from manatee.api._bodies import MAX_BODY_BYTES, JsonBody, chunks_of
from manatee.api._callers import CallerOf, need
from manatee.api._context import context_of
from manatee.errors import (
    AuthenticationError,
    AuthorizationError,
    ConflictError,
    ManifestError,
    NotFoundError,
    TooLargeError,
    UnknownDatasetError,
)
from manatee.records import Caller, CatalogueEntry, DatasetPublication, parse_digest, read_record

router = APIRouter(prefix="/v1")

DigestPath = Annotated[str, Path(description="`sha256:` and 64 lower-case hexadecimal digits.")]

_WRITE_BYTES = 1 << 20
"""Bytes of an upload gathered before they are hashed and written."""


@router.get("/whoami", responses=documented("The caller, by their token.", Caller))
def whoami(account: CallerOf) -> Response:
    """Say who the token belongs to."""
    if account.expires_at is None:
        raise AuthenticationError("this needs an API token.")
    roles = tuple(sorted(account.roles))
    return answer(Caller(name=account.name, roles=roles, expires_at=timestamp(account.expires_at)))


@router.get(
    "/runtimes",
    responses={
        **documented("Digests of the runtimes that can be run here.", None),
        200: {
            "description": "Digests of the runtimes that can be run here.",
            "content": {
                "application/json": {"schema": {"type": "array", "items": {"type": "string"}}}
            },
        },
    },
)
def runtimes(request: Request, _account: CallerOf) -> Response:
    """List the runtimes."""
    return answer(context_of(request).runtimes)


@router.put(
    "/blobs/{digest}",
    status_code=204,
    response_class=Response,
    responses=documented("The blob is there, durably.", None, TooLargeError, status=204),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
async def put_blob(request: Request, digest: DigestPath, account: CallerOf) -> Response:
    """Upload a blob. The bytes must hash to the digest, or nothing is kept."""
    context = context_of(request)
    need(account, "researcher", "data_provider")
    provides = "data_provider" in account.roles
    cap = context.max_data_bytes if provides else context.max_workspace_bytes
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > cap:
        raise TooLargeError(f"the blob has more than {cap} bytes.")
    writer = await run_in_threadpool(context.store.blobs.writer, digest, max_bytes=cap)
    with writer:
        gathered = bytearray()
        async for chunk in chunks_of(request):
            gathered += chunk
            if len(gathered) >= _WRITE_BYTES:
                await run_in_threadpool(writer.write, bytes(gathered))
                gathered.clear()
        await run_in_threadpool(writer.write, bytes(gathered))
        await run_in_threadpool(writer.finish, account.name)
    return Response(status_code=204)


@router.head(
    "/blobs/{digest}",
    status_code=204,
    response_class=Response,
    responses=documented("The caller uploaded this blob before.", None, NotFoundError, status=204),
)
def head_blob(request: Request, digest: DigestPath, account: CallerOf) -> Response:
    """Ask whether one has uploaded a blob; says nothing about other people's."""
    blobs = context_of(request).store.blobs
    if not blobs.uploaded_by(account.name, [parse_digest(digest)]):
        raise NotFoundError("you have not uploaded this blob.")
    return Response(status_code=204)


@router.post(
    "/datasets",
    status_code=201,
    responses=documented(
        "The data set as published.", CatalogueEntry, ConflictError, TooLargeError, status=201
    ),
    openapi_extra=body_of(DatasetPublication),
)
def publish_dataset(request: Request, account: CallerOf, body: JsonBody) -> Response:
    """Publish a version of a data set whose blobs the caller has uploaded."""
    need(account, "data_provider")
    publication = read_record(
        body, DatasetPublication, what="publication", max_bytes=MAX_BODY_BYTES
    )
    dataset, twin = publication.dataset, publication.twin
    if {dataset.provider, twin.provider} != {account.name}:
        raise AuthorizationError("a provider publishes data sets in its own name only.")
    if dataset.wrapped_key is None:
        raise ManifestError("the data set is not sealed.", hint="Seal it before publishing.")
    if twin.wrapped_key is not None or twin.label != "synthetic":
        raise ManifestError("the twin must be unsealed and labelled synthetic.")
    if dataset.wrapped_key.broker_id != publication.broker_id:
        raise ManifestError("the key is wrapped for another key broker than the one named.")
    store = context_of(request).store
    needed = {file.sha256 for file in (*dataset.files, *twin.files)}
    if publication.report is not None:
        needed.add(publication.report.sha256)
    missing = needed - store.blobs.uploaded_by(account.name, needed)
    if missing:
        raise ManifestError(
            f"{len(missing)} of the data set's files are not uploaded.", hint="Upload them first."
        )
    return answer(store.datasets.publish(publication), 201)


@router.get("/datasets", responses=documented("The newest versions.", CatalogueEntry, many=True))
def list_datasets(request: Request, _account: CallerOf) -> Response:
    """List the catalogue."""
    return answer(context_of(request).store.datasets.latest())


def _entry(request: Request, name: str) -> CatalogueEntry:
    try:
        return context_of(request).store.datasets.get(name)
    except UnknownDatasetError as error:
        raise NotFoundError(error.message, hint=error.hint) from error


@router.get(
    "/datasets/{name}", responses=documented("The newest version.", CatalogueEntry, NotFoundError)
)
def get_dataset(request: Request, name: str, _account: CallerOf) -> Response:
    """Show one data set."""
    return answer(_entry(request, name))


@router.get(
    "/datasets/{name}/twin/{path:path}",
    response_class=Response,
    responses=documented(
        "The file's bytes.", None, NotFoundError, media_type="application/octet-stream"
    ),
)
def get_twin_file(request: Request, name: str, path: str, _account: CallerOf) -> Response:
    """Download one file of the twin. The sealed table is not offered."""
    for file in _entry(request, name).publication.twin.files:
        if file.path == path:
            return blob_response(request, file.sha256)
    raise NotFoundError("the twin has no such file.")


@router.get(
    "/datasets/{name}/report",
    response_class=Response,
    responses=documented(
        "The report's bytes, HTML.", None, NotFoundError, media_type="application/octet-stream"
    ),
)
def get_report(request: Request, name: str, _account: CallerOf) -> Response:
    """Download the shareable report on the twin. Never shown as a page of this service."""
    report = _entry(request, name).publication.report
    if report is None:
        raise NotFoundError("the data set has no report.")
    return blob_response(request, report.sha256)


def blob_response(request: Request, digest: str) -> Response:
    """Return a blob as a stream of bytes.

    Raises:
        NotFoundError: It is not there.
    """
    blobs = context_of(request).store.blobs
    if blobs.find(digest) is None:
        raise NotFoundError("there is no such blob.")
    return FileResponse(
        blobs.path_of(digest), media_type="application/octet-stream", headers={"x-digest": digest}
    )
