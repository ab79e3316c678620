"""What the service and its clients say to one another over HTTP, beside the job's own records."""

from typing import Annotated, Any, Literal

import msgspec

from manatee.records._base import Count, Moment, Name, Record, Text
from manatee.records._datasets import DatasetManifest, FileEntry
from manatee.records._digests import DigestText
from manatee.records._forms import form
from manatee.records._guest import GuestEvent
from manatee.records._jobs import JobManifest
from manatee.records._organisations import Membership, Role
from manatee.records._outputs import Cause, ExitStatus, OutputPolicy

Url = Annotated[str, form(r"^https?://[!-~]{1,500}\Z", "an http or https URL in printable ASCII")]
"""Base URL of a service, printable ASCII."""

JobId = Annotated[str, form(r"^job-[0-9a-f]{16}\Z", "a job's id: job- and 16 hexadecimal digits")]


class Problem(Record, frozen=True, kw_only=True):
    """An error as `application/problem+json` (RFC 9457); `code` is that of the error class."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    hint: str = ""
    check: str | None = None


class Caller(Record, frozen=True, kw_only=True):
    """Who a token belongs to. `roles` are those of all memberships, sorted."""

    name: Name
    roles: tuple[Role, ...]
    memberships: tuple[Membership, ...] = ()
    expires_at: Moment


class DatasetPublication(Record, frozen=True, kw_only=True):
    """A data set as its provider offers it: the sealed table, its twin and its rules.

    `report` is the shareable report on the twin, HTML, if there is one.
    """

    dataset: DatasetManifest
    twin: DatasetManifest
    contract: Annotated[str, msgspec.Meta(max_length=200_000)]
    privacy_statement: dict[str, Any]
    output_policy: OutputPolicy
    broker_id: Name
    broker_url: Url
    report: FileEntry | None = None


class CatalogueEntry(Record, frozen=True, kw_only=True):
    """A published data set with the digests by which everything else names it."""

    publication: DatasetPublication
    version: DigestText
    twin_version: DigestText
    output_policy_digest: DigestText
    published_at: Moment


class JobAnswer(Record, frozen=True, kw_only=True):
    """A job as the service shows it. Holds nothing the researcher's code could choose."""

    id: JobId
    job_digest: DigestText
    manifest: JobManifest
    providers: tuple[Name, ...]
    state: str
    """A value of `manatee.jobs.JobState`."""
    version: Count
    attempt: Count
    exit: ExitStatus | None = None
    cause: Cause | None = None
    reason_code: str = ""
    message: str = ""
    created_at: Moment
    updated_at: Moment


class JobPage(Record, frozen=True, kw_only=True):
    """A page of jobs, newest first; `next_cursor` asks for the next, None ends."""

    jobs: tuple[JobAnswer, ...]
    next_cursor: int | None


class JobEvent(Record, frozen=True, kw_only=True):
    """Something that happened to a job: a new state, or progress inside the guest."""

    seq: Count
    """From 1, without gaps, per job."""
    at: Moment
    kind: Literal["state", "progress"]
    state: str
    """The job's state after the event."""
    cause: Cause | None = None
    reason_code: str = ""
    message: str = ""
    progress: GuestEvent | None = None


class Rejection(Record, frozen=True, kw_only=True):
    """A provider's no to a job that asks for approval."""

    reason: Text


class Review(Record, frozen=True, kw_only=True):
    """A provider's decision on the outputs of a run.

    With a yes, `outputs_digest` is that of the same outputs as the reviewer has sealed them for the
    job's recipients and uploaded them; None where the run left none.
    """

    decision: Literal["approve", "reject"]
    reason: Text
    outputs_digest: DigestText | None = None
