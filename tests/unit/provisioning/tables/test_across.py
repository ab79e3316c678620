"""Keys, references and the contribution bound, over several tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from manatee.contracts import Column, Contract, ForeignKey, PrivacyUnit, Table
from manatee.errors import SchemaMismatchError
from manatee.provisioning.tables import open_source


def key(name: str, *, nullable: bool = False) -> Column:
    return Column(name, "identifier", holds="integer", nullable=nullable)


PERSONS = Table("persons", (key("pid"),), key=("pid",))
VISITS = Table(
    "visits",
    (
        key("vid"),
        key("pid", nullable=True),
        Column("whole", "integer", minimum=0, maximum=9, bins=10),
    ),
    key=("vid",),
    references=(ForeignKey(("pid",), "persons"),),
    max_rows_per_person=3,
)
# columns named like aliases of the queries must not be mistaken for them
DRUGS = Table(
    "drugs",
    (key("vid"), Column("c", "integer", minimum=0, maximum=9, bins=10)),
    references=(ForeignKey(("vid",), "visits"),),
    max_rows_per_person=4,
)
UNIT = PrivacyUnit("person", "persons")
CONTRACT = Contract("clinic", "synthetic", (PERSONS, VISITS, DRUGS), privacy_unit=UNIT)
KEY = bytes(range(32))


def rows(n_persons: int = 20, n_visits: int = 8, n_drugs: int = 2) -> dict[str, list[dict]]:
    visits = [
        {"vid": p * 100 + v, "pid": p, "whole": v % 10}
        for p in range(n_persons)
        for v in range(n_visits)
    ]
    return {
        "persons": [{"pid": p} for p in range(n_persons)],
        "visits": visits,
        "drugs": [{"vid": v["vid"], "c": d} for v in visits for d in range(n_drugs)],
    }


def read(
    tables: dict[str, list[dict]], folder: Path, *, truncation_key: bytes = KEY
) -> dict[str, list[dict]]:
    paths = {}
    for name, found in tables.items():
        paths[name] = folder / f"{name}.parquet"
        pa.parquet.write_table(pa.Table.from_pylist(found), paths[name])
    with open_source(paths, CONTRACT, truncation_key=truncation_key) as source:
        return {name: source.table(name).read().to_pylist() for name in source.names}


def test_no_person_keeps_more_rows_than_the_bound(tmp_path: Path) -> None:
    found = read(rows(), tmp_path)
    assert set(Counter(row["pid"] for row in found["visits"]).values()) == {3}
    persons = Counter(row["vid"] // 100 for row in found["drugs"])
    assert set(persons.values()) == {4}


def test_rows_of_rows_left_out_are_left_out_too(tmp_path: Path) -> None:
    found = read(rows(), tmp_path)
    assert {row["vid"] for row in found["drugs"]} <= {row["vid"] for row in found["visits"]}


def test_a_person_less_changes_no_other_persons_rows(tmp_path: Path) -> None:
    """The sensitivity of every measurement relies on this."""
    all_rows = rows()
    fewer = {
        "persons": [row for row in all_rows["persons"] if row["pid"] != 3],
        "visits": [row for row in all_rows["visits"] if row["pid"] != 3],
        "drugs": [row for row in all_rows["drugs"] if row["vid"] // 100 != 3],
    }
    with_them, without = read(all_rows, tmp_path), read(fewer, tmp_path)
    for name, size in (("visits", 3), ("drugs", 4)):
        before = {tuple(row.values()) for row in with_them[name]}
        after = {tuple(row.values()) for row in without[name]}
        assert after < before
        assert len(before - after) <= size


def test_the_order_of_the_file_does_not_matter_but_the_key_does(tmp_path: Path) -> None:
    turned = {name: found[::-1] for name, found in rows().items()}
    kept = [
        {row["vid"] for row in found["visits"]}
        for found in (
            read(rows(), tmp_path),
            read(turned, tmp_path),
            read(rows(), tmp_path, truncation_key=bytes(32)),
        )
    ]
    assert kept[0] == kept[1]
    assert kept[0] != kept[2]


def test_tables_within_the_bound_stay_whole(tmp_path: Path) -> None:
    small = rows(n_visits=2)
    assert sorted(read(small, tmp_path)["visits"], key=str) == sorted(small["visits"], key=str)


def refused(tables: dict[str, list[dict]], folder: Path, match: str) -> None:
    with pytest.raises(SchemaMismatchError, match=match) as caught:
        read(tables, folder)
    assert "77" not in str(caught.value)


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    tables = rows()
    tables["persons"] += [{"pid": 77}, {"pid": 77}]
    refused(tables, tmp_path, "'persons'.*must be unique")


def test_a_reference_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    tables = rows()
    tables["visits"].append({"vid": 77, "pid": 777, "whole": 1})
    refused(tables, tmp_path, "'visits'.*must name a key that is there")


def test_a_row_that_belongs_to_nobody_is_refused(tmp_path: Path) -> None:
    tables = rows()
    tables["visits"].append({"vid": 77, "pid": None, "whole": 1})
    refused(tables, tmp_path, "leads to the person")


def test_a_table_without_the_one_it_refers_to_is_refused(tmp_path: Path) -> None:
    refused({"visits": rows()["visits"]}, tmp_path, "needs that table too")


def test_a_reference_of_two_columns_is_missing_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    places = Table("places", (key("a"), key("b")), key=("a", "b"))
    stays = Table(
        "stays",
        (key("a", nullable=True), key("b", nullable=True)),
        references=(ForeignKey(("a", "b"), "places"),),
    )
    contract = replace(CONTRACT, tables=(places, stays), privacy_unit=PrivacyUnit())
    pa.parquet.write_table(pa.table({"a": [1], "b": [2]}), tmp_path / "p.parquet")
    where = {"places": tmp_path / "p.parquet", "stays": tmp_path / "s.parquet"}
    for pairs, good in (([(1, 2), (None, None)], True), ([(1, None)], False)):
        values = pa.table(
            {"a": pa.array([a for a, _ in pairs]), "b": pa.array([b for _, b in pairs], pa.int64())}
        )
        pa.parquet.write_table(values, where["stays"])
        if good:
            with open_source(where, contract) as source:
                assert source.table("stays").read().num_rows == 2
        else:
            with pytest.raises(SchemaMismatchError, match="as a whole"):
                open_source(where, contract)
