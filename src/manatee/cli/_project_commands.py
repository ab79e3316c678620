"""Commands around clean rooms: propose, agree, look, stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from manatee.cli._options import Output, open_client
from manatee.cli._output import Format, print_json, print_rows
from manatee.errors import ConflictError, MalformedError
from manatee.records import ProjectAgreement, ProjectAnswer, Quota

Name = Annotated[str, typer.Argument(help="Name of the project.")]


def propose(
    file: Annotated[Path, typer.Argument(help="The project, YAML or JSON.")],
    output: Output = Format.TABLE,
) -> None:
    """Propose a project in the name of your organisation, which thereby agrees to it."""
    from manatee.cli._projects import read_project

    project = read_project(file)
    _show(open_client().propose_project(project), output)


def agree(
    name: Name,
    digest: Annotated[str, typer.Argument(help="Digest of what you have read (`show`).")],
    organisation: Annotated[
        str, typer.Option("--as", help="Your organisation; needed if you are in several.")
    ] = "",
    output: Output = Format.TABLE,
) -> None:
    """Agree to a project in the name of your organisation. Agreeing to another digest fails."""
    client = open_client()
    parties = {party.organisation for party in client.project(name).project.parties}
    mine = sorted(parties & {item.organisation for item in client.whoami().memberships})
    if not organisation and len(mine) != 1:
        raise MalformedError(
            f"you are in several of its parties: {', '.join(mine)}."
            if mine
            else "you are in none of its parties.",
            hint="Say which with --as.",
        )
    agreement = ProjectAgreement(organisation=organisation or mine[0], project_digest=digest)
    _show(client.agree(name, agreement), output)


def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show a project: who takes part, with which data, until when, and what it has used."""
    _show(open_client().project(name), output)


def list_projects(output: Output = Format.TABLE) -> None:
    """List your projects."""
    found = list(open_client().projects())
    if output is Format.JSON:
        print_json(found)
        return
    print_rows(
        ("name", "state", "parties", "data sets", "ends"),
        [
            (
                item.project.name,
                item.state,
                ", ".join(party.organisation for party in item.project.parties),
                ", ".join(item.project.datasets),
                item.project.ends_at,
            )
            for item in found
        ],
    )


def stop(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; all parties see it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Stop a project at once and for good: its jobs are cancelled, nothing is released any more."""
    if not yes and not typer.confirm(f"Stop {name} for good and cancel all its jobs?", err=True):
        raise ConflictError("not stopped.")
    _show(open_client().stop_project(name, reason), output)


def set_quota(
    name: Name,
    jobs: Annotated[int | None, typer.Option(min=0, help="Jobs at a time.")] = None,
    guest_hours: Annotated[float | None, typer.Option(min=0, help="Hours in total.")] = None,
    storage_gib: Annotated[float | None, typer.Option(min=0, help="GiB in total.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Set what a project may use (operator); what is left out has no limit."""
    _show(open_client().set_project_quota(name, quota_of(jobs, guest_hours, storage_gib)), output)


def quota_of(jobs: int | None, guest_hours: float | None, storage_gib: float | None) -> Quota:
    """Return limits given in hours and GiB."""
    return Quota(
        jobs=jobs,
        guest_seconds=None if guest_hours is None else int(guest_hours * 3600),
        stored_bytes=None if storage_gib is None else int(storage_gib * (1 << 30)),
    )


def usage_rows(quota: Quota, used: object) -> list[tuple[str, str]]:
    """Return lines that say how much of each limit is used."""
    rows = []
    for word, name, unit, scale in (
        ("jobs", "jobs", "", 1),
        ("guest time", "guest_seconds", " h", 3600),
        ("storage", "stored_bytes", " GiB", 1 << 30),
    ):
        limit, taken = getattr(quota, name), getattr(used, name)
        shown = "no limit" if limit is None else f"{limit / scale:.3g}{unit}"
        rows.append((word, f"{taken / scale:.3g}{unit} of {shown}"))
    return rows


def _show(answer: ProjectAnswer, output: Format) -> None:
    if output is Format.JSON:
        print_json(answer)
        return
    project = answer.project
    parties = [
        f"{party.organisation} ({'agreed' if party.organisation in answer.agreed else 'not yet'}"
        + (f", {party.approvals_needed} approvals)" if party.approvals_needed else ")")
        for party in project.parties
    ]
    rows = [
        ("name", project.name),
        ("state", answer.state),
        ("purpose", project.purpose),
        ("parties", "; ".join(parties)),
        ("data sets", ", ".join(project.datasets)),
        ("open", f"{project.starts_at} to {project.ends_at}"),
        ("runtimes", ", ".join(project.code_policy.runtimes or ("any the service has",))),
        ("classes", ", ".join(project.code_policy.resource_classes or ("any",))),
        ("output policies", ", ".join(project.output_policies or ("the data sets' own",))),
        *usage_rows(answer.quota, answer.usage),
        ("digest", answer.digest),
    ]
    if answer.stopped is not None:
        rows.append(
            ("stopped", f"{answer.stopped.at} by {answer.stopped.by}: {answer.stopped.reason}")
        )
    print_rows(("member", "value"), rows)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    group = typer.Typer(
        no_args_is_help=True, help="Projects (clean rooms): who works with which data, until when."
    )
    group.command("propose")(propose)
    group.command("agree")(agree)
    group.command("show")(show)
    group.command("list")(list_projects)
    group.command("stop")(stop)
    group.command("quota")(set_quota)
    app.add_typer(group, name="project")
