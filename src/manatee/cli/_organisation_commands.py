"""Commands around organisations and their people."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, cast, get_args

import typer

from manatee._clock import system_clock, timestamp
from manatee.cli._options import Output, open_client
from manatee.cli._output import Format, print_json, print_rows
from manatee.cli._project_commands import quota_of, usage_rows
from manatee.errors import MalformedError
from manatee.records import NewMember, OrganisationAnswer, Role

Name = Annotated[str, typer.Argument(help="Name of the organisation.")]
Person = Annotated[str, typer.Argument(help="Name of the account.")]
RoleName = Annotated[str, typer.Argument(help="One of: " + ", ".join(get_args(Role)))]


def whoami(output: Output = Format.TABLE) -> None:
    """Show who your token belongs to, and what you are where."""
    caller = open_client().whoami()
    if output is Format.JSON:
        print_json(caller)
        return
    print_rows(
        ("account", "organisation", "role", "until"),
        [
            (caller.name, item.organisation, item.role, item.expires_at or "")
            for item in caller.memberships
        ]
        or [(caller.name, "", "", "")],
    )


def add(name: Name, output: Output = Format.TABLE) -> None:
    """Add an organisation (operator)."""
    _show(open_client().add_organisation(name), output)


def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show an organisation: its people and what it has used."""
    _show(open_client().organisation(name), output)


def member(
    name: Name,
    account: Person,
    role: RoleName,
    days: Annotated[
        int | None, typer.Option(min=1, max=3660, help="Ends by itself after so many days.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Make somebody a member in a role (operator)."""
    if role not in get_args(Role):
        raise MalformedError(f"no such role: {role}.", hint=f"One of {', '.join(get_args(Role))}.")
    until = None if days is None else timestamp(system_clock() + timedelta(days=days))
    wanted = NewMember(role=cast("Role", role), expires_at=until)
    _show(open_client().set_member(name, account, wanted), output)


def end(name: Name, account: Person, role: RoleName, output: Output = Format.TABLE) -> None:
    """End a membership at once (operator)."""
    _show(open_client().end_member(name, account, role), output)


def set_quota(
    name: Name,
    jobs: Annotated[int | None, typer.Option(min=0, help="Jobs at a time.")] = None,
    guest_hours: Annotated[float | None, typer.Option(min=0, help="Hours in total.")] = None,
    storage_gib: Annotated[float | None, typer.Option(min=0, help="GiB in total.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Set what an organisation may use (operator); what is left out has no limit."""
    limits = quota_of(jobs, guest_hours, storage_gib)
    _show(open_client().set_organisation_quota(name, limits), output)


def _show(answer: OrganisationAnswer, output: Format) -> None:
    if output is Format.JSON:
        print_json(answer)
        return
    print_rows(
        (answer.name, "role", "until"),
        [(item.account, item.role, item.expires_at or "") for item in answer.members],
    )
    typer.echo()
    print_rows(("quota", "used"), usage_rows(answer.quota, answer.usage))


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(whoami)
    group = typer.Typer(no_args_is_help=True, help="Organisations and their people.")
    group.command("add")(add)
    group.command("show")(show)
    group.command("member")(member)
    group.command("end")(end)
    group.command("quota")(set_quota)
    app.add_typer(group, name="organisation")
