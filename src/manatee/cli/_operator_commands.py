"""Commands of the operator, and of a provider who runs a key broker."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, cast, get_args

import typer

from manatee.cli._options import Output
from manatee.cli._output import Format, print_json, print_rows
from manatee.errors import BackendUnavailableError, MalformedError, meaning
from manatee.records import Role
from manatee.settings import load_settings


def serve() -> None:
    """Run API, reconciler and, if the home folder holds one, the key broker; until SIGTERM."""
    from manatee.cli._services import serve as run_service

    run_service(load_settings())


def doctor(output: Output = Format.TABLE) -> None:
    """Say what is missing here and how to get it; the sandbox is tried for real."""
    from manatee.cli._doctor import examine

    findings = examine(load_settings())
    if output is Format.JSON:
        print_json(
            [
                {"name": item.name, "good": item.good, "detail": item.detail, "hint": item.hint}
                for item in findings
            ]
        )
    else:
        rows = [
            ("✓" if item.good else "✗", item.name, f"{item.detail} {item.hint}".strip())
            for item in findings
        ]
        print_rows(("", "what", "found"), rows)
    if not all(item.good for item in findings):
        raise typer.Exit(meaning(BackendUnavailableError).exit_code)


def settings(output: Output = Format.TABLE) -> None:
    """Show every setting and its present value; the token is never shown."""
    from manatee.cli._services import environment_of

    values = environment_of(load_settings())
    values["MANATEE_TOKEN"] = "(set)" if values["MANATEE_TOKEN"] else ""
    if output is Format.JSON:
        print_json(values)
    else:
        print_rows(("setting", "value"), sorted(values.items()))


def account_add(
    name: str,
    role: Annotated[list[str], typer.Option(help="One of: " + ", ".join(get_args(Role)))],
    days: Annotated[int, typer.Option(min=1, max=365, help="Life of the token.")] = 30,
    output: Output = Format.TABLE,
) -> None:
    """Add an account on this machine and print a token for it, once."""
    from manatee.cli._accounts import add_account

    unknown = sorted(set(role) - set(get_args(Role)))
    if unknown:
        raise MalformedError(f"no such role: {', '.join(unknown)}.")
    roles = cast("tuple[Role, ...]", tuple(role))
    token = add_account(load_settings().home, name, roles, life=timedelta(days=days))
    if output is Format.JSON:
        print_json({"name": name, "roles": list(roles), "token": token})
    else:
        typer.echo(token)


def account_approver(name: str, public_key: str) -> None:
    """Let approvals signed by this key count for a provider (the key broker decides for itself)."""
    from manatee.cli._accounts import trust_approver

    trust_approver(load_settings().home, name, public_key)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(serve)
    app.command()(doctor)
    app.command()(settings)
    account = typer.Typer(no_args_is_help=True, help="Accounts and API tokens (operator).")
    account.command("add")(account_add)
    account.command("approver")(account_approver)
    app.add_typer(account, name="account")
