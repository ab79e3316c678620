"""What a provider allows to be measured for a twin report follows from the contract alone."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from manatee.comparison import check_order
from manatee.contracts import Contract, arrow_schema, parse_contract
from manatee.errors import ProvisioningError
from manatee.provisioning import comparison_order, insurance_contract
from manatee.provisioning.noise import epsilon_of

CLINIC = parse_contract(b"""
format: manatee-data-contract/2
name: clinic
label: synthetic
privacy_unit: {person: persons}
tables:
  - name: persons
    key: [id]
    columns:
      - {name: id, type: identifier, holds: integer}
      - {name: ill, type: boolean, nullable: true}
  - name: visits
    key: [id]
    max_rows_per_person: 3
    references: [{columns: [person], table: persons}]
    columns:
      - {name: id, type: identifier, holds: integer}
      - {name: person, type: identifier, holds: integer}
      - {name: ward, type: category, categories: [a, b, other], other: other}
  - name: tests
    max_rows_per_person: 9
    references: [{columns: [visit], table: visits}]
    columns:
      - {name: visit, type: identifier, holds: integer}
      - {name: result, type: category, categories: [low, high]}
""")


def test_every_category_and_the_small_pairs_are_strata() -> None:
    contract = insurance_contract()
    order = comparison_order(contract, contract.only, epsilon=0.5, delta=1e-9)
    assert [item.columns for item in order.strata] == [
        ("sex",),
        ("smoker",),
        ("region",),
        ("sex", "smoker"),
        ("sex", "region"),
        ("smoker", "region"),
    ]
    assert (order.unit, order.person, order.most_rows, order.missing) == ("row", None, 1, ())
    check_order(order, arrow_schema(contract.only))


def test_the_price_is_worth_no_more_than_the_epsilon_asked_for() -> None:
    contract = insurance_contract()
    order = comparison_order(contract, contract.only, epsilon=0.5, delta=1e-9)
    assert 0.49 < epsilon_of(rho=float(Fraction(order.rho)), delta=1e-9) <= 0.5


@pytest.mark.parametrize(
    ("table", "person", "most"), [("persons", "id", 1), ("visits", "person", 3)]
)
def test_a_price_per_person_names_who_a_row_belongs_to(table: str, person: str, most: int) -> None:
    order = comparison_order(CLINIC, CLINIC.table(table), epsilon=0.5, delta=1e-9)
    assert (order.unit, order.person, order.most_rows) == ("person", person, most)
    check_order(order, arrow_schema(CLINIC.table(table)))


def test_a_boolean_and_what_stands_for_unlisted_values_are_told() -> None:
    (ill,) = comparison_order(CLINIC, CLINIC.table("persons"), epsilon=1, delta=1e-9).strata
    (ward,) = comparison_order(CLINIC, CLINIC.table("visits"), epsilon=1, delta=1e-9).strata
    assert (ill.values, ill.other) == ((("false", "true"),), (None,))
    assert (ward.values, ward.other) == ((("a", "b", "other"),), ("other",))


def test_a_table_that_does_not_name_the_person_is_refused() -> None:
    with pytest.raises(ProvisioningError, match="'tests'"):
        comparison_order(CLINIC, CLINIC.table("tests"), epsilon=0.5, delta=1e-9)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan"), float("inf"), 1e-9])
def test_a_budget_that_means_nothing_is_refused(epsilon: float) -> None:
    contract = insurance_contract()
    with pytest.raises(ProvisioningError):
        comparison_order(contract, contract.only, epsilon=epsilon, delta=1e-9)


def test_long_lists_of_categories_are_left_out() -> None:
    many = tuple(f"c{number}" for number in range(257))
    column = replace(CLINIC.table("visits").column("ward"), categories=many, other=None)
    table = replace(CLINIC.table("visits"), columns=(*CLINIC.table("visits").columns[:2], column))
    contract = Contract(
        "clinic", "synthetic", (CLINIC.table("persons"), table), "", 1, CLINIC.privacy_unit
    )
    assert comparison_order(contract, table, epsilon=1, delta=1e-9).strata == ()
