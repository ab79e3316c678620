"""A twin that is not dressed like the real table is not published."""

from __future__ import annotations

import pyarrow as pa
import pytest

from manatee.contracts import arrow_schema, parse_contract
from manatee.errors import SchemaMismatchError
from manatee.provisioning.runs import check_schema

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
