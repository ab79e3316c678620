"""Tables that break their contract: refused, and the message tells nothing about the rows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from manatee.contracts import Column, Constraint, Contract, Table
from manatee.errors import ManateeError, SchemaMismatchError, TableError
from manatee.provisioning.tables import open_source

COLUMNS = (
    Column("age", "integer", minimum=0, maximum=120, bins=10),
    Column("paid", "decimal", minimum=0, maximum=999.99, bins=10, decimals=2),
    Column("weight", "float", minimum=0, maximum=300, bins=10),
    Column("town", "category", categories=("Lyon", "Gent")),
    Column("smoker", "boolean", nullable=True),
    Column("note", "text", max_length=5, nullable=True),
)
CONTRACT = Contract(
    "clinic",
    "synthetic",
    (Table("visits", COLUMNS, constraints=(Constraint("light", "weight <= 2 * age + 100"),)),),
)
HEADER = "age,paid,weight,town,smoker,note"
GOOD = "34,10.50,71.5,Lyon,true,"


def read(path: Path) -> pa.Table:
    with open_source({"visits": path}, CONTRACT) as source:
        return source.table("visits").read()


def refused(tmp_path: Path, text: str | bytes) -> ManateeError:
    path = tmp_path / "visits.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises((SchemaMismatchError, TableError)) as caught:
        read(path)
    return caught.value


@pytest.mark.parametrize(
    ("line", "column", "rule"),
    [
        ("34.5,1,1,Lyon,,", "age", "whole number"),
        ("7777,1,1,Lyon,,", "age", "out of its range"),
        ("-1,1,1,Lyon,,", "age", "out of its range"),
        (",1,1,Lyon,,", "age", "missing"),
        ("9999999999999999999,1,1,Lyon,,", "age", "whole number"),
        ("34,7777777777777777,1,Lyon,,", "paid", "too large"),
        ("34,7.777,1,Lyon,,", "paid", "decimal places"),
        ("34,7e7,1,Lyon,,", "paid", "decimal number"),
        ("34,1,NaN,Lyon,,", "weight", "not a number"),
        ("34,1,inf,Lyon,,", "weight", "not a number"),
        ("34,1,1e999,Lyon,,", "weight", "finite"),
        ("34,1,300.0001,Lyon,,", "weight", "out of its range"),
        ("34,1,1,Xanadu,,", "town", "categories"),
        ('34,1,1,"",,', "town", "categories"),
        ("34,1,1,Lyon,yes,", "smoker", "true or false"),
        ("34,1,1,Lyon,,secret", "note", "at most 5 characters"),
    ],
)
def test_a_broken_rule_names_table_column_and_rule_but_no_value(
    line: str, column: str, rule: str, tmp_path: Path
) -> None:
    error = refused(tmp_path, f"{HEADER}\n{GOOD}\n{line}\n")
    assert "'visits'" in error.message
    assert f"'{column}'" in error.message
    assert rule in error.message.replace("is not a number", "not a number")
    for private in ("7777", "Xanadu", "secret", "34", "9999", "300.0001"):
        assert private not in str(error)
    assert error.__cause__ is None


def test_a_row_against_a_constraint_is_refused_by_its_name(tmp_path: Path) -> None:
    assert "'light'" in refused(tmp_path, f"{HEADER}\n3,1,110,Lyon,,\n").message


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "empty"),
        (HEADER + "\n", "no rows"),
        ("age,paid,weight,town,smoker\n1,1,1,Lyon,\n", "'note' of the contract is missing"),
        (HEADER + ",extra\n" + GOOD + ",1\n", "does not name all"),
        (HEADER + ",age\n" + GOOD + ",1\n", "'age' is there twice"),
        (GOOD + "\n" + GOOD + "\n", "'age' of the contract is missing"),
        (f"{HEADER}\n{GOOD}\n{HEADER}\n", "header line is there twice"),
        (f"{HEADER}\n{GOOD}\n34,1\n", "not a CSV"),
        (f"{HEADER}\n{GOOD}\n".encode() + "34,1,1,Lyon,,é\n".encode("latin-1"), "UTF-8"),
        (f"{HEADER}\n{GOOD}\n".encode("utf-16"), ""),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(
    text: str | bytes, what: str, tmp_path: Path
) -> None:
    error = refused(tmp_path, text)
    assert what in error.message
    assert "34" not in error.message


def test_a_header_line_among_rows_is_not_folded_into_other(tmp_path: Path) -> None:
    columns = tuple(Column(n, "category", categories=("x", "o"), other="o") for n in ("a", "b"))
    (tmp_path / "t.csv").write_text("a,b\nx,x\na,b\n")
    with pytest.raises(TableError, match="header line"):
        open_source({"t": tmp_path / "t.csv"}, Contract("c", "synthetic", (Table("t", columns),)))


def typed(**changed: object) -> pa.Table:
    good = {
        "age": pa.array([34]),
        "paid": pa.array([Decimal("1.50")]),
        "weight": pa.array([70.0]),
        "town": pa.array(["Lyon"]),
        "smoker": pa.array([None], pa.bool_()),
        "note": pa.array([None], pa.null()),
    }
    return pa.table({**good, **changed})


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"age": pa.array([34.0])}, "values of type integer are expected, not double"),
        ({"age": pa.array([2**63], pa.uint64())}, "does not fit the type integer"),
        ({"paid": pa.array([Decimal("123456789.00")])}, "too large"),
        ({"paid": pa.array([7.777])}, "decimal places"),
        ({"weight": pa.array([np.nan])}, "not a finite number"),
        ({"weight": pa.array([np.inf])}, "not a finite number"),
        ({"town": pa.array([3])}, "values of type category are expected, not int64"),
        ({"smoker": pa.array([1])}, "values of type boolean are expected"),
    ],
)
def test_a_typed_source_is_held_to_types_and_ranges(
    changed: dict[str, pa.Array], rule: str, tmp_path: Path
) -> None:
    pa.parquet.write_table(typed(**changed), tmp_path / "v.parquet")
    with pytest.raises(SchemaMismatchError) as caught:
        read(tmp_path / "v.parquet")
    assert rule in caught.value.message


def test_dictionaries_and_floats_that_are_decimals_are_read(tmp_path: Path) -> None:
    changed = {"town": pa.array(["Gent"]).dictionary_encode(), "paid": pa.array([0.07])}
    pa.parquet.write_table(typed(**changed), tmp_path / "v.parquet")
    assert read(tmp_path / "v.parquet")["paid"].to_pylist() == [Decimal("0.07")]


def test_broken_and_cut_off_parquet_is_refused(tmp_path: Path) -> None:
    good = pa.concat_tables([typed()] * 5000)
    pa.parquet.write_table(good, tmp_path / "v.parquet", compression="none", use_dictionary=False)
    data = (tmp_path / "v.parquet").read_bytes()
    spoilt = data[:300] + bytes(len(data) - 3000) + data[len(data) - 2700 :]
    for text in (b"", b"PAR1", data[:-20], data[: len(data) // 2], spoilt):
        (tmp_path / "v.parquet").write_bytes(text)
        with pytest.raises((TableError, SchemaMismatchError)):
            read(tmp_path / "v.parquet")


@pytest.mark.parametrize("ending", [".arrow", ".duckdb", ".xlsx", ".csv.gz"])
def test_a_file_that_is_not_what_its_ending_says_is_refused(ending: str, tmp_path: Path) -> None:
    (tmp_path / f"v{ending}").write_bytes(b"34,nonsense")
    with pytest.raises(TableError) as caught:
        read(tmp_path / f"v{ending}")
    assert "nonsense" not in str(caught.value)


def test_a_file_that_is_not_there_and_a_folder_without_parts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="not there"):
        read(tmp_path / "none.csv")
    with pytest.raises(TableError, match=r"no \.parquet"):
        read(tmp_path)


def test_parts_with_other_columns_are_refused(tmp_path: Path) -> None:
    pa.parquet.write_table(typed(), tmp_path / "a.parquet")
    pa.parquet.write_table(typed().drop_columns(["note"]), tmp_path / "b.parquet")
    with pytest.raises(TableError, match="same columns"):
        read(tmp_path)
