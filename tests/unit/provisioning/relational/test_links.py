"""Which table leads to persons, and which contracts cannot be synthesised."""

from __future__ import annotations

import pytest

from manatee.contracts import Column, Contract, ForeignKey, PrivacyUnit, Table
from manatee.errors import ProvisioningError
from manatee.provisioning.relational import SynthesisPlan, TablePlan, wides
from manatee.provisioning.relational._links import children, links

ID = Column("id", "identifier", holds="integer")
AGE = Column("age", "integer", minimum=0, maximum=99, bins=10)
PERSONS = Table("persons", (ID, AGE), key=("id",))


def child(name: str, parent: str, *, bound: int | None = 4, more: tuple[Column, ...] = ()) -> Table:
    columns = (ID, Column(f"{parent}_id", "identifier", holds="integer"), AGE, *more)
    reference = ForeignKey((f"{parent}_id",), parent)
    return Table(name, columns, key=("id",), references=(reference,), max_rows_per_person=bound)


PERSON = PrivacyUnit("person", "persons")


def clinic(*tables: Table, unit: PrivacyUnit = PERSON) -> Contract:
    return Contract("clinic", "real", tables, privacy_unit=unit)


def test_every_table_leads_to_persons_through_its_parent() -> None:
    contract = clinic(PERSONS, child("visits", "persons"), child("drugs", "visits", bound=9))
    persons, visits, drugs = links(contract, ["persons", "visits", "drugs"])
    assert (persons.parent, persons.bound) == (None, 1)
    assert visits.parent == ForeignKey(("persons_id",), "persons")
    assert (drugs.bound, drugs.aside) == (9, ())
    assert children(persons, (persons, visits, drugs)) == (visits,)


def test_a_table_in_between_must_be_synthesised_too() -> None:
    contract = clinic(PERSONS, child("visits", "persons"), child("drugs", "visits"))
    with pytest.raises(ProvisioningError, match="'drugs' does not lead to the table of persons"):
        links(contract, ["persons", "drugs"])


def test_a_table_without_bound_is_refused() -> None:
    contract = clinic(PERSONS, child("visits", "persons", bound=None))
    with pytest.raises(ProvisioningError, match="no bound of rows per person"):
        links(contract, ["persons", "visits"])


@pytest.mark.parametrize("name", ["persons", "visits"])
def test_tied_tables_need_a_person_as_the_privacy_unit(name: str) -> None:
    contract = clinic(PERSONS, child("visits", "persons"), unit=PrivacyUnit())
    with pytest.raises(ProvisioningError, match="the privacy unit is the row"):
        links(contract, [name])


def test_a_table_alone_needs_no_person() -> None:
    (only,) = links(clinic(PERSONS, unit=PrivacyUnit()), ["persons"])
    assert (only.parent, only.bound) == (None, 1)


def test_a_table_is_measured_with_its_numbers_of_children_and_its_parents_columns() -> None:
    contract = clinic(PERSONS, child("visits", "persons", bound=3))
    plan = SynthesisPlan({"persons": TablePlan(), "visits": TablePlan()})
    persons, visits = wides(contract, plan)
    assert [column.name for column in persons.columns] == ["age", "#visits"]
    assert (persons.counts[0].maximum, persons.counts[0].bins) == (3, 4)
    assert [column.name for column in visits.columns] == ["age", "parent:age"]


NOTE = Column("note", "text", max_length=100)
SERIAL = Column("serial", "identifier")


@pytest.mark.parametrize(
    ("table", "plan", "message"),
    [
        (Table("t", (AGE, NOTE)), TablePlan(), "text cannot be synthesised"),
        (Table("t", (AGE, SERIAL)), TablePlan(), "outside the contract"),
        (Table("t", (ID,), key=("id",)), TablePlan(), "no column that falls into cells"),
        (Table("t", (AGE,)), TablePlan("task"), "needs a task"),
    ],
    ids=["text", "foreign-identifier", "nothing", "task"],
)
def test_what_cannot_be_synthesised_is_refused(table: Table, plan: TablePlan, message: str) -> None:
    with pytest.raises(ProvisioningError, match=message):
        wides(clinic(table, unit=PrivacyUnit()), SynthesisPlan({"t": plan}))


def test_the_rows_of_a_child_follow_from_its_parent() -> None:
    contract = clinic(PERSONS, child("visits", "persons"))
    plan = SynthesisPlan({"persons": TablePlan(), "visits": TablePlan(rows=10)})
    with pytest.raises(ProvisioningError, match="follows from 'persons'"):
        wides(contract, plan)
