"""Organisations, their people, and the clean rooms (projects) in which they work together."""

from typing import Annotated, Literal

import msgspec

from manatee.errors import ManifestError
from manatee.records._base import Count, Moment, Name, Record, Text
from manatee.records._digests import DigestText

Role = Literal["researcher", "data_provider", "output_reviewer", "operator", "auditor"]
"""What a person is in an organisation. An operator is one of the whole installation."""


class Membership(Record, frozen=True, kw_only=True):
    """What one person is in one organisation, and until when (None: until it is ended)."""

    organisation: Name
    role: Role
    expires_at: Moment | None = None


class Member(Record, frozen=True, kw_only=True):
    """A membership as the organisation sees it."""

    account: Name
    role: Role
    expires_at: Moment | None = None


class NewMember(Record, frozen=True, kw_only=True):
    """Asks for a membership, or for another end of one that is there."""

    role: Role
    expires_at: Moment | None = None


class Quota(Record, frozen=True, kw_only=True):
    """What an organisation or a project may use at most; None: no limit of its own.

    `jobs` are jobs that have not ended. `guest_seconds` and `stored_bytes` are totals since the
    beginning: raise the limit to let work go on.
    """

    jobs: Count | None = None
    guest_seconds: Count | None = None
    stored_bytes: Count | None = None


class Usage(Record, frozen=True, kw_only=True):
    """What of a quota is in use. A job that runs counts with all the guest time it may take."""

    jobs: Count
    guest_seconds: Count
    stored_bytes: Count


class OrganisationAnswer(Record, frozen=True, kw_only=True):
    """An organisation with its people, their memberships that have lapsed left out."""

    name: Name
    members: tuple[Member, ...]
    quota: Quota
    usage: Usage


class ProjectParty(Record, frozen=True, kw_only=True):
    """An organisation in a project.

    `approvals_needed`: how many different approvers of it must have signed a job before the
    service moves it on; 0 for one that provides no data. Its key broker has its own rule.
    """

    organisation: Name
    approvals_needed: Annotated[int, msgspec.Meta(ge=0, le=20)] = 0


class CodePolicy(Record, frozen=True, kw_only=True):
    """What code may run in a project; None: whatever the service can run."""

    runtimes: (
        Annotated[tuple[DigestText, ...], msgspec.Meta(min_length=1, max_length=50)] | None
    ) = None
    resource_classes: (
        Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=50)] | None
    ) = None


class Project(Record, frozen=True, kw_only=True):
    """A clean room. It never changes: the parties agree to its digest, word for word."""

    format_version: Literal[1] = 1
    name: Name
    purpose: Text
    parties: Annotated[tuple[ProjectParty, ...], msgspec.Meta(min_length=1, max_length=32)]
    datasets: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=100)]
    starts_at: Moment
    ends_at: Moment
    code_policy: CodePolicy = CodePolicy()
    output_policies: (
        Annotated[tuple[DigestText, ...], msgspec.Meta(min_length=1, max_length=50)] | None
    ) = None
    """Digests of the output policies that jobs may run under; None: the data sets' own."""


ProjectState = Literal["proposed", "agreed", "open", "ended", "stopped"]
"""`proposed` until every party has agreed, `agreed` until it starts, `open` until it ends."""


class ProjectStop(Record, frozen=True, kw_only=True):
    """Why a party stops a project."""

    reason: Text


class ProjectAgreement(Record, frozen=True, kw_only=True):
    """A party's yes to one project, by its digest; `organisation` is who agrees."""

    organisation: Name
    project_digest: DigestText


class StoppedProject(Record, frozen=True, kw_only=True):
    """Who stopped a project, when and why. It stays stopped."""

    by: Name
    at: Moment
    reason: Text


class ProjectAnswer(Record, frozen=True, kw_only=True):
    """A project as it stands."""

    project: Project
    digest: DigestText
    state: ProjectState
    proposed_by: Name
    proposed_at: Moment
    agreed: tuple[Name, ...]
    """Organisations that have agreed, sorted."""
    stopped: StoppedProject | None = None
    quota: Quota
    usage: Usage


class ProjectPage(Record, frozen=True, kw_only=True):
    """A page of projects, by name; `next_after` asks for the next, None ends."""

    projects: tuple[ProjectAnswer, ...]
    next_after: Name | None


def check_project(project: Project) -> None:
    """Check what types cannot say.

    Raises:
        ManifestError: A party or data set stands twice, or it ends before it starts.
    """
    for what, values in (
        ("party", [party.organisation for party in project.parties]),
        ("data set", list(project.datasets)),
    ):
        if len(set(values)) != len(values):
            raise ManifestError(f"the project names the same {what} twice.")
    if project.ends_at <= project.starts_at:
        raise ManifestError("the project ends before it starts.")
