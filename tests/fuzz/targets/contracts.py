"""Data contracts, of both formats."""

from collections.abc import Iterator

from manatee.contracts import parse_contract

FIRST = b"""format: manatee-data-contract/1
name: a
label: real
privacy_unit: row
columns: [{name: x, type: decimal, range: [0, 1]}]
"""
SECOND = b"""format: manatee-data-contract/2
name: a
label: synthetic
privacy_unit: {person: p}
tables:
  - {name: p, key: [i], columns: [{name: i, type: identifier, max_length: 9}]}
  - name: q
    references: [{columns: [i], table: p}]
    max_rows_per_person: 2
    columns:
      - {name: i, type: identifier, max_length: 9}
      - {name: d, type: date, range: [2020-01-01, 2021-01-01]}
      - {name: t, type: timestamp, range: ["2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"]}
      - {name: c, type: category, categories: [a, b], other: b, nullable: true}
    constraints: [{name: r, given: not missing(c), check: d <= date('2020-06-01')}]
"""


def seeds() -> Iterator[bytes]:
    yield FIRST
    yield SECOND


def one(data: bytes) -> None:
    parse_contract(data)
