"""Looks whether projects and published data sets are as was decided."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from manatee.errors import MalformedError
from manatee.records import (
    DatasetPublication,
    Project,
    dataset_version,
    digest_bytes,
    digest_record,
    read_record,
)
from manatee.store._audited_trail import BROKEN, CHANGED, GONE, STRANGE, Problem, Trail
from manatee.store._moments import seconds_of
from manatee.store._schema import DatasetRow, ProjectDatasetRow, ProjectPartyRow, ProjectRow


def clean_rooms(trail: Trail, session: Session) -> Iterator[Problem]:
    """Yield what is wrong with projects, their parties and data sets."""
    rows = {row.name: row for row in session.scalars(select(ProjectRow))}
    yield from ((f"projects {name}", GONE) for name in sorted(trail.projects.keys() - rows.keys()))
    for name, row in sorted(rows.items()):
        if name not in trail.projects:
            if not trail.left_out(row.proposed_at):
                yield f"projects {name}", STRANGE
            continue
        digest, by = trail.projects[name]
        if digest_bytes(row.project.encode()) != digest or row.proposed_by != by:
            yield f"projects {name}", CHANGED
            continue
        project = read_record(row.project.encode(), Project, what="stored project")
        times = seconds_of(project.starts_at), seconds_of(project.ends_at)
        if (row.digest, row.starts_at, row.ends_at) != (digest, *times):
            yield f"projects {name}", "has other times or another digest than its text"
        if _stop(row) != trail.stopped.get(name):
            yield f"projects {name}", "is stopped or not, other than was decided"
        yield from _parties(trail, session, project)
        datasets = session.scalars(
            select(ProjectDatasetRow.dataset).where(ProjectDatasetRow.project == name)
        )
        if set(datasets) != set(project.datasets):
            yield f"project_datasets of {name}", CHANGED


def _stop(row: ProjectRow) -> tuple[str, str] | None:
    if row.stopped_at is None and row.stopped_by is None:
        return None
    return row.stopped_by or "", digest_bytes((row.stopped_reason or "").encode())


def _parties(trail: Trail, session: Session, project: Project) -> Iterator[Problem]:
    needed = {party.organisation: party.approvals_needed for party in project.parties}
    found = {
        party.organisation: party
        for party in session.scalars(
            select(ProjectPartyRow).where(ProjectPartyRow.project == project.name)
        )
    }
    for organisation in sorted(needed.keys() | found.keys()):
        where = f"project_parties {project.name}/{organisation}"
        party = found.get(organisation)
        if party is None:
            yield where, GONE
        elif organisation not in needed:
            yield where, STRANGE
        elif party.approvals_needed != needed[organisation] or (party.agreed_at is not None) != (
            (project.name, organisation) in trail.agreed
        ):
            yield where, CHANGED


def catalogue(trail: Trail, session: Session) -> Iterator[Problem]:
    """Yield what is wrong with published data sets, and where another version is the newest."""
    order: dict[str, list[str]] = {}
    for row in session.scalars(select(DatasetRow).order_by(DatasetRow.number)):
        where = f"datasets {row.name} {row.version}"
        digest = digest_bytes(row.publication.encode())
        expected = trail.versions.get(row.name, {}).get(row.version)
        if expected is not None:
            order.setdefault(row.name, []).append(row.version)
        if expected is None and digest not in trail.unversioned.get(row.name, ()):
            if not trail.left_out(row.published_at):
                yield where, STRANGE
                continue
        elif expected not in (None, digest):
            yield where, CHANGED
            continue
        yield from _columns(where, row)
    for name, versions in trail.versions.items():
        found = order.get(name, [])
        for version in versions:
            if version not in found:
                yield f"datasets {name} {version}", GONE
        if found != [version for version in versions if version in found]:
            yield f"datasets {name}", "stand in another order than they were published in"


def _columns(where: str, row: DatasetRow) -> Iterator[Problem]:
    try:
        said = read_record(row.publication.encode(), DatasetPublication, what="publication")
    except MalformedError:
        yield where, BROKEN
        return
    expected = (
        said.dataset.name,
        said.dataset.provider,
        dataset_version(said.dataset),
        dataset_version(said.twin),
        digest_record(said.output_policy),
    )
    found = row.name, row.provider, row.version, row.twin_version, row.output_policy_digest
    if found != expected:
        yield where, "is filed under other names or digests than its publication's"
