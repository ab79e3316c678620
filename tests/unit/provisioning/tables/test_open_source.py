"""Opening a source: every kind of file gives one typed table, and nothing is left behind."""

from __future__ import annotations

import stat
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest

from manatee.contracts import Column, Contract, Table, arrow_schema
from manatee.errors import SchemaMismatchError, TableError
from manatee.provisioning.tables import open_source, write_parquet

COLUMNS = (
    Column("id", "identifier", holds="integer"),
    Column("age", "integer", minimum=0, maximum=120, bins=10, nullable=True),
    Column("paid", "decimal", minimum=0, maximum=999.99, bins=10, decimals=2),
    Column("weight", "float", minimum=0, maximum=300, bins=10),
    Column("smoker", "boolean"),
    Column("town", "category", categories=("Lyon", "Gent", "rest"), other="rest"),
    Column("born", "date", minimum=-20000, maximum=20000, bins=10),
    Column("seen", "timestamp", minimum=0, maximum=2e9, bins=10),
    Column("note", "text", max_length=10, nullable=True),
)
TABLE = Table("visits", COLUMNS, key=("id",))
CONTRACT = Contract("clinic", "synthetic", (TABLE,))
HEADER = "id,age,paid,weight,smoker,town,born,seen,note"
LINES = (
    '1,34,10.50,71.5,true,Lyon,1990-02-28,2026-01-31T00:00:00Z,"a, b"',
    "2,,999.99,0,false,Oslo,1969-12-31,2026-01-31T02:30:00.25+01:00,",
)
EXPECTED = {
    "id": [1, 2],
    "age": [34, None],
    "paid": [Decimal("10.50"), Decimal("999.99")],
    "weight": [71.5, 0.0],
    "smoker": [True, False],
    "town": ["Lyon", "rest"],
    "born": [date(1990, 2, 28), date(1969, 12, 31)],
    "seen": [
        datetime(2026, 1, 31, tzinfo=UTC),
        datetime(2026, 1, 31, 1, 30, 0, 250_000, tzinfo=UTC),
    ],
    "note": ["a, b", None],
}


def csv(folder: Path, *lines: str, header: str = HEADER, end: str = "\n") -> Path:
    path = folder / "visits.csv"
    path.write_bytes(end.join([header, *lines, ""]).encode())
    return path


def typed() -> pa.Table:
    values = {**EXPECTED, "town": ["Lyon", "Oslo"]}
    schema = arrow_schema(TABLE)
    return pa.table([pa.array(values[f.name], f.type) for f in schema], schema=schema)


def opened(path: Path, folder: Path) -> pa.Table:
    with open_source({"visits": path}, CONTRACT, folder=folder) as source:
        return source.table("visits").read()


def as_csv(folder: Path) -> Path:
    return csv(folder, *LINES)


def as_crlf(folder: Path) -> Path:
    return csv(folder, *LINES, end="\r\n")


def as_bom(folder: Path) -> Path:
    return csv(folder, *LINES, header="\ufeff" + HEADER)


def as_parquet(folder: Path) -> Path:
    pa.parquet.write_table(typed(), folder / "visits.parquet")
    return folder / "visits.parquet"


def as_parts(folder: Path) -> Path:
    parts = folder / "parts"
    parts.mkdir()
    for place in range(2):
        part = typed().slice(place, 1).select(typed().column_names)
        pa.parquet.write_table(part, parts / f"part-{place}.parquet")
    return parts


def as_arrow_file(folder: Path) -> Path:
    path = folder / "visits.arrow"
    with pa.ipc.new_file(path, typed().schema) as to:
        to.write_table(typed())
    return path


def as_arrow_stream(folder: Path) -> Path:
    path = folder / "visits.ipc"
    with pa.ipc.new_stream(path, typed().schema) as to:
        to.write_table(typed())
    return path


def as_duckdb(folder: Path) -> Path:
    rows = typed()
    path = folder / "visits.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.register("rows", rows)
        connection.execute("CREATE TABLE visits AS FROM rows")
    return path


@pytest.mark.parametrize(
    "make",
    [
        as_csv, as_crlf, as_bom, as_parquet, as_parts, as_arrow_file, as_arrow_stream, as_duckdb
    ],
)  # fmt: skip
def test_every_kind_of_file_gives_the_same_typed_table(make, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    found = opened(make(tmp_path), own)
    assert found.schema.equals(arrow_schema(TABLE), check_metadata=True)
    assert found.to_pydict() == EXPECTED
    assert list(own.iterdir()) == []


def test_columns_in_another_order_come_out_in_the_contracts(tmp_path: Path) -> None:
    shuffled = typed().select(list(reversed(typed().column_names)))
    pa.parquet.write_table(shuffled, tmp_path / "v.parquet")
    assert opened(tmp_path / "v.parquet", tmp_path).column_names == list(EXPECTED)


def test_a_table_in_a_schema_with_a_hostile_name_is_read_and_nothing_else(tmp_path: Path) -> None:
    rows = typed()
    with duckdb.connect(str(tmp_path / "v.db")) as connection:
        connection.register("rows", rows)
        connection.execute('CREATE SCHEMA "my clinic"')
        connection.execute('CREATE TABLE "my clinic"."a""b; DROP" AS FROM rows')
    names = {"visits": 'my clinic.a"b; DROP'}
    with open_source({"visits": tmp_path / "v.db"}, CONTRACT, names=names) as source:
        assert source.table("visits").read().to_pydict() == EXPECTED


def test_one_row_and_constant_columns_are_a_table(tmp_path: Path) -> None:
    assert opened(csv(tmp_path, LINES[0]), tmp_path).num_rows == 1


def test_admitted_files_are_for_this_user_alone_and_gone_after_closing(tmp_path: Path) -> None:
    source = open_source({"visits": as_csv(tmp_path)}, CONTRACT, folder=tmp_path)
    folder = source.table("visits").path.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    source.close()
    source.close()
    assert not folder.exists()


def test_what_was_admitted_stays_even_if_the_file_changes(tmp_path: Path) -> None:
    path = as_csv(tmp_path)
    with open_source({"visits": path}, CONTRACT) as source:
        path.write_text("gone")
        assert source.table("visits").read().to_pydict() == EXPECTED


def test_a_refused_source_leaves_nothing_behind(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    with pytest.raises(SchemaMismatchError):
        opened(csv(tmp_path, *LINES, LINES[0]), own)
    assert list(own.iterdir()) == []


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken():
        yield typed().to_batches()[0]
        raise RuntimeError("the stream broke off")

    with pytest.raises(RuntimeError):
        write_parquet(broken(), TABLE, tmp_path / "out.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_table_the_contract_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="'other'"):
        open_source({"other": as_csv(tmp_path)}, CONTRACT)
    with pytest.raises(TableError, match="no table"):
        open_source({}, CONTRACT)
