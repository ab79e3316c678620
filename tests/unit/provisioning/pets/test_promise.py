"""To whom local privacy is promised: a row, or a person over all of their rows and tables."""

from dataclasses import replace
from fractions import Fraction

import pyarrow as pa
import pytest

from manatee.contracts import Column, Contract, ForeignKey, PrivacyUnit, Table, arrow_schema
from manatee.errors import ProvisioningError
from manatee.provisioning.pets import (
    Context,
    Keep,
    Pseudonym,
    Randomise,
    RandomiseNumber,
    RowPlan,
    RowTwin,
    Suppress,
    promise_of_all,
    row_promise,
)
from manatee.provisioning.pets._exact import MAX_EPSILON, MIN_EPSILON, value_epsilon
from manatee.provisioning.pets._windows import response

ILL = Column("ill", "category", categories=("a", "b"))
COST = Column("cost", "integer", minimum=0, maximum=9)
NUMBER = Column("number", "identifier", holds="integer", nullable=True)
PERSONS = Table("persons", (replace(NUMBER, nullable=False), ILL), key=("number",), rows="public")
STAYS = Table(
    "stays",
    (NUMBER, replace(NUMBER, name="stay"), ILL, COST),
    key=("stay",),
    references=(ForeignKey(("number",), "persons"),),
    rows="public",
    max_rows_per_person=4,
)
TESTS = Table(
    "tests",
    (replace(NUMBER, name="stay"), ILL),
    references=(ForeignKey(("stay",), "stays"),),
    rows="public",
    max_rows_per_person=10,
)
BY_PERSON = Contract(
    "clinic", "real", (PERSONS, STAYS, TESTS), privacy_unit=PrivacyUnit("person", "persons")
)
BY_ROW = Contract(
    "clinic",
    "real",
    tuple(replace(table, max_rows_per_person=None) for table in BY_PERSON.tables),
)
HIDDEN = Suppress()


def stays(rows, **columns):
    told = {
        "number": HIDDEN,
        "stay": HIDDEN,
        "ill": Randomise(1.0, rows),
        "cost": RandomiseNumber(2.0, "laplace", rows),
    }
    return RowPlan(told | columns)


def test_the_epsilons_written_down_are_what_a_person_pays_for_all_rows():
    assert row_promise(BY_PERSON, "stays", stays(4)).epsilon == 3
    assert row_promise(BY_ROW, "stays", stays(1)).epsilon == 3
    values = row_promise(BY_PERSON, "stays", stays(4)).values
    assert values == ((Fraction(1, 4), 4), (Fraction(1, 2), 4))


def test_each_value_gets_its_share_and_no_rounding_makes_it_more():
    assert value_epsilon(1.0, 3) == Fraction(1, 3)
    assert value_epsilon(0.1, 7) * 7 == Fraction(0.1)
    run = Randomise(1.0, rows=4).begin(ILL, Context())
    record = run.record()
    told = response(2, Fraction(1, 4))
    assert (record.parameters["inside"], record.parameters["outside"]) == (
        told.inside,
        told.outside,
    )
    assert "1/4 of each in at most 4 rows" in record.guarantee
    assert "of a person's values together" in record.guarantee


@pytest.mark.parametrize("name", ["laplace", "piecewise"])
def test_numbers_share_it_too(name):
    whole = RandomiseNumber(1.0, name).begin(COST, Context()).record().parameters
    shared = RandomiseNumber(4.0, name, rows=4).begin(COST, Context()).record().parameters
    assert shared == whole


@pytest.mark.parametrize("rows", [1, 3, 5])
def test_a_plan_that_gives_every_row_the_whole_epsilon_is_refused(rows):
    with pytest.raises(ProvisioningError, match="shared by 4 row"):
        row_promise(BY_PERSON, "stays", stays(rows))
    with pytest.raises(ProvisioningError, match="shared by 4 row"):
        RowTwin(BY_PERSON, {"stays": stays(rows)}, lambda _name: iter(()), Context())


def test_tables_add_up_for_a_person():
    persons = RowPlan({"number": Pseudonym("k"), "ill": Randomise(0.5)})
    plans = {"stays": stays(4)}
    assert promise_of_all(BY_PERSON, plans) == 3
    assert promise_of_all(BY_PERSON, {**plans, "persons": persons}) is None
    loose = replace(PERSONS, columns=(ILL,), key=())
    contract = replace(BY_ROW, tables=(loose, *BY_ROW.tables[1:]))
    plans = {"stays": stays(1), "persons": RowPlan({"ill": Randomise(0.5)})}
    assert promise_of_all(contract, plans) == Fraction(7, 2)


def test_one_kept_column_voids_it_and_the_rest_is_still_told():
    promise = row_promise(BY_PERSON, "stays", stays(4, cost=Keep()))
    assert promise.epsilon is None
    assert promise.why_not == "1 of 4 columns have none"
    assert promise.randomised == 1


def test_rows_that_may_be_left_out_for_a_persons_values_elsewhere_have_no_guarantee():
    plan = RowPlan({"stay": HIDDEN, "ill": Randomise(1.0, 10)})
    promise = row_promise(BY_PERSON, "tests", plan)
    assert promise.epsilon is None
    assert "depends on values of the rows they belong to" in promise.why_not
    assert (
        row_promise(BY_ROW, "tests", RowPlan({**plan.columns, "ill": Randomise(1.0)})).epsilon == 1
    )


def test_a_sample_voids_it():
    assert row_promise(BY_PERSON, "stays", replace(stays(4), sample=Fraction(1, 2))).epsilon is None


@pytest.mark.parametrize(("contract", "rows"), [(BY_PERSON, 4), (BY_ROW, 1)])
def test_the_statement_says_whose_epsilon_it_is_and_what_is_shown(contract, rows):
    schema = arrow_schema(contract.table("stays"))
    batch = pa.record_batch([[1, 1], [1, 2], ["a", "b"], [3, 4]], schema=schema)
    twin = RowTwin(contract, {"stays": stays(rows)}, lambda _name: iter([batch]), Context())
    list(twin.rows("stays"))
    told = twin.statement("stays")
    assert told.row_epsilon == 3
    whose = "all rows of one person" if rows > 1 else "a whole row"
    assert told.row_guarantee.startswith(f"3-local differential privacy of {whose}")
    notes = " ".join(told.notes)
    assert "that a row is there" in notes
    assert ("tables add up" in notes) == (rows > 1)
    assert ("several rows has the sum" in notes) == (rows == 1)


@pytest.mark.parametrize(
    ("epsilon", "rows"),
    [
        (MIN_EPSILON * 3, 4),
        (MAX_EPSILON * 4.1, 4),
        (1.0, 0),
        (0.0, 0),
        (1.0, -1),
        (float("nan"), 1),
        (float("inf"), 1),
    ],
)
def test_a_share_that_means_nothing_is_refused(epsilon, rows):
    with pytest.raises(ProvisioningError, match="epsilon of a value must be"):
        Randomise(epsilon, rows).check(ILL)
    with pytest.raises(ProvisioningError, match="epsilon of a value must be"):
        RandomiseNumber(epsilon, "laplace", rows).check(COST)
