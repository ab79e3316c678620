"""Which jobs somebody may know of, as a condition of the database."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, false, or_, select

from manatee.store._schema import DatasetRow, JobDatasetRow, JobRow, ProjectPartyRow


@dataclass(frozen=True)
class Sight:
    """The jobs somebody may know of: any of these.

    Attributes:
        researcher: Jobs that this person submitted …
        own: … for one of these organisations.
        providers: Jobs that use a data set of one of these organisations.
        parties: Jobs of projects that one of these organisations takes part in.
    """

    researcher: str = ""
    own: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    parties: frozenset[str] = frozenset()


def in_sight(sight: Sight) -> ColumnElement[bool]:
    """Return the condition; that of nothing is never met."""
    found: list[ColumnElement[bool]] = []
    if sight.own:
        found.append(
            (JobRow.researcher == sight.researcher) & JobRow.organisation.in_(sorted(sight.own))
        )
    if sight.providers:
        found.append(
            JobRow.id.in_(
                select(JobDatasetRow.job_id)
                .join(DatasetRow, DatasetRow.version == JobDatasetRow.version)
                .where(DatasetRow.provider.in_(sorted(sight.providers)))
            )
        )
    if sight.parties:
        found.append(
            JobRow.project.in_(
                select(ProjectPartyRow.project).where(
                    ProjectPartyRow.organisation.in_(sorted(sight.parties))
                )
            )
        )
    return or_(*found) if found else false()
