"""Rules that no single row can be held to: keys, references, rows per person.

All of it in DuckDB over the admitted Parquet files, with a memory limit; what does not fit is
spilled into the source's own folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from manatee.contracts import Contract, ForeignKey, Table, literal, quoted
from manatee.errors import ProvisioningError, SchemaMismatchError

MEMORY_LIMIT = "1GB"
"""What DuckDB may hold in memory while it checks."""


def check_across(
    contract: Contract, files: Mapping[str, Path], folder: Path, *, truncation_key: bytes
) -> dict[str, Path]:
    """Check keys and references, then leave out rows of a person beyond the contribution bound.

    Which rows of a person stay depends on that person's rows and the key alone, never on the
    order of the file or on anybody else: removing a person changes no more than that person's
    `max_rows_per_person` rows, which the sensitivity of every measurement relies on. Rows are
    ranked by SHA-256 over the key and the row. Rows that belong to rows left out go with them.

    Args:
        contract: Keys, references and bounds.
        files: An admitted Parquet file for each table.
        folder: Where DuckDB spills, and new files are put.
        truncation_key: 32 secret bytes; the same key leaves out the same rows.

    Returns:
        The files to use from here on.

    Raises:
        SchemaMismatchError: A key is there twice, or a reference leads nowhere. Names table,
            columns and rule.
        ProvisioningError: The disk is full.
    """
    config = {
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": str(folder / "spill"),
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    kept = dict(files)
    try:
        with duckdb.connect(":memory:", config=config) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for table in contract.tables:
                if table.name in files:
                    _check_key(connection, table, files)
                    for reference in table.references:
                        _check_reference(connection, table, reference, contract, files)
            if contract.privacy_unit.kind == "person":
                _Truncation(connection, contract, kept, folder, truncation_key).run()
    except duckdb.Error:
        # DuckDB's message may quote a value
        raise ProvisioningError(
            "keys and references cannot be checked.",
            hint="Free space in the temporary folder: about twice the table's Parquet file.",
        ) from None
    return kept


def _names(columns: tuple[str, ...], prefix: str = "") -> str:
    return ", ".join(prefix + quoted(name) for name in columns)


def _scan(path: Path) -> str:
    return f"read_parquet({literal(str(path))})"


def _found(connection: duckdb.DuckDBPyConnection, query: str) -> bool:
    return connection.execute(f"{query} LIMIT 1").fetchone() is not None


def _check_key(
    connection: duckdb.DuckDBPyConnection, table: Table, files: Mapping[str, Path]
) -> None:
    if not table.key:
        return
    key = _names(table.key)
    query = f"SELECT 1 FROM {_scan(files[table.name])} GROUP BY {key} HAVING COUNT(*) > 1"  # noqa: S608
    if _found(connection, query):
        raise SchemaMismatchError(f"table {table.name!r}: the key ({key}) must be unique.")


def _check_reference(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    reference: ForeignKey,
    contract: Contract,
    files: Mapping[str, Path],
) -> None:
    mine, target = _names(reference.columns), reference.table
    where = f"table {table.name!r}: the reference ({mine}) to {target!r}"
    if target not in files:
        raise SchemaMismatchError(f"{where} needs that table too.")
    tests = [f"c.{quoted(name)} IS NULL" for name in reference.columns]
    here = _scan(files[table.name])
    if len(tests) > 1:
        some, every = " OR ".join(tests), " AND ".join(tests)
        if _found(connection, f"SELECT 1 FROM {here} c WHERE ({some}) AND NOT ({every})"):  # noqa: S608
            raise SchemaMismatchError(f"{where} must be missing as a whole or not at all.")
    pairs = zip(reference.columns, contract.table(target).key, strict=True)
    match = " AND ".join(f"c.{quoted(a)} = p.{quoted(b)}" for a, b in pairs)
    query = (
        f"SELECT 1 FROM {here} c ANTI JOIN {_scan(files[target])} p ON {match} "  # noqa: S608
        f"WHERE NOT ({' OR '.join(tests)})"
    )
    if _found(connection, query):
        raise SchemaMismatchError(f"{where} must name a key that is there.")
    if contract.privacy_unit.kind == "person" and table.max_rows_per_person is not None:
        towards = _towards(table, contract)
        if towards == reference and _found(
            connection,
            f"SELECT 1 FROM {here} c WHERE {' OR '.join(tests)}",  # noqa: S608
        ):
            raise SchemaMismatchError(f"{where} may not be missing: it leads to the person.")


def _towards(table: Table, contract: Contract) -> ForeignKey | None:
    """Return the reference that leads to the table of persons: the first that does."""
    persons = contract.privacy_unit.table
    if table.name == persons:
        return None
    for reference in table.references:
        other = contract.table(reference.table)
        if other.name == persons or _towards(other, contract) is not None:
            return reference
    return None


class _Truncation:
    """Leaves out rows beyond each table's bound, parents first."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        contract: Contract,
        files: dict[str, Path],
        folder: Path,
        key: bytes,
    ) -> None:
        self._connection = connection
        self._contract = contract
        self._files = files
        self._folder = folder
        self._key = key.hex()

    def run(self) -> None:
        for table in self._contract.tables:
            towards = _towards(table, self._contract)
            if table.name not in self._files or towards is None:
                continue
            if table.max_rows_per_person is None:
                raise SchemaMismatchError(f"table {table.name!r} has no bound of rows per person.")
            path = self._folder / f"{self._files[table.name].stem}.kept.parquet"
            names = tuple(column.name for column in table.columns)
            rank = f"sha256({literal(self._key)} || CAST(p.whole AS VARCHAR))"
            query = (
                f"SELECT {_names(names, 'r.whole.')} FROM (SELECT p.whole, ROW_NUMBER() OVER "  # noqa: S608
                f"(PARTITION BY p.person ORDER BY {rank}, p.whole) AS place "
                f"FROM ({self._with_person(table)}) p) r "
                f"WHERE r.place <= {int(table.max_rows_per_person)}"
            )
            self._connection.execute(f"COPY ({query}) TO {literal(str(path))} (FORMAT parquet)")
            self._files[table.name] = path

    def _with_person(self, table: Table) -> str:
        """Return a query: each row as `whole`, and its person's key as `person`.

        Every column is named with its table, so that none can be taken for one of ours.
        """
        towards = _towards(table, self._contract)
        here = _scan(self._files[table.name])
        columns = (quoted(column.name) for column in table.columns)
        whole = f"struct_pack({', '.join(f'{name} := c.{name}' for name in columns)}) AS whole"
        if towards is None:
            return f"SELECT {whole}, row({_names(table.key, 'c.')}) AS person FROM {here} c"  # noqa: S608
        parent = self._contract.table(towards.table)
        pairs = zip(towards.columns, parent.key, strict=True)
        match = " AND ".join(f"c.{quoted(a)} = p.whole.{quoted(b)}" for a, b in pairs)
        return (
            f"SELECT {whole}, p.person FROM {here} c "  # noqa: S608
            f"JOIN ({self._with_person(parent)}) p ON {match}"
        )
