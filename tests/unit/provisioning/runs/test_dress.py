"""A twin that is not dressed like the real table is not published."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manatee.contracts import arrow_schema, parse_contract
from manatee.errors import ProvisioningError, SchemaMismatchError
from manatee.provisioning.runs import check_dress, check_schema

TEXT = """
format: manatee-data-contract/1
name: visits
label: real
privacy_unit: row
columns:
  - {name: age, type: integer, range: [0, 99], bins: 10}
  - {name: ward, type: category, categories: [north, south], nullable: true}
"""


def schema(text: str = TEXT) -> pa.Schema:
    return arrow_schema(parse_contract(text.encode()).only)


def test_the_same_dress_is_accepted() -> None:
    check_schema(schema(), schema(), what="the twin")


def test_another_order_of_categories_is_another_dress() -> None:
    other = schema(TEXT.replace("[north, south]", "[south, north]"))
    with pytest.raises(SchemaMismatchError, match="categories of column 'ward'"):
        check_schema(other, schema(), what="the twin")


def test_lost_categories_are_noticed() -> None:
    with pytest.raises(SchemaMismatchError, match="categories"):
        check_schema(schema().set(1, pa.field("ward", pa.string())), schema(), what="the twin")


@pytest.mark.parametrize("kind", [pa.int32(), pa.float64()])
def test_another_type_is_another_dress(kind: pa.DataType) -> None:
    other = schema().set(0, pa.field("age", kind, nullable=False))
    with pytest.raises(SchemaMismatchError, match="column 'age'"):
        check_schema(other, schema(), what="the twin")


def test_a_column_that_may_be_missing_on_one_side_only_is_another_dress() -> None:
    other = schema(TEXT.replace(", nullable: true", ""))
    with pytest.raises(SchemaMismatchError, match="column 'ward'"):
        check_schema(other, schema(), what="the twin")


def test_columns_stand_in_the_same_order() -> None:
    names = list(schema())
    with pytest.raises(SchemaMismatchError, match="their order"):
        check_schema(pa.schema(names[::-1]), schema(), what="the twin")


RULED = b"""
format: manatee-data-contract/2
name: clinic
label: real
privacy_unit: row
tables:
  - name: persons
    rows: public
    key: [id]
    constraints: [{name: grown, check: age >= 50}]
    columns:
      - {name: id, type: identifier, holds: integer}
      - {name: age, type: integer, range: [0, 99], bins: 10}
  - name: stays
    rows: public
    references: [{columns: [person], table: persons}]
    columns:
      - {name: person, type: identifier, holds: integer}
"""


def dressed(
    folder: Path,
    treated: set[str],
    *,
    ids: tuple[int, ...] = (1, 2, 3),
    ages: tuple[int, ...] = (60, 70, 80),
    people: tuple[int, ...] = (1, 1),
    names: tuple[str, ...] = ("persons", "stays"),
) -> dict[str, dict[str, int]]:
    contract = parse_contract(RULED)
    columns = {"persons": [ids, ages], "stays": [people]}
    files = {name: folder / f"{name}.parquet" for name in names}
    for name, path in files.items():
        schema = arrow_schema(contract.table(name))
        pq.write_table(pa.table([pa.array(part) for part in columns[name]], schema=schema), path)
    return check_dress(contract, files, folder=folder, treated=treated)


BOTH = {"persons", "stays"}


def test_treated_rows_that_break_a_constraint_are_counted(tmp_path: Path) -> None:
    found = dressed(tmp_path, BOTH, ages=(49, 0, 50))
    assert found == {"persons": {"constraint grown": 2}, "stays": {}}


def test_treated_rows_that_keep_every_rule_have_nothing_to_count(tmp_path: Path) -> None:
    assert dressed(tmp_path, BOTH) == {"persons": {}, "stays": {}}


@pytest.mark.parametrize(
    ("treated", "broken"),
    [
        (set(), {"ages": (49, 60, 70)}),  # drawn rows keep constraints
        (BOTH, {"ages": (100, 60, 70)}),  # ranges are kept by every treatment
        (BOTH, {"people": (1, 9)}),  # pseudonyms still join
        (BOTH, {"ids": (1, 1, 2)}),  # what is referred to stays a key
    ],
)
def test_what_no_treatment_may_break_is_refused(
    tmp_path: Path, treated: set[str], broken: dict[str, tuple[int, ...]]
) -> None:
    with pytest.raises(ProvisioningError, match="does not keep its contract"):
        dressed(tmp_path, treated, **broken)


def test_a_treated_table_may_be_released_without_the_one_it_refers_to(tmp_path: Path) -> None:
    assert dressed(tmp_path, {"stays"}, people=(1, 9), names=("stays",)) == {"stays": {}}
