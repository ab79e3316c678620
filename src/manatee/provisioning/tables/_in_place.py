"""A private table that stays in its database: checked, digested and counted there.

Everything is asked in one read-only snapshot, so what is counted is what was checked. The answers
are: whether a rule is broken, a digest over all rows, and counts of cells. No row is asked for.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import duckdb

from manatee.contracts import Contract, Table, check_contract, quoted
from manatee.errors import ProvisioningError, SchemaMismatchError, SettingsError, TableError
from manatee.provisioning.counting import Dialect, SqlCounter, rules_sql, wrong_type
from manatee.provisioning.tables._columns import check_columns
from manatee.provisioning.tables._postgresql import connect, open_table
from manatee.provisioning.tables._readers import Raw, duckdb_rows, relation
from manatee.provisioning.tables._refusals import refuse

_RULES_AT_ONCE = 400
"""Rules of one statement; PostgreSQL answers with at most 1664 columns."""

_FORM = "postgresql://HOST/DATABASE/SCHEMA.TABLE or duckdb:FILE::SCHEMA.TABLE"


@dataclass(frozen=True)
class TableInPlace:
    """Where one table lies in its database.

    Attributes:
        table: Its name in the contract.
        dialect: Of which engine.
        server: DSN of a PostgreSQL server, which may hold a password, or a DuckDB file.
        relation: `schema.table` or `table` there.
    """

    table: str
    dialect: Dialect
    server: str = field(repr=False)
    relation: str


def is_in_place(text: str) -> bool:
    """Return whether a text is to name a table of a database, not a file."""
    return text.startswith(("postgresql://", "postgres://", "duckdb:"))


def table_in_place(table: str, text: str) -> TableInPlace:
    """Parse where a table lies.

    Args:
        table: Its name in the contract.
        text: `postgresql://HOST/DATABASE/SCHEMA.TABLE`, with whatever else a libpq URL may hold,
            or `duckdb:FILE::SCHEMA.TABLE`.

    Raises:
        SettingsError: Another form. The text, which may hold a password, is not repeated.
    """
    if text.startswith("duckdb:"):
        file, _, name = text.removeprefix("duckdb:").rpartition("::")
        if file and name:
            return TableInPlace(table, "duckdb", file, name)
    else:
        try:
            url = urlsplit(text)
        except ValueError:
            url = urlsplit("")
        database, _, name = url.path.rpartition("/")
        if unquote(name):
            server = url._replace(scheme="postgresql", path=database).geturl()
            # without a host and a database urlsplit drops the slashes that libpq wants
            server = server if "://" in server else server.replace(":", "://", 1)
            return TableInPlace(table, "postgresql", server, unquote(name))
    raise SettingsError(f"table {table!r} lies at no place of a database.", hint=f"Say {_FORM}.")


class CountedTable:
    """One table, held to its contract in its database."""

    def __init__(self, table: Table, connection: Any, where: TableInPlace) -> None:
        self.table = table
        self._connection = connection
        self._where = where

    def still_there(self) -> None:
        """Ask the database for nothing. Raises TableError if it broke off."""
        self._ask("SELECT 1")

    def counter(self) -> SqlCounter:
        """Return what counts the columns that fall into cells."""
        cellular = [column for column in self.table.columns if column.cellular]
        return SqlCounter(
            cellular, self._connection, self._where.relation, dialect=self._where.dialect
        )

    def digest(self, key: bytes) -> str:
        """Return a keyed digest of all rows in any order, `hmac-sha256-of-rows:` and hexadecimal.

        The rows' SHA-256 digests are added up in the database, which sees no key; the sums are
        keyed here.
        """
        rows = " || ',' || ".join(_length_and_text(column.name) for column in self.table.columns)
        if self._where.dialect == "postgresql":
            hashed = f"ENCODE(SHA256(CONVERT_TO({rows}, 'UTF8')), 'hex')"
            piece = "CAST(CAST('x' || SUBSTR(h, {}, 15) AS BIT(60)) AS BIGINT)"
        else:
            hashed = f"SHA256({rows})"
            piece = "CAST('0x' || SUBSTR(h, {}, 15) AS HUGEINT)"
        sums = ", ".join(f"SUM({piece.format(start)})" for start in (1, 16, 31, 46))
        found = self._ask(
            f"SELECT COUNT(*), {sums} FROM (SELECT {hashed} AS h FROM {self._from}) hashed"  # noqa: S608
        )
        said = f"{self.table.name}\x00" + ",".join(str(int(number or 0)) for number in found)
        return f"hmac-sha256-of-rows:{hmac.new(key, said.encode(), hashlib.sha256).hexdigest()}"

    @contextmanager
    def rows(self) -> Iterator[Raw]:
        """Open the rows themselves, of the snapshot that was checked and digested.

        Raises:
            TableError: The database broke off; also from the stream.
        """
        if self._where.dialect == "postgresql":
            with open_table(self._connection, self._where.relation, self.table) as raw:
                yield raw
            return
        with duckdb_rows(self._connection, self._where.relation) as raw:
            yield raw

    def check(self) -> None:
        """Hold the table to every rule of the contract.

        Raises:
            SchemaMismatchError: A rule is broken. Names table, column and rule.
            TableError: There is no such table, it has no row, or the database broke off.
        """
        kinds = self._kinds()
        check_columns(list(kinds), self.table)
        for column in self.table.columns:
            if wrong_type(column, kinds[column.name]):
                raise refuse(
                    self.table.name,
                    column.name,
                    f"values of the database's type cannot be counted as {column.type}",
                    hint="Name a view that casts the column, or read the table by --database.",
                )
        rules = rules_sql(self.table, kinds, self._where.dialect)
        if not self._ask(f"SELECT COUNT(*) FROM {self._from}")[0]:  # noqa: S608
            raise TableError(f"table {self.table.name!r} has no rows.")
        for start in range(0, len(rules), _RULES_AT_ONCE):
            some = rules[start : start + _RULES_AT_ONCE]
            asked = ", ".join(f"BOOL_OR({rule.broken})" for rule in some)
            for rule, broken in zip(
                some,
                self._ask(f"SELECT {asked} FROM {self._from}"),  # noqa: S608
                strict=True,
            ):
                if broken is not False and not rule.column:
                    raise SchemaMismatchError(f"table {self.table.name!r}: {rule.rule}.")
                if broken is not False:
                    raise refuse(self.table.name, rule.column, rule.rule)
        if self.table.key:
            key = ", ".join(quoted(name) for name in self.table.key)
            twice = f"SELECT 1 FROM {self._from} GROUP BY {key} HAVING COUNT(*) > 1 LIMIT 1"  # noqa: S608
            if self._ask(f"SELECT COUNT(*) FROM ({twice}) twice")[0]:  # noqa: S608
                raise SchemaMismatchError(
                    f"table {self.table.name!r}: the key ({key}) must be unique."
                )

    @property
    def _from(self) -> str:
        return relation(self._where.relation)

    def _kinds(self) -> dict[str, str]:
        with _answering(self.table.name):
            cursor = self._connection.execute(f"SELECT * FROM {self._from} LIMIT 0")  # noqa: S608
            found = [
                (item[0], str(getattr(item, "type_display", item[1])).partition("(")[0])
                for item in cursor.description
            ]
        return dict(found)

    def _ask(self, statement: str) -> tuple[Any, ...]:
        with _answering(self.table.name):
            (row,) = self._connection.execute(statement).fetchall()
        return tuple(row)


def _length_and_text(name: str) -> str:
    text = f"CAST({quoted(name)} AS VARCHAR)"
    return f"COALESCE(CAST(LENGTH({text}) AS VARCHAR) || ':' || {text}, '-')"


@contextmanager
def _answering(table: str) -> Iterator[None]:
    """Turn an engine's errors, whose messages may quote a value, into ours."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith(("duckdb", "_duckdb", "psycopg")):
            raise
        raise TableError(
            f"table {table!r} cannot be read from its database, or the database broke off.",
            hint="Check that it is there and may be read, then run again.",
        ) from None


@contextmanager
def open_in_place(where: TableInPlace, contract: Contract) -> Iterator[CountedTable]:
    """Hold a contract's only table to its rules where it lies.

    Raises:
        ProvisioningError: The contract has several tables, or is for persons.
        TableError: The table cannot be read, or has no row.
        SchemaMismatchError: A rule is broken. Names table, column and rule.
    """
    check_contract(contract)
    if len(contract.tables) != 1 or contract.privacy_unit.kind != "row":
        raise ProvisioningError(
            "a table is counted in its database only if it is the contract's only one and the "
            "privacy unit is a row.",
            hint="Read the tables by --database, or give files.",
        )
    with _connected(where) as connection:
        table = CountedTable(contract.table(where.table), connection, where)
        table.check()
        yield table


@contextmanager
def _connected(where: TableInPlace) -> Iterator[Any]:
    if where.dialect == "postgresql":
        with connect(where.server) as server:
            yield server
        return
    if not Path(where.server).is_file():
        raise TableError(f"table {where.table!r}: its file is not there.")
    config = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    with _answering(where.table):
        connection = duckdb.connect(where.server, read_only=True, config=config)
    try:
        with _answering(where.table):
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET enable_external_access = false")
            connection.execute("BEGIN TRANSACTION")
        yield connection
    finally:
        connection.close()
