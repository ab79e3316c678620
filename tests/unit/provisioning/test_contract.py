"""A contract says everything once, in plain YAML, and errors say the line."""

import pyarrow as pa
import pytest

from manatee.errors import ContractError
from manatee.provisioning import (
    arrow_schema,
    contract_digest,
    insurance_contract,
    parse_contract,
    schema_digest,
)

HEAD = """\
format: manatee-data-contract/1
name: people
label: synthetic
privacy_unit: row
"""
GOOD = (
    HEAD
    + """\
columns:
  - {name: age, type: integer, range: [0, 120], unit: years}
  - {name: weight, type: decimal, range: [0.5, 300], decimals: 1, bins: 30, nullable: true}
  - {name: smoker, type: category, categories: ["no", "yes"]}
  - {name: alive, type: boolean}
"""
)


def test_a_contract_gives_one_schema_in_its_order():
    contract = parse_contract(GOOD.encode())
    assert arrow_schema(contract) == pa.schema(
        [
            pa.field("age", pa.int64(), nullable=False),
            pa.field("weight", pa.float64(), nullable=True),
            pa.field("smoker", pa.string(), nullable=False),
            pa.field("alive", pa.bool_(), nullable=False),
        ]
    )
    assert contract.columns[1].bins == 30
    assert contract.columns[0].bins == 16


def test_an_integer_column_never_has_more_bins_than_values():
    text = GOOD.replace("range: [0, 120]", "range: [0, 5]")
    assert parse_contract(text.encode()).columns[0].bins == 6


def test_the_digest_is_of_what_is_said_not_of_how():
    one = parse_contract(GOOD.encode())
    other = parse_contract(("# a comment\n" + GOOD).encode())
    changed = parse_contract(GOOD.replace("[0, 120]", "[0, 121]").encode())
    assert contract_digest(one) == contract_digest(other)
    assert contract_digest(one) != contract_digest(changed)
    assert schema_digest(one) == schema_digest(changed)
    renamed = parse_contract(GOOD.replace("alive", "living").encode())
    assert schema_digest(one) != schema_digest(renamed)


def test_the_shipped_contract_is_labelled_synthetic():
    contract = insurance_contract()
    assert contract.label == "synthetic"
    assert [column.name for column in contract.columns][-1] == "charges"


COLUMN = "columns:\n  - "

BAD = {
    "no mapping": ("- a\n", "mapping"),
    "empty": ("", "mapping"),
    "not UTF-8": (b"\xff\xfe", "UTF-8"),
    "broken YAML": (HEAD + "columns: [", "line"),
    "anchor and alias": (HEAD + "columns: &a [*a]", "line 5.*anchors"),
    "tag": (HEAD + "columns: !!python/object:os.system [ls]", "line 5.*tags"),
    "two documents": (GOOD + "---\na: 1\n", "second document"),
    "deep nesting": (HEAD + "columns: " + "[" * 100 + "]" * 100, "deeper"),
    "unknown member": (GOOD + "secret: 1\n", "line 10.*nobody knows"),
    "member twice": (GOOD + "name: again\n", "line 10.*twice"),
    "member missing": (GOOD.replace("label: synthetic\n", ""), "'label'"),
    "another format": (GOOD.replace("contract/1", "contract/2"), "line 1.*format"),
    "bad name": (GOOD.replace("name: people", "name: People!"), "line 2.*name"),
    "bad label": (GOOD.replace("label: synthetic", "label: secret"), "line 3.*label"),
    "another privacy unit": (GOOD.replace("unit: row", "unit: table"), "line 4.*privacy_unit"),
    "no columns": (HEAD + "columns: []", "columns must be"),
    "columns not a list": (HEAD + "columns: {a: b}", "line 5.*list"),
    "column twice": (GOOD + "  - {name: age, type: boolean}\n", "line 10.*twice"),
    "column without type": (HEAD + COLUMN + "{name: a}", "line 6.*'type'"),
    "unknown type": (HEAD + COLUMN + "{name: a, type: blob}", "line 6.*type"),
    "member of another type": (
        HEAD + COLUMN + "{name: a, type: boolean, bins: 3}",
        "line 6.*'bins'",
    ),
    "range missing": (HEAD + COLUMN + "{name: a, type: integer}", "'range'"),
    "range reversed": (HEAD + COLUMN + "{name: a, type: integer, range: [5, 1]}", "range"),
    "range of one value": (HEAD + COLUMN + "{name: a, type: integer, range: [5, 5]}", "range"),
    "range of three": (HEAD + COLUMN + "{name: a, type: integer, range: [1, 2, 3]}", "range"),
    "range not whole": (HEAD + COLUMN + "{name: a, type: integer, range: [1, 2.5]}", "whole"),
    "range infinite": (HEAD + COLUMN + "{name: a, type: decimal, range: [0, .inf]}", "decimal"),
    "range not a number": (HEAD + COLUMN + "{name: a, type: decimal, range: [.nan, 1]}", "decim"),
    "octal": (HEAD + COLUMN + "{name: a, type: integer, range: [0, 017]}", "whole"),
    "sexagesimal": (HEAD + COLUMN + "{name: a, type: integer, range: [0, 1:30]}", "whole"),
    "too many bins": (
        HEAD + COLUMN + "{name: a, type: integer, range: [0, 9], bins: 10000}",
        "bins",
    ),
    "no bins": (HEAD + COLUMN + "{name: a, type: integer, range: [0, 9], bins: 0}", "bins"),
    "decimals": (
        HEAD + COLUMN + "{name: a, type: decimal, range: [0, 9], decimals: 99}",
        "decimals",
    ),
    "unquoted yes": (HEAD + COLUMN + "{name: a, type: category, categories: [no, yes]}", "Quote"),
    "no categories": (HEAD + COLUMN + "{name: a, type: category, categories: []}", "categories"),
    "category twice": (HEAD + COLUMN + "{name: a, type: category, categories: [b, b]}", "once"),
    "nullable as text": (HEAD + COLUMN + "{name: a, type: boolean, nullable: yes}", "true or"),
    "oversized": (GOOD + "#" * (1 << 18), "at most"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_contract_is_refused_with_its_reason(name):
    text, reason = BAD[name]
    with pytest.raises(ContractError, match=f"(?s){reason}"):
        parse_contract(text if isinstance(text, bytes) else text.encode())
