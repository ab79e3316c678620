"""Commands of the operator, and of a provider who runs a key broker."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, cast, get_args

import typer

from manatee.cli._account_commands import add_to as add_account_commands
from manatee.cli._findings import Finding
from manatee.cli._options import Output
from manatee.cli._output import Format, print_json, print_rows
from manatee.cli._processes import Part
from manatee.cli._sign_in_command import ScopeNames, account_invite, scopes_named
from manatee.errors import BackendUnavailableError, MalformedError, meaning
from manatee.records import Role
from manatee.settings import load_settings


def serve(
    only: Annotated[
        Part | None, typer.Option(help="Run this part alone, beside other processes.")
    ] = None,
) -> None:
    """Run API, reconciler and, if the home folder holds one, the key broker; until SIGTERM."""
    from manatee.cli._services import serve as run_service

    run_service(load_settings(), only)


def doctor(output: Output = Format.TABLE) -> None:
    """Say what is missing here and how to get it; the sandbox is tried for real."""
    from manatee.cli._doctor import examine

    findings = examine(load_settings())
    if output is Format.JSON:
        print_json(
            [
                {
                    "name": item.name,
                    "good": item.good,
                    "needed": item.needed,
                    "detail": item.detail,
                    "hint": item.hint,
                }
                for item in findings
            ]
        )
    else:
        rows = [(_mark(item), item.name, f"{item.detail} {item.hint}".strip()) for item in findings]
        print_rows(("", "what", "found"), rows)
    if not all(item.good or not item.needed for item in findings):
        raise typer.Exit(meaning(BackendUnavailableError).exit_code)


def _mark(item: Finding) -> str:
    if item.good:
        return "✓"
    return "✗" if item.needed else "!"


def settings(output: Output = Format.TABLE) -> None:
    """Show every setting and its present value; token and passwords are never shown."""
    from manatee.cli._services import environment_of
    from manatee.store import without_password

    values = environment_of(load_settings())
    values["MANATEE_DATABASE_URL"] = without_password(values["MANATEE_DATABASE_URL"])
    values["MANATEE_TOKEN"] = "(set)" if values["MANATEE_TOKEN"] else ""
    if output is Format.JSON:
        print_json(values)
    else:
        print_rows(("setting", "value"), sorted(values.items()))


def account_add(
    name: str,
    role: Annotated[list[str], typer.Option(help="One of: " + ", ".join(get_args(Role)))],
    organisation: Annotated[
        str, typer.Option(help="Where; is added if it is not there. Else one of the same name.")
    ] = "",
    days: Annotated[int, typer.Option(min=1, max=365, help="Life of the token.")] = 30,
    scope: ScopeNames = None,
    output: Output = Format.TABLE,
) -> None:
    """Add a person on this machine and print a token for them, once."""
    from manatee.cli._accounts import add_account

    unknown = sorted(set(role) - set(get_args(Role)))
    if unknown:
        raise MalformedError(f"no such role: {', '.join(unknown)}.")
    roles = cast("tuple[Role, ...]", tuple(role))
    settings = load_settings()
    token = add_account(
        settings.home,
        name,
        roles,
        life=timedelta(days=days),
        organisation=organisation,
        scopes=scopes_named(scope),
        database_url=settings.database_url,
    )
    if output is Format.JSON:
        print_json({"name": name, "roles": list(roles), "token": token})
    else:
        typer.echo(token)


def account_approver(name: str, public_key: str) -> None:
    """Let approvals signed by this key count for a provider (the key broker decides for itself)."""
    from manatee.cli._accounts import trust_approver

    settings = load_settings()
    trust_approver(settings.home, name, public_key, database_url=settings.database_url)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(serve)
    app.command()(doctor)
    app.command()(settings)
    account = typer.Typer(no_args_is_help=True, help="Accounts and API tokens (operator).")
    account.command("add")(account_add)
    account.command("invite")(account_invite)
    account.command("approver")(account_approver)
    add_account_commands(account, app)
    app.add_typer(account, name="account")
