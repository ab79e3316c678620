"""A table that breaks its contract is refused by column and rule, never by value."""

import pyarrow as pa
import pytest

from manatee.errors import ManateeError, SchemaMismatchError, TableError, TooLargeError
from manatee.provisioning import (
    arrow_schema,
    check_table,
    insurance_contract,
    insured_persons,
    parse_contract,
    read_table,
)

CONTRACT = parse_contract(
    b"""\
format: manatee-data-contract/1
name: people
label: synthetic
privacy_unit: row
columns:
  - {name: age, type: integer, range: [0, 120]}
  - {name: weight, type: decimal, range: [0, 300], nullable: true}
  - {name: smoker, type: category, categories: ["no", "yes"]}
  - {name: alive, type: boolean}
"""
)
HEADER = "age,weight,smoker,alive\n"
SECRET = "987654321"


def write(tmp_path, text):
    path = tmp_path / "people.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_good_table_is_read_with_the_contracts_types_and_order(tmp_path):
    path = write(tmp_path, "alive,smoker,weight,age\ntrue,no,70.5,30\nfalse,yes,,31\n")
    table = read_table(path, CONTRACT)
    assert table.schema == arrow_schema(CONTRACT)
    assert table.to_pylist()[1] == {"age": 31, "weight": None, "smoker": "yes", "alive": False}


BAD = {
    "empty file": ("", TableError, "empty"),
    "header only": (HEADER, TableError, "no rows"),
    "lines of other lengths": (HEADER + f"1,2,no,true,{SECRET}\n", TableError, "fields"),
    "not text": (b"\xff\xfe\x00\x01" * 50, ManateeError, ""),
    "not UTF-8": (HEADER.encode() + b"1,2,\xff,true\n", TableError, "UTF-8"),
    "missing column": ("age,weight,smoker\n1,2,no\n", SchemaMismatchError, "'alive'.*missing"),
    "extra column": (
        "age,weight,smoker,alive,extra\n1,2,no,true,3\n",
        SchemaMismatchError,
        "5 columns",
    ),
    "column twice": (
        "age,age,weight,smoker,alive\n1,1,2,no,true\n",
        SchemaMismatchError,
        "'age' is there twice",
    ),
    "no header line": (f"{SECRET},2,no,true\n1,2,no,true\n", SchemaMismatchError, "missing"),
    "text for an integer": (HEADER + f"x{SECRET},2,no,true\n", SchemaMismatchError, "'age'.*whole"),
    "decimal for an integer": (HEADER + "1.5,2,no,true\n", SchemaMismatchError, "'age'.*whole"),
    "huge integer": (HEADER + "9" * 30 + ",2,no,true\n", SchemaMismatchError, "'age'.*whole"),
    "text for a decimal": (HEADER + f"1,x{SECRET},no,true\n", SchemaMismatchError, "'weight'"),
    "not a number": (HEADER + "1,nan,no,true\n", SchemaMismatchError, "'weight'.*decimal"),
    "infinity": (HEADER + "1,1e999,no,true\n", SchemaMismatchError, "'weight'.*range"),
    "other boolean": (HEADER + f"1,2,no,{SECRET}\n", SchemaMismatchError, "'alive'.*true"),
    "below the range": (HEADER + f"-{SECRET},2,no,true\n", SchemaMismatchError, "'age'.*range"),
    "above the range": (HEADER + f"1,{SECRET},no,true\n", SchemaMismatchError, "'weight'.*range"),
    "unknown category": (HEADER + f"1,2,{SECRET},true\n", SchemaMismatchError, "'smoker'.*categ"),
    "null not allowed": (HEADER + f"1,{SECRET},,true\n,2,no,true\n", SchemaMismatchError, "miss"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_refused_by_column_and_rule(tmp_path, name):
    text, kind, reason = BAD[name]
    with pytest.raises(kind, match=f"(?s){reason}") as caught:
        read_table(write(tmp_path, text), CONTRACT)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(TableError, match="cannot be read"):
        read_table(tmp_path / "nothing.csv", CONTRACT)


def test_a_table_over_the_cap_is_refused(tmp_path):
    path = write(tmp_path, HEADER + "1,2,no,true\n" * 11)
    assert read_table(path, CONTRACT, max_rows=11).num_rows == 11
    with pytest.raises(TooLargeError, match="more than 10"):
        read_table(path, CONTRACT, max_rows=10)


def test_not_a_number_in_an_arrow_table_is_out_of_range():
    table = insured_persons(5, seed=1)
    place = table.schema.get_field_index("charges")
    spoiled = table.set_column(place, table.schema.field(place), pa.array([float("nan")] * 5))
    with pytest.raises(SchemaMismatchError, match="'charges'"):
        check_table(spoiled, insurance_contract())


def test_another_schema_is_refused():
    with pytest.raises(SchemaMismatchError, match="types"):
        check_table(insured_persons(5, seed=1).drop(["age"]), insurance_contract())


def test_generated_persons_keep_to_the_contract_and_follow_their_seed():
    table = insured_persons(seed=7)
    check_table(table, insurance_contract())
    assert table.num_rows == 1338
    assert table.equals(insured_persons(seed=7))
    assert not table.equals(insured_persons(seed=8))


def test_generated_charges_depend_on_smoking_and_body_mass():
    table = insured_persons(5000, seed=7)

    def mean(smoker: str, obese: bool) -> float:
        rows = [
            row["charges"]
            for row in table.to_pylist()
            if row["smoker"] == smoker and (row["bmi"] > 30) == obese
        ]
        return sum(rows) / len(rows)

    assert mean("yes", True) > 1.5 * mean("yes", False) > 2 * mean("no", False)
    assert abs(mean("no", True) - mean("no", False)) < 1500
