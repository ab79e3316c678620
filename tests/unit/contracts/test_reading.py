"""What a contract may say, and each refusal with its place."""

import pyarrow as pa
import pytest

from manatee.contracts import (
    arrow_schema,
    contract_digest,
    contract_text,
    parse_contract,
    schema_digest,
)
from manatee.errors import ContractError

SHOP = """\
format: manatee-data-contract/2
name: shop
label: synthetic
version: 3
privacy_unit: {person: people}
tables:
  - name: people
    key: [id]
    columns:
      - {name: id, type: identifier, holds: integer}
      - {name: born, type: date, range: [1920-01-01, 2010-12-31], sensitivity: quasi-identifying}
      - {name: town, type: category, categories: [north, rest], other: rest, nullable: true}
  - name: orders
    key: [number]
    references: [{columns: [person], table: people}]
    max_rows_per_person: 20
    columns:
      - {name: number, type: identifier, max_length: 12}
      - {name: person, type: identifier, holds: integer}
      - {name: price, type: decimal, range: [0, 1000], decimals: 2, unit: EUR}
      - {name: paid, type: decimal, range: [0, 1000], decimals: 2}
      - {name: at, type: timestamp, range: ["2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"]}
      - {name: note, type: text, max_length: 500, nullable: true}
      - {name: rate, type: float, range: [-0.5, 1.25], decimals: 4}
      - {name: gift, type: boolean}
    constraints:
      - {name: paid in full, given: not gift, check: paid <= price}
"""


def test_every_type_has_its_arrow_type() -> None:
    orders = arrow_schema(parse_contract(SHOP.encode()).table("orders"))
    assert orders.field("person").type == pa.int64()
    assert pa.types.is_decimal128(orders.field("price").type)
    assert orders.field("price").type.scale == 2
    assert orders.field("at").type == pa.timestamp("us", tz="UTC")
    assert orders.field("rate").type == pa.float64()
    assert orders.field("note").nullable
    people = arrow_schema(parse_contract(SHOP.encode()).table("people"))
    assert people.field("born").type == pa.date32()
    assert people.field("town").metadata == {b"categories": b'["north", "rest"]'}


def test_a_contract_written_and_read_again_is_the_same() -> None:
    contract = parse_contract(SHOP.encode())
    again = parse_contract(contract_text(contract).encode())
    assert again == contract
    assert contract_digest(again) == contract_digest(contract)


def test_digests_tell_versions_and_schemas_apart() -> None:
    contract = parse_contract(SHOP.encode())
    newer = parse_contract(SHOP.replace("version: 3", "version: 4").encode())
    assert contract_digest(newer) != contract_digest(contract)
    assert schema_digest(newer.tables[0]) == schema_digest(contract.tables[0])
    missing = parse_contract(SHOP.replace("500, nullable: true}", "500}").encode())
    assert schema_digest(missing.tables[1]) != schema_digest(contract.tables[1])


REFUSALS = {
    "unknown member": ("label: synthetic", "label: synthetic\ncolour: red", "nobody knows"),
    "unreviewed line": (
        "label: synthetic",
        "label: synthetic\nunreviewed: [tables.people.columns.born.range]",
        "nobody has reviewed",
    ),
    "reference to no table": ("table: people}", "table: peoples}", "does not stand before"),
    "a ring": ("    key: [id]", "    key: [id]\n    references: [{columns: [id], table: orders}]",
               "does not stand before"),
    "reference of another type": (
        "{name: person, type: identifier, holds: integer}",
        "{name: person, type: identifier, max_length: 4}",
        "not of the type",
    ),
    "no contribution bound": ("    max_rows_per_person: 20\n", "", "misses 'max_rows_per_person'"),
    "no way to the person": ("    references: [{columns: [person], table: people}]\n", "",
                             "does not lead"),
    "no such person table": ("{person: people}", "{person: folk}", "none of the contract"),
    "bound without person": ("{person: people}", "row", "privacy unit is the row"),
    "nullable key": ("holds: integer}", "holds: integer, nullable: true}", "part of a key"),
    "key of no column": ("key: [id]", "key: [ident]", "no column"),
    "date out of order": ("[1920-01-01, 2010-12-31]", "[2010-12-31, 1920-01-01]", "lesser"),
    "not a date": ("1920-01-01", "1920-13-01", "must be a date"),
    "time stamp before year 1": ('"2020-01-01T00:00:00Z"', '"0001-01-01T00:00:00+23:00"',
                                 "years 1 to 9999"),
    "decimal too long": ("range: [0, 1000], decimals: 2, unit", "range: [0, 10000000000000000000], "
                         "decimals: 2, unit", "units of its last place"),
    "no bins": ("decimals: 4", "decimals: 4, bins: 0", "bins must be"),
    "constraint on no column": ("paid <= price", "payed <= price", "payed"),
    "constraint of mixed types": ("paid <= price", "paid <= gift", "paid in full"),
    "other not listed": ("other: rest", "other: else", "one of the categories"),
    "twice the same column": ("name: gift", "name: rate", "is there twice"),
    "anchor": ("[north, rest]", "&a [north, rest]", "anchors"),
    "python tag": ("name: shop", "name: !!python/name:os.system shop", "tags"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_with_its_place(case: str) -> None:
    old, new, reason = REFUSALS[case]
    assert old in SHOP
    with pytest.raises(ContractError) as caught:
        parse_contract(SHOP.replace(old, new, 1).encode())
    assert reason in str(caught.value)
    assert "line " in caught.value.message


def test_ten_million_categories_are_refused_unread() -> None:
    many = b"format: manatee-data-contract/2\ntables: [" + b"a," * 10_000_000
    with pytest.raises(ContractError, match="at most"):
        parse_contract(many)
