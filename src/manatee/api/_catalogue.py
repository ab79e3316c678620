"""Blobs, the catalogue of data sets, runtimes, and who one is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from manatee._clock import timestamp
from manatee.api._answers import answer, body_of, documented
from manatee.api._bodies import MAX_BODY_BYTES, JsonBody, chunks_of
from manatee.api._callers import CallerOf, SeesAs, in_scope_for, need, own, require, verdict_on
from manatee.api._context import context_of
from manatee.api._downloads import blob_response
from manatee.errors import (
    AuthenticationError,
    ConflictError,
    ManifestError,
    NotFoundError,
    StoreFullError,
    TooLargeError,
    UnknownDatasetError,
)
from manatee.records import (
    Caller,
    CatalogueEntry,
    DatasetPublication,
    check_output_policy,
    parse_digest,
    read_record,
)
from manatee.rights import Action, Standing, Verdict
from manatee.store import Account

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
    return answer(
        Caller(
            name=account.name,
            roles=roles,
            memberships=account.memberships,
            expires_at=timestamp(account.expires_at),
        )
    )


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
    responses=documented(
        "The blob is there, durably.", None, TooLargeError, StoreFullError, status=204
    ),
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
    need(account, "researcher", "data_provider", "output_reviewer")
    in_scope_for(account, "submit", "publish", "review")
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
    publication = read_record(
        body, DatasetPublication, what="publication", max_bytes=MAX_BODY_BYTES
    )
    dataset, twin = publication.dataset, publication.twin
    require(account, Action.PUBLISH_DATASET, own(dataset.provider))
    if twin.provider != dataset.provider:
        raise ManifestError("the twin is another provider's than the data set.")
    check_output_policy(publication.output_policy)
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
    return answer(store.datasets.publish(publication, by=account.name), 201)


@router.get("/datasets", responses=documented("The newest versions.", CatalogueEntry, many=True))
def list_datasets(request: Request, account: CallerOf) -> Response:
    """List the catalogue as far as the caller may see it."""
    entries = context_of(request).store.datasets.latest()
    seen = [
        entry
        for entry in entries
        if verdict_on(account, Action.SEE_DATASET, _standing(request, account, entry))
        is Verdict.ALLOWED
    ]
    return answer(seen)


def _standing(request: Request, account: Account, entry: CatalogueEntry) -> SeesAs:
    """Return how organisations stand to a data set: its provider, or with it in an open project."""
    projects = context_of(request).store.projects
    dataset = entry.publication.dataset

    def standing(name: str) -> Collection[Standing]:
        if name == dataset.provider:
            return {Standing.HOME}
        return {Standing.PARTY} if dataset.name in projects.datasets_open_to({name}) else ()

    return standing


def _entry(request: Request, account: Account, name: str) -> CatalogueEntry:
    try:
        entry = context_of(request).store.datasets.get(name)
        standing = _standing(request, account, entry)
        require(account, Action.SEE_DATASET, standing, what="data set")
    except (UnknownDatasetError, NotFoundError) as error:
        raise NotFoundError(
            f"there is no data set {name!r} that you may see.",
            hint="`manatee datasets` lists those you may; ask for a project with others.",
        ) from error
    return entry


@router.get(
    "/datasets/{name}", responses=documented("The newest version.", CatalogueEntry, NotFoundError)
)
def get_dataset(request: Request, name: str, account: CallerOf) -> Response:
    """Show one data set."""
    return answer(_entry(request, account, name))


@router.get(
    "/datasets/{name}/twin/{path:path}",
    response_class=Response,
    responses=documented(
        "The file's bytes.", None, NotFoundError, media_type="application/octet-stream"
    ),
)
def get_twin_file(request: Request, name: str, path: str, account: CallerOf) -> Response:
    """Download one file of the twin. The sealed table is not offered."""
    for file in _entry(request, account, name).publication.twin.files:
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
def get_report(request: Request, name: str, account: CallerOf) -> Response:
    """Download the shareable report on the twin. Never shown as a page of this service."""
    report = _entry(request, account, name).publication.report
    if report is None:
        raise NotFoundError("the data set has no report.")
    return blob_response(request, report.sha256)
