"""What the catalogue says about one data set."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from manatee.cli._options import Output, open_client
from manatee.cli._output import Format, print_json, print_rows
from manatee.errors import ConflictError, NotFoundError, UnknownDatasetError

if TYPE_CHECKING:
    from manatee.contracts import Column
    from manatee.records import DatasetPublication

dataset = typer.Typer(help="Data sets of the catalogue.")


@dataset.command()
def show(
    name: Annotated[str, typer.Argument(help="The data set, as `manatee datasets` lists it.")],
    output: Output = Format.TABLE,
) -> None:
    """Show a data set's columns, its privacy statement, and the budget spent when it appeared."""
    found = [e for e in open_client().datasets() if e.publication.dataset.name == name]
    if not found:
        raise UnknownDatasetError(
            f"nobody has published {name!r}.", hint="`manatee datasets` lists what there is."
        )
    entry = found[0]
    if output is Format.JSON:
        print_json(entry)
        return
    typer.echo(f"{name}  {entry.version}  published {entry.published_at}\n")
    print_rows(("COLUMN", "TYPE", "VALUES", "MISSING", "DESCRIPTION"), columns(entry.publication))
    typer.echo()
    typer.echo(statement_text(entry.publication), nl=False)


@dataset.command()
def report(
    name: Annotated[str, typer.Argument(help="The data set.")],
    out: Annotated[Path, typer.Option(help="New file for the report, HTML.")],
) -> None:
    """Download the provider's shareable report on the twin; open it in a browser."""
    if out.exists():
        raise ConflictError(f"{out} exists.", hint="Choose another file.")
    client = open_client()
    if not client.download_report(client.dataset(name), out):
        raise NotFoundError(f"{name!r} was published without a report.")
    typer.echo(str(out))


@dataset.command()
def sample(
    name: Annotated[str, typer.Argument(help="The data set.")],
    rows: Annotated[int, typer.Option(min=1, max=1000, help="How many rows.")] = 10,
    output: Output = Format.TABLE,
) -> None:
    """Show the first rows of the twin: none of them is a real person's."""
    import pyarrow.dataset

    client = open_client()
    with tempfile.TemporaryDirectory(prefix="manatee-sample-") as folder:
        files = client.download_twin(client.dataset(name), Path(folder))
        found = pyarrow.dataset.dataset([str(path) for path in files]).head(rows).to_pylist()
    if output is Format.JSON:
        print_json([{key: str(value) for key, value in row.items()} for row in found])
        return
    print_rows(
        tuple(key.upper() for key in found[0]) if found else (),
        [tuple("" if value is None else str(value) for value in row.values()) for row in found],
    )


def columns(publication: DatasetPublication) -> list[tuple[str, ...]]:
    """Return what the contract says about each column of the data set's table."""
    from manatee.contracts import parse_contract

    contract = parse_contract(publication.contract.encode())
    wanted = publication.dataset.name.removeprefix(f"{contract.name}.")
    table = contract.only if len(contract.tables) == 1 else contract.table(wanted)
    return [
        (
            column.name,
            column.type,
            _values(column),
            "may be" if column.nullable else "never",
            column.description,
        )
        for column in table.columns
    ]


def _values(column: Column) -> str:
    from manatee.contracts import show

    if column.categories:
        return ", ".join(column.categories)
    if column.minimum is None or column.maximum is None:
        return ""
    return f"{show(column.minimum, column)} to {show(column.maximum, column)} {column.unit}".strip()


def statement_text(publication: DatasetPublication) -> str:
    """Return the statement in words; one of another form as it was published."""
    from manatee.provisioning import PrivacyStatement, in_words

    try:
        return in_words(msgspec.convert(publication.privacy_statement, PrivacyStatement))
    except msgspec.ValidationError:
        lines = (f"{key}: {value}" for key, value in publication.privacy_statement.items())
        return "\n".join([*lines, ""])


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.add_typer(dataset, name="dataset")
