"""`manatee contract …`: check, show, draft and compare data contracts (data provider)."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from manatee.cli._contract_interview import interview
from manatee.cli._options import Output
from manatee.cli._output import Format, print_json, print_rows
from manatee.errors import ContractError

File = Annotated[Path, typer.Argument(help="The contract, YAML.")]


def check(file: File, output: Output = Format.TABLE) -> None:
    """Check a contract; the first thing wrong is named with line and column."""
    from manatee.contracts import contract_digest, read_contract

    contract = read_contract(file)
    digest = contract_digest(contract)
    if output is Format.JSON:
        print_json({"name": contract.name, "version": contract.version, "digest": digest})
        return
    typer.echo(f"{contract.name}, version {contract.version}: a contract. {digest}")


def show(file: File, output: Output = Format.TABLE) -> None:
    """Show what a contract says of every column."""
    from manatee.contracts import arrow_type, n_cells, read_contract
    from manatee.contracts import show as show_limit

    contract = read_contract(file)
    if output is Format.JSON:
        print_json(asdict(contract))
        return
    rows = []
    for table in contract.tables:
        for column in table.columns:
            values = ", ".join(column.categories)
            if column.numeric:
                limits = (column.minimum or 0.0, column.maximum or 0.0)
                values = " to ".join(show_limit(limit, column) for limit in limits)
            cells = str(n_cells(column)) if column.cellular else ""
            place = f"{table.name}.{column.name}"
            rows.append((place, str(arrow_type(column)), values, cells, column.sensitivity))
    print_rows(("column", "type", "values", "cells", "sensitivity"), rows)


def diff(
    old: Annotated[Path, typer.Argument(help="The contract in use.")],
    new: Annotated[Path, typer.Argument(help="The changed one.")],
    output: Output = Format.TABLE,
) -> None:
    """Say what changed, and what that means for twins made before."""
    from manatee.contracts import diff_contracts, read_contract

    found = diff_contracts(read_contract(old), read_contract(new))
    if output is Format.JSON:
        print_json(asdict(found))
        return
    rows = [(change.place, change.old, change.new) for change in found.changes]
    print_rows(("place", "old", "new"), rows)
    if found.schema_changed:
        typer.echo(f"Other schema: {', '.join(found.schema_changed)}. Notebooks may need changes.")
    typer.echo(
        "Twins made before no longer stand for the contract: make new ones, which spends budget."
        if found.twins_stale
        else "Twins made before still stand."
    )
    if found.twins_stale and not found.version_raised:
        typer.echo("A changed contract needs a higher version.")


def draft(
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE...", help="CSV or Parquet files.")],
    out: Annotated[Path, typer.Option(help="Where to write the draft; not overwritten.")],
    name: Annotated[str, typer.Option(help="The contract's name.")] = "draft",
    answers: Annotated[
        Path | None, typer.Option(help="YAML file: place of the contract, and what stands there.")
    ] = None,
    read_values: Annotated[
        bool, typer.Option("--read-values", help="Also propose members from private values.")
    ] = False,
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask for whatever is not answered yet, column by column.")
    ] = False,
) -> None:
    """Draft a contract from the tables' schemas and your answers.

    What came from private values is listed as unreviewed, and the contract is refused until you
    have taken each line off that list.
    """
    from manatee.contracts import draft_text

    paths = {path.stem: path for path in tables}
    said = _answers(answers)
    if ask:
        from manatee.contracts import drafted_columns

        columns = {table: drafted_columns(path) for table, path in paths.items()}
        said = interview(
            columns,
            said,
            ask=lambda question, default: str(
                typer.prompt(question, default=default, show_default=bool(default), err=True)
            ).strip(),
            say=lambda line: typer.echo(line, err=True),
        )
    text = draft_text(paths, said, name=name, read_values=read_values)
    try:
        with out.open("x", encoding="utf-8") as stream:
            out.chmod(0o600)
            stream.write(text)
    except OSError as error:
        raise ContractError("the draft cannot be written, or is already there.") from error
    sys.stderr.write(f"Review {out}, then run `manatee contract check {out}`.\n")


def _answers(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ContractError("the answers cannot be read as YAML.") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ContractError(
            "answers are a mapping.", hint="tables.people.columns.age.range: [0, 120]"
        )
    return found


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    contract = typer.Typer(no_args_is_help=True, help="Data contracts (data provider).")
    for command in (check, show, draft, diff):
        contract.command()(command)
    app.add_typer(contract, name="contract")
