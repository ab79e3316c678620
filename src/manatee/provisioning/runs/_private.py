"""The private tables of a run: admitted rows, or one table that is counted where it lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from manatee.contracts import Contract
from manatee.errors import ProvisioningError
from manatee.provisioning.runs._order import Order
from manatee.provisioning.runs._secret import data_digest, derived, unbound
from manatee.provisioning.tables import (
    CountedTable,
    Source,
    TableInPlace,
    open_in_place,
    open_source,
)

Where = Mapping[str, Path] | str | TableInPlace
"""Files, a PostgreSQL server to read from, or a table to be counted in its database."""

Private = Source | CountedTable


@contextmanager
def opened(
    where: Where, order: Order, folder: Path, key: bytes, *, whole: bool = False
) -> Iterator[Private]:
    """Hold the private tables to their contract, as `open_source` and `open_in_place` do.

    Args:
        where: The tables.
        order: What is made of them.
        folder: Where admitted rows may lie.
        key: What rows beyond a person's bound are left out by; empty for a new one.
        whole: Whether to admit all rows of a person.

    Raises:
        ProvisioningError: The order needs rows that are to stay in their database.
    """
    contract = unbound(order.contract) if whole else order.contract
    if isinstance(where, TableInPlace):
        if order.rows:
            raise ProvisioningError(
                f"table {next(iter(order.rows))!r} is treated row by row: its rows would have to "
                "leave the database.",
                hint="Synthesise it, or read it by --database.",
            )
        with open_in_place(where, contract) as counted:
            yield counted
    elif not order.private and not where:
        yield Source(order.contract, {}, folder)  # dummy tables alone: nothing is read
    else:
        with open_source(where, contract, folder=folder, truncation_key=key or None) as source:
            yield source


@contextmanager
def rows_and_digest(
    where: Where, contract: Contract, secret: bytes
) -> Iterator[tuple[Source, str]]:
    """Read the tables a twin was made from, whole, with the digest that the run has made of them.

    Raises:
        TableError: A table cannot be read.
        SchemaMismatchError: A rule is broken.
        ProvisioningError: The disk is full.
    """
    if isinstance(where, TableInPlace):
        with open_in_place(where, contract) as counted, open_source(counted, contract) as source:
            yield source, digest_of(counted, secret)
    else:
        with open_source(where, unbound(contract)) as source:
            yield source, data_digest(source, secret)


def names_of(private: Private) -> tuple[str, ...]:
    """Return the tables that are there."""
    return private.names if isinstance(private, Source) else (private.table.name,)


def digest_of(private: Private, secret: bytes) -> str:
    """Return the tables' keyed digest: see `data_digest` and `CountedTable.digest`."""
    if isinstance(private, Source):
        return data_digest(private, secret)
    return private.digest(derived(secret, "data-digest"))


def still_there(private: Private) -> None:
    """Make sure that the tables can be measured, as long as that costs nothing.

    Raises:
        TableError: Their database broke off.
    """
    if isinstance(private, CountedTable):
        private.still_there()


def n_rows(private: Private, name: str) -> int:
    """Return the number of a table's rows, exactly. Private unless the contract says otherwise."""
    if isinstance(private, Source):
        return int(pq.read_metadata(private.table(name).path).num_rows)
    return int(private.counter().count([()])[0])
