"""Commands of the privacy budget ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from manatee.cli._options import Output
from manatee.cli._output import Format, print_json, print_rows
from manatee.errors import BudgetError
from manatee.settings import load_settings

if TYPE_CHECKING:
    from manatee.budgets import BudgetLedger, Spending

LedgerPath = Annotated[
    Path | None, typer.Option("--ledger", help="The ledger; otherwise that of MANATEE_HOME.")
]
DatasetName = Annotated[str, typer.Argument(help="The contract's name.")]

budget = typer.Typer(help="What all releases on a data set may cost together, and have cost.")


def provider_folder() -> Path:
    """Return where a provider's ledger and secret lie if nothing else is said."""
    return load_settings().home.expanduser() / "provider"


def ledger_path(path: Path | None) -> Path:
    """Return the path of the ledger that a command speaks of."""
    return path or provider_folder() / "budget.sqlite"


def open_ledger(path: Path | None) -> BudgetLedger:
    """Return the ledger that a command speaks of."""
    from manatee.budgets import BudgetLedger

    return BudgetLedger(ledger_path(path))


def _row(spent: Spending) -> dict[str, object]:
    return {
        "dataset": spent.dataset,
        "unit": spent.limit.unit,
        "limit_epsilon": spent.limit.epsilon,
        "limit_delta": spent.limit.delta,
        "spent_epsilon": spent.epsilon,
        "spent_rho": float(spent.rho),
        "epsilon_left": spent.epsilon_left,
        "releases": spent.charges,
        "held": spent.held,
        "without_guarantee": spent.unbounded,
    }


@budget.command()
def limit(
    dataset: DatasetName,
    epsilon: Annotated[float, typer.Option(help="The most, over every twin and release.")],
    delta: Annotated[float, typer.Option(help="Well below one over the number of rows.")],
    unit: Annotated[str, typer.Option(help="Whom it protects: row or person.")] = "row",
    ledger: LedgerPath = None,
) -> None:
    """Set the most that all releases on a data set may cost together."""
    if unit not in {"row", "person"}:
        raise BudgetError("the privacy unit is row or person.")
    open_ledger(ledger).set_limit(
        dataset, epsilon=epsilon, delta=delta, unit="person" if unit == "person" else "row"
    )


@budget.command()
def show(
    dataset: Annotated[str | None, typer.Argument(help="One data set; otherwise all.")] = None,
    ledger: LedgerPath = None,
    output: Output = Format.TABLE,
) -> None:
    """Show what is spent and what is left; with a name, every release."""
    book = open_ledger(ledger)
    rows = [_row(book.spent(name)) for name in ([dataset] if dataset else book.datasets())]
    runs = [
        {
            "run": run,
            "state": state,
            "what": charge.what,
            "rho": None if charge.rho is None else float(charge.rho),
        }
        for run, state, charges in (book.runs(dataset) if dataset else ())
        for charge in charges
    ]
    if output is Format.JSON:
        print_json({"datasets": rows, "runs": runs} if dataset else {"datasets": rows})
        return
    print_rows(
        ("DATASET", "UNIT", "EPSILON SPENT", "LIMIT", "DELTA", "HELD", "WITHOUT GUARANTEE"),
        [
            (
                str(row["dataset"]),
                str(row["unit"]),
                f"{row['spent_epsilon']:.4g}",
                f"{row['limit_epsilon']:g}",
                f"{row['limit_delta']:g}",
                str(row["held"]),
                str(row["without_guarantee"]),
            )
            for row in rows
        ],
    )
    if runs:
        typer.echo()
        print_rows(
            ("RUN", "STATE", "RHO", "WHAT"),
            [
                (
                    str(item["run"]),
                    str(item["state"]),
                    "no guarantee" if item["rho"] is None else f"{item['rho']:.4g}",
                    str(item["what"]),
                )
                for item in runs
            ],
        )


@budget.command()
def check(
    head: Annotated[
        str | None, typer.Option(help="A head of this ledger, from an earlier privacy statement.")
    ] = None,
    ledger: LedgerPath = None,
) -> None:
    """Check the ledger's chain and limits, and print its head."""
    typer.echo(open_ledger(ledger).check(head=head))


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.add_typer(budget, name="budget")
