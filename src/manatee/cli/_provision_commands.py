"""Commands that make a twin folder and seal the real tables beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from manatee.cli._budget_commands import LedgerPath, ledger_path
from manatee.cli._options import Output
from manatee.cli._output import Format, print_json
from manatee.errors import SettingsError

if TYPE_CHECKING:
    from manatee.provisioning.tables import TableInPlace

Tables = Annotated[
    list[str] | None,
    typer.Option(
        "--table",
        help="A private table, NAME=PATH; NAME= may be left out for one. To count one where it "
        "lies: NAME=postgresql://HOST/DATABASE/SCHEMA.TABLE or NAME=duckdb:FILE::SCHEMA.TABLE.",
    ),
]
Database = Annotated[
    str | None, typer.Option(help="Or: the DSN of a PostgreSQL server that has the tables.")
]
Secret = Annotated[
    Path | None, typer.Option(help="The provider's secret; otherwise beside the ledger.")
]


def table_paths(
    texts: list[str] | None, database: str | None, names: list[str]
) -> dict[str, Path] | str | TableInPlace:
    """Return where the private tables are.

    Raises:
        SettingsError: Not NAME=PATH, a name twice, both of tables and database, or a table of a
            database beside another one.
    """
    from manatee.provisioning.tables import is_in_place, table_in_place

    if texts and database is not None:
        raise SettingsError("say --table NAME=PATH for each table, or --database, not both.")
    if database is not None:
        return database
    found: dict[str, Path] = {}
    for text in texts or ():
        name, equals, path = text.partition("=")
        if len(names) == 1 and (not equals or is_in_place(text)):
            name, path = names[0], text
        if not name or not path or name in found:
            raise SettingsError(
                "each --table is NAME=PATH, every name once.",
                hint=f"The contract's tables: {', '.join(names)}.",
            )
        if is_in_place(path):
            if len(texts or ()) > 1:
                raise SettingsError(
                    "a table that is counted in its database must be the only one.",
                    hint="Read all tables by --database, or give files.",
                )
            return table_in_place(name, path)
        found[name] = Path(path)
    return found


@contextmanager
def progress_on_stderr() -> Iterator[Callable[[str, float], None]]:
    """Show what is being done and the time left, on standard error; plain lines if no terminal."""
    if not sys.stderr.isatty():
        said = [""]

        def line(step: str, part: float) -> None:
            if step != said[0]:
                said[0] = step
                print(f"{part:4.0%} {step}", file=sys.stderr)

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeLeft())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda step, part: bar.update(task, description=step, completed=part)


def provision(
    contract: Annotated[Path, typer.Argument(help="The contract, YAML.")],
    spec: Annotated[Path, typer.Argument(help="What to make of each table, YAML.")],
    out: Annotated[Path, typer.Option(help="New folder for the twin.")],
    table: Tables = None,
    database: Database = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run.")
    ] = False,
    ledger: LedgerPath = None,
    secret: Secret = None,
    pseudonym_key: Annotated[
        Path | None,
        typer.Option(help="A key that `manatee pseudonym-key` made, for joins across providers."),
    ] = None,
    attack_twins: Annotated[
        int,
        typer.Option(
            min=0, max=200, help="Twins to try membership attacks on, for your own report."
        ),
    ] = 8,
    insecure_fixed_noise: Annotated[
        int | None, typer.Option(help="Tests only: noise from this seed. Protects NOBODY.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Make the twin of a contract's tables, its privacy statement and reports, in one folder."""
    from manatee.budgets import BudgetLedger
    from manatee.provisioning.attacks import FEWEST_TWINS
    from manatee.provisioning.pets import read_shared_key
    from manatee.provisioning.runs import (
        Desk,
        insecure_fixed,
        provider_secret,
        provision,
        read_order,
    )
    from manatee.provisioning.tables import TableInPlace

    if 0 < attack_twins < FEWEST_TWINS:
        raise SettingsError(
            f"--attack-twins must be 0 or at least {FEWEST_TWINS}: half of the twins teach the "
            "attackers, the others judge them."
        )
    order = read_order(contract, spec)
    where = table_paths(table, database, [item.name for item in order.contract.tables])
    book = ledger_path(ledger)
    desk = Desk(
        ledger=BudgetLedger(book),
        secret=provider_secret(secret or book.with_name("secret.key")),
        shared=None if pseudonym_key is None else read_shared_key(pseudonym_key),
        attack_twins=attack_twins,
    )
    if insecure_fixed_noise is not None:
        from dataclasses import replace

        desk = replace(desk, noise=insecure_fixed(insecure_fixed_noise), stamp="fixed noise")
    with progress_on_stderr() as progress:
        made = provision(order, where, out, desk=desk, resume=resume, progress=progress)
    for warning in made.statement.warnings:
        print(f"manatee: warning: {warning}", file=sys.stderr)
    if isinstance(where, TableInPlace):
        print(
            "manatee: the rows stayed in their database: there is no provider-report.html, which "
            "compares rows, and no attack was tried.",
            file=sys.stderr,
        )
    if not made.report_passed:
        print(
            "manatee: warning: a check in the reports failed; read provider-report.html before "
            "anything is published.",
            file=sys.stderr,
        )
    if output is Format.JSON:
        print_json(
            {
                "folder": str(made.folder),
                "run": made.run,
                "report_passed": made.report_passed,
                "statement": made.statement,
            }
        )
    else:
        typer.echo((made.folder / "statement.txt").read_text(), nl=False)


def seal(
    twin: Annotated[Path, typer.Argument(help="A folder made by `manatee provision`.")],
    out: Annotated[Path, typer.Option(help="New folder for what is published.")],
    provider: Annotated[str, typer.Option(help="Your account name.")],
    broker_id: Annotated[str, typer.Option(help="Your key broker's name.")],
    broker_url: Annotated[str, typer.Option(help="Where guests reach it.")],
    table: Tables = None,
    database: Database = None,
    broker_recipient: Annotated[
        str | None, typer.Option(help="age recipient, as `keybroker init` printed it.")
    ] = None,
    custody: Annotated[
        Path | None, typer.Option(help="Or: folder with the broker's custody.json.")
    ] = None,
    twin_report: Annotated[
        float | None,
        typer.Option(
            help="Let each job spend so much epsilon on a report of where the twin misled."
        ),
    ] = None,
    reviewer: Annotated[
        list[str] | None,
        typer.Option(
            help="age recipient of an output reviewer; repeatable. Outputs are sealed to them, and "
            "leave when one of them says so. Without: at once, when all checks pass."
        ),
    ] = None,
    ledger: LedgerPath = None,
    secret: Secret = None,
) -> None:
    """Seal the tables that a twin was made from; prints one prepared folder a table."""
    from manatee.budgets import BudgetLedger
    from manatee.cli._provider import BrokerAddress, PrivacyBudget
    from manatee.cli._seal import seal_tables
    from manatee.contracts import read_contract
    from manatee.custody import open_custody, recipient_custody
    from manatee.outputs import output_policy
    from manatee.provisioning.runs import provider_secret

    if custody is not None and broker_recipient is None:
        ring = open_custody(custody)
    elif broker_recipient is not None and custody is None:
        ring = recipient_custody(broker_recipient)
    else:
        raise SettingsError("say --broker-recipient or --custody: one of the two.")
    contract = read_contract(twin / "contract.yaml")
    where = table_paths(table, database, [item.name for item in contract.tables])
    report = None
    if twin_report is not None:
        limit = BudgetLedger(ledger_path(ledger)).spent(contract.name).limit
        report = PrivacyBudget(twin_report, limit.delta)
    folders = seal_tables(
        twin,
        where,
        out,
        provider=provider,
        broker=BrokerAddress(broker_id, broker_url, ring),
        secret=provider_secret(secret or ledger_path(ledger).with_name("secret.key")),
        output_policy=output_policy(tuple(reviewer or ())),
        twin_report=report,
        progress=lambda text: print(text, file=sys.stderr),
    )
    for folder in folders:
        typer.echo(folder)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(provision)
    app.command()(seal)
