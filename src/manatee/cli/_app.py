"""The tree of commands, and the one place where errors become exit codes."""

from __future__ import annotations

import sys

import typer

from manatee.cli import (
    _admin_commands,
    _attest_commands,
    _audit_commands,
    _broker_commands,
    _budget_commands,
    _contract_commands,
    _custody_commands,
    _dataset_commands,
    _ledger_commands,
    _operator_commands,
    _organisation_commands,
    _policy_commands,
    _project_commands,
    _provider_commands,
    _provision_commands,
    _pseudonym_commands,
    _researcher_commands,
    _review_commands,
    _sign_in_command,
    _twin_report,
)
from manatee.cli._console_command import console
from manatee.cli._demo_command import demo
from manatee.cli._lab_command import lab
from manatee.cli._output import Format, fail
from manatee.cli._preflight_command import preflight
from manatee.cli._verify_command import export, verify
from manatee.errors import ManateeError

app = typer.Typer(
    name="manatee",
    help="A two-stage clean room: explore safe data, run once in a TEE on the private data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(demo)
app.command()(lab)
app.command()(preflight)
app.command()(console)
app.command()(verify)
app.command()(export)
_attest_commands.add_to(app)
_operator_commands.add_to(app)
_organisation_commands.add_to(app)
_project_commands.add_to(app)
app.command()(_audit_commands.audit)
_admin_commands.add_to(app)
_broker_commands.add_to(app)
_ledger_commands.add_to(app)
_policy_commands.add_to(app)
_contract_commands.add_to(app)
_provision_commands.add_to(app)
_pseudonym_commands.add_to(app)
_budget_commands.add_to(app)
_provider_commands.add_to(app)
_custody_commands.add_to(app)
_researcher_commands.add_to(app)
_review_commands.add_to(app)
_sign_in_command.add_to(app)
_dataset_commands.add_to(app)
_twin_report.add_to(app)


def _wants_json(arguments: list[str]) -> bool:
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    return any(
        (name in {"-o", "--output"} and value == "json") or name in {"-ojson", "--output=json"}
        for name, value in pairs
    )


def run() -> None:
    """Run one command. Never returns.

    Exit codes: 0 done; 1 a defect of ours; others from the error table (`manatee.errors`).
    """
    arguments = sys.argv[1:]
    form = Format.JSON if _wants_json(arguments) else Format.TABLE
    try:
        app(arguments)
    except ManateeError as error:
        sys.exit(fail(error, form))
    except KeyboardInterrupt:
        sys.stderr.write("manatee: interrupted.\n")
        sys.exit(130)
