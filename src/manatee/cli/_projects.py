"""Projects as files: what `manatee project propose` reads, and how parties come to agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from manatee._clock import system_clock, timestamp
from manatee.client import ManateeClient
from manatee.errors import MalformedError, SettingsError
from manatee.records import Project, ProjectAgreement, ProjectAnswer, ProjectParty, to_record

MAX_BYTES = 1 << 20
"""Cap of a project file, in bytes."""


def read_project(path: Path) -> Project:
    """Read a project from a YAML or JSON file.

    Raises:
        SettingsError: It cannot be read.
        MalformedError: It is no project; says where.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read {path} ({error.strerror}).") from error
    if len(data) > MAX_BYTES:
        raise MalformedError(f"{path} has more than {MAX_BYTES} bytes.")
    try:
        found = msgspec.yaml.decode(data)
    except msgspec.DecodeError as error:
        raise MalformedError(f"{path} is not YAML: {error}.") from error
    return to_record(found, Project, what="project")


def plain_project(
    name: str, purpose: str, approvals: Mapping[str, int], datasets: Sequence[str], life: timedelta
) -> Project:
    """Return a project that starts now.

    Args:
        name: Of the project.
        purpose: Why.
        approvals: Each party with the approvals that are needed of it.
        datasets: Names.
        life: How long it stays open.
    """
    now = system_clock()
    return Project(
        name=name,
        purpose=purpose,
        parties=tuple(
            ProjectParty(organisation=party, approvals_needed=needed)
            for party, needed in approvals.items()
        ),
        datasets=tuple(datasets),
        starts_at=timestamp(now),
        ends_at=timestamp(now + life),
    )


def agree_together(
    project: Project, proposer: ManateeClient, others: Mapping[str, ManateeClient]
) -> ProjectAnswer:
    """Let one party propose a project and the others, by organisation, agree to it. Idempotent."""
    answer = proposer.propose_project(project)
    for organisation, client in others.items():
        agreement = ProjectAgreement(organisation=organisation, project_digest=answer.digest)
        answer = client.agree(project.name, agreement)
    return answer
