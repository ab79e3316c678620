"""The typed client: one method per endpoint, the same errors as on the server."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from manatee.client._problems import error_of
from manatee.client._streams import read_events
from manatee.errors import (
    AuthenticationError,
    MalformedError,
    NotFoundError,
    ServiceUnreachableError,
)
from manatee.jobs import TERMINAL_STATES, JobState
from manatee.records import (
    AuditEvent,
    AuditPage,
    Caller,
    CatalogueEntry,
    DatasetPublication,
    Digest,
    GuestResult,
    IssuedToken,
    JobAnswer,
    JobEvent,
    JobManifest,
    JobPage,
    NewMember,
    NewToken,
    OrganisationAnswer,
    PasskeyList,
    Project,
    ProjectAgreement,
    ProjectAnswer,
    ProjectPage,
    ProjectStop,
    Quota,
    Rejection,
    Review,
    SignedApproval,
    TokenList,
    canonical_json,
    digest_bytes,
    digest_file,
    parse_digest,
    read_record,
)

TIMEOUT_SECONDS = 60.0
"""Longest silence of the service before the client gives up."""

MAX_ANSWER_BYTES = 64 << 20
"""Cap of a JSON answer."""

_CHUNK = 1 << 20
_RECONNECT_SECONDS = 0.5
_RECONNECTS = 20

R = TypeVar("R")


class ManateeClient:
    """Talks to one ManaTEE service as one person.

    Every method raises, beside what it names, AuthenticationError, AuthorizationError,
    ServiceUnreachableError, or the error class whose code the service's problem carries.
    """

    def __init__(
        self, url: str, token: str, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        """Make a client; nothing is sent yet.

        Args:
            url: Base URL of the service.
            token: API token.
            transport: Stands in for the network in tests.

        Raises:
            AuthenticationError: The token is empty or cannot be one.
            ServiceUnreachableError: The URL is not one.
        """
        if not token or not token.isascii() or not token.isprintable():
            raise AuthenticationError("no API token is given.", hint="Set MANATEE_TOKEN.")
        if not url.startswith(("http://", "https://")):
            raise ServiceUnreachableError("no service URL is given.", hint="Set MANATEE_URL.")
        self._url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self._url,
            headers={"authorization": f"Bearer {token}"},
            timeout=TIMEOUT_SECONDS,
            transport=transport,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    # --- the wire -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise ServiceUnreachableError(
                f"the service at {self._url} did not answer ({type(error).__name__}).",
                hint="Check that it runs and that MANATEE_URL is right.",
            ) from error

    @contextlib.contextmanager
    def _stream(self, method: str, path: str, **more: Any) -> Iterator[httpx.Response]:
        with self._translated(), self._http.stream(method, path, **more) as response:
            if not response.is_success:
                raise error_of(response.status_code, response.read())
            yield response

    def _call(self, method: str, path: str, **more: Any) -> bytes:
        with self._translated():
            response = self._http.request(method, path, **more)
        if not response.is_success:
            raise error_of(response.status_code, response.content)
        return response.content

    def _get(self, path: str, kind: type[R], **more: Any) -> R:
        data = self._call("GET", path, **more)
        return read_record(data, kind, what="answer", max_bytes=MAX_ANSWER_BYTES)

    def _post(self, path: str, kind: type[R], body: object | None = None) -> R:
        content = b"" if body is None else canonical_json(body)
        headers = {"content-type": "application/json"}
        data = self._call("POST", path, content=content, headers=headers)
        return read_record(data, kind, what="answer", max_bytes=MAX_ANSWER_BYTES)

    def _put(self, path: str, kind: type[R], body: object | None = None) -> R:
        content = b"" if body is None else canonical_json(body)
        headers = {"content-type": "application/json"}
        data = self._call("PUT", path, content=content, headers=headers)
        return read_record(data, kind, what="answer", max_bytes=MAX_ANSWER_BYTES)

    def _download(self, path: str, target: Path, expected: str | None) -> Digest:
        """Stream a body to a file that appears only when it is whole and has its digest."""
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        state = hashlib.sha256()
        try:
            with self._stream("GET", path) as response, partial.open("xb") as file:
                wanted = expected or response.headers.get("x-digest")
                for chunk in response.iter_bytes(_CHUNK):
                    state.update(chunk)
                    file.write(chunk)
                found = Digest("sha256:" + state.hexdigest())
                if found != wanted:
                    raise MalformedError(
                        "the bytes received are not those that were named.", hint="Try again."
                    )
                file.flush()
                os.fsync(file.fileno())
            partial.rename(target)
        except OSError as error:
            raise MalformedError(f"cannot write the download ({error.strerror}).") from error
        finally:
            partial.unlink(missing_ok=True)
        return found

    # --- people and blobs -----------------------------------------------------------------------

    def healthy(self) -> bool:
        """Return whether the service answers at all."""
        try:
            self._call("GET", "/healthz")
        except ServiceUnreachableError:
            return False
        return True

    def whoami(self) -> Caller:
        """Return who the token belongs to."""
        return self._get("/v1/whoami", Caller)

    def tokens(self) -> TokenList:
        """Return one's tokens that have not expired, without the tokens themselves."""
        return self._get("/v1/tokens", TokenList)

    def new_token(self, wanted: NewToken) -> IssuedToken:
        """Make a token for no more than the caller's own is for.

        Raises:
            MalformedError: It would not end, or too late.
        """
        return self._post("/v1/tokens", IssuedToken, wanted)

    def revoke_token(self, token_id: str) -> None:
        """Make one of one's tokens worthless at once.

        Raises:
            NotFoundError: One has no such token.
        """
        self._call("DELETE", f"/v1/tokens/{quote(token_id, safe='')}")

    def passkeys(self) -> PasskeyList:
        """Return one's passkeys."""
        return self._get("/v1/passkeys", PasskeyList)

    def remove_passkey(self, passkey_id: str) -> None:
        """Let one of one's passkeys sign nobody in any more.

        Raises:
            NotFoundError: One has no such passkey.
        """
        self._call("DELETE", f"/v1/passkeys/{quote(passkey_id, safe='')}")

    def has_blob(self, digest: str) -> bool:
        """Return whether the caller has uploaded this blob.

        Raises:
            MalformedError: Not a digest.
        """
        parse_digest(digest)
        with self._translated():
            response = self._http.head(f"/v1/blobs/{digest}")
        if response.status_code == 404:
            return False
        if not response.is_success:
            # a HEAD has no body to tell more: ask in a way that has one
            self.whoami()
            raise error_of(response.status_code, b"")
        return True

    def upload(self, path: Path) -> Digest:
        """Upload a file, unless it is there already; returns its digest.

        Raises:
            MalformedError: The file cannot be read, or changed while it was sent.
        """
        try:
            digest, size = digest_file(path)
            if self.has_blob(digest):
                return digest
            with path.open("rb") as file:
                chunks = iter(lambda: file.read(_CHUNK), b"")
                headers = {"content-length": str(size)}
                self._call("PUT", f"/v1/blobs/{digest}", content=chunks, headers=headers)
        except OSError as error:
            raise MalformedError(f"cannot read {path.name} ({error.strerror}).") from error
        return digest

    def upload_bytes(self, data: bytes) -> Digest:
        """Upload bytes, unless they are there already; returns their digest."""
        digest = digest_bytes(data)
        if not self.has_blob(digest):
            self._call("PUT", f"/v1/blobs/{digest}", content=data)
        return digest

    # --- catalogue ------------------------------------------------------------------------------

    def publish(self, publication: DatasetPublication) -> CatalogueEntry:
        """Publish a data set version whose files were uploaded. Idempotent.

        Raises:
            ManifestError: It is inconsistent, or files are missing.
            ConflictError: The name is another provider's.
        """
        return self._post("/v1/datasets", CatalogueEntry, publication)

    def datasets(self) -> tuple[CatalogueEntry, ...]:
        """Return the catalogue: the newest version of every data set."""
        return self._get("/v1/datasets", tuple[CatalogueEntry, ...])

    def dataset(self, name: str) -> CatalogueEntry:
        """Return the newest version of one data set.

        Raises:
            NotFoundError: No such data set.
        """
        return self._get(f"/v1/datasets/{quote(name, safe='')}", CatalogueEntry)

    def download_report(self, entry: CatalogueEntry, target: Path) -> bool:
        """Download the shareable report on a twin, checked against the publication.

        Returns:
            Whether there is one.

        Raises:
            MalformedError: The bytes are not the publication's, or cannot be written.
        """
        report = entry.publication.report
        if report is None:
            return False
        name = quote(entry.publication.dataset.name, safe="")
        self._download(f"/v1/datasets/{name}/report", target, report.sha256)
        return True

    def download_twin(self, entry: CatalogueEntry, folder: Path) -> tuple[Path, ...]:
        """Download all files of a twin into a folder, each checked against the manifest.

        Raises:
            NotFoundError: Another version was published meanwhile and lacks the file.
            MalformedError: The bytes are not the manifest's, or cannot be written.
        """
        twin = entry.publication.twin
        paths = []
        for file in twin.files:
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            address = f"/v1/datasets/{quote(twin.name, safe='')}/twin/{quote(file.path)}"
            self._download(address, target, file.sha256)
            paths.append(target)
        return tuple(paths)

    def runtimes(self) -> tuple[str, ...]:
        """Return the digests of the runtimes that can be run there."""
        return self._get("/v1/runtimes", tuple[str, ...])

    # --- organisations and projects ---------------------------------------------------------------

    def add_organisation(self, name: str) -> OrganisationAnswer:
        """Add an organisation (operator). Idempotent."""
        return self._put(f"/v1/organisations/{quote(name, safe='')}", OrganisationAnswer)

    def organisation(self, name: str) -> OrganisationAnswer:
        """Return an organisation with its members.

        Raises:
            NotFoundError: No such organisation, or one that is not the caller's.
        """
        return self._get(f"/v1/organisations/{quote(name, safe='')}", OrganisationAnswer)

    def set_member(self, organisation: str, account: str, member: NewMember) -> OrganisationAnswer:
        """Make somebody a member in a role (operator). Idempotent.

        Raises:
            NotFoundError: No such organisation or account.
        """
        path = f"/v1/organisations/{quote(organisation, safe='')}/members/{quote(account, safe='')}"
        return self._put(path, OrganisationAnswer, member)

    def end_member(self, organisation: str, account: str, role: str) -> OrganisationAnswer:
        """End a membership at once (operator).

        Raises:
            NotFoundError: There is none.
        """
        parts = (quote(part, safe="") for part in (organisation, "members", account, role))
        data = self._call("DELETE", "/v1/organisations/" + "/".join(parts))
        return read_record(data, OrganisationAnswer, what="answer", max_bytes=MAX_ANSWER_BYTES)

    def set_organisation_quota(self, name: str, limits: Quota) -> OrganisationAnswer:
        """Set what an organisation may use (operator)."""
        path = f"/v1/organisations/{quote(name, safe='')}/quota"
        return self._put(path, OrganisationAnswer, limits)

    def propose_project(self, project: Project) -> ProjectAnswer:
        """Propose a project in the name of a party. Idempotent.

        Raises:
            ManifestError: It contradicts itself.
            ConflictError: There is another project of that name.
            NotFoundError: A party is no organisation there.
        """
        return self._post("/v1/projects", ProjectAnswer, project)

    def project(self, name: str) -> ProjectAnswer:
        """Return a project.

        Raises:
            NotFoundError: No such project, or the caller is in none of its parties.
        """
        return self._get(f"/v1/projects/{quote(name, safe='')}", ProjectAnswer)

    def projects(self) -> Iterator[ProjectAnswer]:
        """Yield the projects the caller may know of, by name."""
        after: str | None = None
        while True:
            page = self._get(
                "/v1/projects", ProjectPage, params={} if after is None else {"after": after}
            )
            yield from page.projects
            after = page.next_after
            if after is None:
                return

    def agree(self, name: str, agreement: ProjectAgreement) -> ProjectAnswer:
        """Agree to a project in the name of a party. Idempotent.

        Raises:
            ConflictError: The digest is another's, or the project was stopped.
        """
        return self._post(
            f"/v1/projects/{quote(name, safe='')}/agreements", ProjectAnswer, agreement
        )

    def stop_project(self, name: str, reason: str) -> ProjectAnswer:
        """Stop a project for good. Stopping again changes nothing."""
        path = f"/v1/projects/{quote(name, safe='')}/stop"
        return self._post(path, ProjectAnswer, ProjectStop(reason=reason))

    def set_project_quota(self, name: str, limits: Quota) -> ProjectAnswer:
        """Set what a project may use (operator)."""
        return self._put(f"/v1/projects/{quote(name, safe='')}/quota", ProjectAnswer, limits)

    # --- audit ----------------------------------------------------------------------------------

    def audit(self, **query: str | None) -> Iterator[AuditEvent]:
        """Yield the events of the audit trail, in order.

        Args:
            query: `dataset`, `project`, `person`, `job`; None asks for any.
        """
        after = 0
        while True:
            given = {name: value for name, value in query.items() if value is not None}
            page = self._get("/v1/audit", AuditPage, params=given | {"after": after, "limit": 500})
            yield from page.events
            if page.next_after is None:
                return
            after = page.next_after

    def audit_page(
        self,
        query: Mapping[str, str | None] | None = None,
        *,
        after: int = 0,
        before: int | None = None,
        newest_first: bool = False,
        limit: int = 100,
    ) -> AuditPage:
        """Return one page of the audit trail.

        Args:
            query: As for `audit`.
            after: Only events with a number above.
            before: Only events with a number below.
            newest_first: Begin at the end.
            limit: At most this many.
        """
        asked = (query or {}).items()
        given: dict[str, Any] = {name: value for name, value in asked if value is not None}
        given |= {"after": after, "limit": limit, "newest_first": newest_first}
        if before is not None:
            given["before"] = before
        return self._get("/v1/audit", AuditPage, params=given)

    def audit_proof(self, number: int) -> bytes:
        """Return the proof that an event is in the audit log.

        Raises:
            NotFoundError: No such event, or it is not there yet.
        """
        return self._call("GET", f"/v1/audit/{number}/proof")

    def audit_growth(self, since: int) -> bytes:
        """Return the audit log's checkpoint, with the proof that it grew from so many events.

        Raises:
            LedgerError: It holds fewer.
        """
        return self._call("GET", f"/v1/audit/growth?since={since}")

    # --- jobs -----------------------------------------------------------------------------------

    def submit(self, manifest: JobManifest) -> JobAnswer:
        """Submit a job; it is durable when this returns.

        Raises:
            DuplicateSubmissionError: The same manifest was submitted before.
            LimitError: The queue is full.
        """
        return self._post("/v1/jobs", JobAnswer, manifest)

    def job(self, job_id: str) -> JobAnswer:
        """Return a job.

        Raises:
            NotFoundError: No such job, or another's.
        """
        return self._get(f"/v1/jobs/{quote(job_id, safe='')}", JobAnswer)

    def job_page(self, *, cursor: int | None = None, page_size: int = 50) -> JobPage:
        """Return one page of the jobs the caller may know of, newest first.

        Args:
            cursor: The page before's `next_cursor`; None: the first page.
            page_size: Most jobs on the page.
        """
        params = {"limit": page_size} | ({} if cursor is None else {"cursor": cursor})
        return self._get("/v1/jobs", JobPage, params=params)

    def jobs(self, *, page_size: int = 50) -> Iterator[JobAnswer]:
        """Yield all jobs the caller may know of, newest first, page by page."""
        cursor: int | None = None
        while True:
            page = self.job_page(cursor=cursor, page_size=page_size)
            yield from page.jobs
            cursor = page.next_cursor
            if cursor is None:
                return

    def events(self, job_id: str, *, after: int = 0) -> Iterator[JobEvent]:
        """Yield a job's events from the beginning until it ends, each exactly once.

        A broken connection is taken up again after the last event seen.

        Raises:
            NotFoundError: No such job.
            ServiceUnreachableError: The service stayed away.
        """
        failures = 0
        while True:
            try:
                headers = {"last-event-id": str(after), "accept": "text/event-stream"}
                address = f"/v1/jobs/{quote(job_id, safe='')}/events"
                with self._stream("GET", address, headers=headers) as response:
                    for event in read_events(response.iter_lines()):
                        after, failures = event.seq, 0
                        yield event
                        if JobState(event.state) in TERMINAL_STATES:
                            return
            except ServiceUnreachableError:
                failures += 1
                if failures > _RECONNECTS:
                    raise
            else:
                if JobState(self.job(job_id).state) in TERMINAL_STATES:
                    return  # `after` was the last event already
            time.sleep(_RECONNECT_SECONDS)

    def wait(self, job_id: str) -> JobAnswer:
        """Return the job once it has ended."""
        for _ in self.events(job_id):
            pass
        return self.job(job_id)

    def cancel(self, job_id: str) -> JobAnswer:
        """Cancel a job. Idempotent.

        Raises:
            TransitionError: It is failing or has ended otherwise.
        """
        return self._post(f"/v1/jobs/{job_id}/cancel", JobAnswer)

    def approve(self, job_id: str, approval: SignedApproval) -> JobAnswer:
        """Hand in a signed approval. Idempotent.

        Raises:
            ConflictError: The job no longer waits for approval.
        """
        return self._post(f"/v1/jobs/{job_id}/approvals", JobAnswer, approval)

    def reject(self, job_id: str, reason: str) -> JobAnswer:
        """Refuse a job that asks for approval."""
        return self._post(f"/v1/jobs/{job_id}/rejection", JobAnswer, Rejection(reason=reason))

    def review(self, job_id: str, review: Review) -> JobAnswer:
        """Decide whether the outputs of a run leave."""
        return self._post(f"/v1/jobs/{job_id}/release", JobAnswer, review)

    def download_workspace(self, job: JobAnswer, target: Path) -> Digest:
        """Download a job's code, checked against the manifest's digest."""
        address = f"/v1/jobs/{job.id}/workspace"
        return self._download(address, target, job.manifest.workspace_digest)

    def download_outputs(self, job_id: str, target: Path) -> Digest:
        """Download the sealed outputs of a released job of one's own.

        The digest is the service's word; the run bundle's verification is what counts.

        Raises:
            ConflictError: The job is not released.
        """
        return self._download(f"/v1/jobs/{job_id}/outputs", target, None)

    def log_proof(self, job_id: str) -> bytes | None:
        """Return the proof of a run's place in the service's log, or None if it keeps none."""
        try:
            return self._call("GET", f"/v1/jobs/{job_id}/log-proof")
        except NotFoundError:
            return None

    def result(self, job_id: str) -> GuestResult:
        """Return what the guest said last.

        Raises:
            ConflictError: The job has not ended.
            NotFoundError: It ended without a result.
        """
        return self._get(f"/v1/jobs/{job_id}/result", GuestResult)
