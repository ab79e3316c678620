"""Whether a project takes a job: asked in the transaction that takes it in, or moves it on."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from manatee.errors import (
    AuthorizationError,
    ManifestError,
    NotFoundError,
    ProjectClosedError,
    UnknownDatasetError,
)
from manatee.jobs import JobState
from manatee.records import JobManifest, Project, read_record
from manatee.store._moments import moment_of
from manatee.store._organisations import active_memberships
from manatee.store._records import Halt
from manatee.store._schema import DatasetRow, ProjectPartyRow, ProjectRow


def admit(session: Session, manifest: JobManifest, now: float) -> str:
    """Check that a project takes a job from its researcher.

    Returns:
        The organisation for which the researcher acts: the first by name of the project's parties
        that she is a researcher of.

    Raises:
        NotFoundError: No such project, or the researcher is in none of its parties: the two are
            not told apart.
        AuthorizationError: She is in one, but not as a researcher.
        ProjectClosedError: It takes no jobs now.
        ManifestError: It does not allow the data set, runtime, resource class or output policy.
        UnknownDatasetError: A data set version nobody published under that name.
    """
    row = session.scalars(
        select(ProjectRow).where(ProjectRow.name == manifest.project)
    ).one_or_none()
    parties = {
        party.organisation: party
        for party in session.scalars(
            select(ProjectPartyRow).where(ProjectPartyRow.project == manifest.project)
        )
    }
    held = active_memberships(session, manifest.researcher, now)
    within = [item for item in held if item.organisation in parties]
    if row is None or not within:
        raise NotFoundError(
            f"there is no project {manifest.project!r} that you are in.",
            hint="`manatee project list` shows yours.",
        )
    acting = [item.organisation for item in within if item.role == "researcher"]
    if not acting:
        raise AuthorizationError("only researchers of its parties submit to a project.")
    _check_open(row, [name for name, party in parties.items() if party.agreed_at is None], now)
    project = read_record(row.project.encode(), Project, what="stored project")
    _check_rules(project, manifest)
    for use in manifest.datasets:
        provider = session.scalars(
            select(DatasetRow.provider).where(
                DatasetRow.version == use.version, DatasetRow.name == use.name
            )
        ).one_or_none()
        # what is not a party's own is as unknown here as what does not exist
        if provider is None or parties.get(provider) is None:
            raise UnknownDatasetError(
                f"there is no data set {use.name!r} in the version asked for.",
                hint="See the catalogue for names and versions.",
            )
        if parties[provider].approvals_needed == 0:
            raise ManifestError(
                f"the project asks {provider!r}, whose data {use.name!r} is, for no approval.",
                hint="Propose a project that does.",
            )
    return acting[0]


def _check_open(row: ProjectRow, unagreed: list[str], now: float) -> None:
    if row.stopped_at is not None:
        raise ProjectClosedError(
            f"the project {row.name!r} was stopped by {row.stopped_by}.",
            hint="A stopped project stays so; its parties may agree to a new one.",
        )
    if unagreed:
        raise ProjectClosedError(
            f"not all parties have agreed to the project {row.name!r}: "
            f"{', '.join(sorted(unagreed))}.",
            hint="They agree with `manatee project agree`.",
        )
    if now < row.starts_at:
        raise ProjectClosedError(f"the project {row.name!r} starts at {moment_of(row.starts_at)}.")
    if now >= row.ends_at:
        raise ProjectClosedError(f"the project {row.name!r} ended at {moment_of(row.ends_at)}.")


def _check_rules(project: Project, manifest: JobManifest) -> None:
    code = project.code_policy
    for what, value, allowed in (
        ("runtime", manifest.runtime_digest, code.runtimes),
        ("resource class", manifest.resource_class, code.resource_classes),
        ("output policy", manifest.output_policy_digest, project.output_policies),
    ):
        if allowed is not None and value not in allowed:
            raise ManifestError(
                f"the project does not allow this {what}.",
                hint=f"It allows {', '.join(allowed)}.",
            )
    for use in manifest.datasets:
        if use.name not in project.datasets:
            raise ManifestError(
                f"the data set {use.name!r} is not in the project {project.name!r}.",
                hint=f"In it are {', '.join(project.datasets)}.",
            )


def halt_of(row: ProjectRow, now: float) -> Halt | None:
    """Return what keeps the project's jobs from going on."""
    if row.stopped_at is not None:
        return "stopped"
    return "ended" if row.ends_at <= now else None


def check_not_halted(project: ProjectRow, after: JobState, now: float) -> None:
    """Check that a job may take a step forward. What ran before its project's end may be released.

    Raises:
        ProjectClosedError: The project has been stopped, or has ended.
    """
    halt = halt_of(project, now)
    if halt == "stopped" or (halt == "ended" and after is not JobState.RELEASED):
        raise ProjectClosedError(f"the project {project.name!r} was {halt}.")
