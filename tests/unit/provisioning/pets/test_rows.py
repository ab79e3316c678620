"""Row-level twins and dummies: schema kept, references kept, groups kept."""

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from manatee.contracts import Column, Constraint, Contract, ForeignKey, Table, arrow_schema, kept
from manatee.errors import ProvisioningError
from manatee.provisioning.pets import (
    Context,
    Diversity,
    Generalise,
    Keep,
    ProjectKey,
    Protect,
    Pseudonym,
    Randomise,
    RowPlan,
    RowTwin,
    Suppress,
    dummy_tables,
    project_key,
)
from manatee.provisioning.pets._protect import effective

AGE = Column("age", "integer", minimum=0, maximum=99, sensitivity="quasi-identifying")
ILL = Column("ill", "category", categories=("a", "b"), nullable=True)
PERSONS = Table(
    "persons",
    (Column("id", "identifier", holds="integer"), AGE, ILL),
    key=("id",),
    rows="public",
    constraints=(Constraint("grown", "age >= 50"),),
)
VISITS = Table(
    "visits",
    (Column("person", "identifier", holds="integer"),),
    references=(ForeignKey(("person",), "persons"),),
    rows="public",
    max_rows_per_person=2,
)
CONTRACT = Contract("c", "real", (PERSONS, VISITS))
CONTEXT = Context({"k": project_key(b"s" * 32, project="p", name="k")})


def source(ages, ill):
    data = {
        "persons": pa.record_batch(
            [pa.array(range(len(ages))), pa.array(ages, pa.int64()), pa.array(ill, pa.string())],
            schema=arrow_schema(PERSONS),
        ),
        "visits": pa.record_batch(
            [pa.array(list(range(len(ages))) * 2)], schema=arrow_schema(VISITS)
        ),
    }
    return lambda name: iter([data[name].slice(0, 3), data[name].slice(3)])


def taken(ages, ill, protect=None, sample=None, age=None, ill_as=None):
    columns = {"id": Pseudonym("k"), "age": age or Generalise(width=10.0), "ill": ill_as or Keep()}
    plans = {
        "persons": RowPlan(columns, sample, protect),
        "visits": RowPlan({"person": Pseudonym("k")}, sample),
    }
    twin = RowTwin(CONTRACT, plans, source(ages, ill), CONTEXT)
    return [pa.Table.from_batches(list(twin.rows(name))) for name in plans], twin


def test_small_groups_are_left_out_with_the_rows_of_their_people():
    (persons, visits), _ = taken([12, 13, 18, 55], ["a", "b", "a", "a"], Protect(3, 0.25))
    assert persons["age"].to_pylist() == [15, 15, 15]
    assert set(visits["person"].to_pylist()) == set(persons["id"].to_pylist())
    assert visits.num_rows == 6
    assert persons.schema.equals(arrow_schema(PERSONS))


def test_more_rows_than_allowed_are_never_left_out():
    with pytest.raises(ProvisioningError, match="max_suppressed"):
        taken([12, 13, 18, 55], ["a"] * 4, Protect(3, 0.24))


def test_groups_too_alike_are_left_out():
    ages, ill = [11] * 4 + [22] * 4, ["a", "a", "a", "b", "a", "a", "b", "b"]
    entropy = Protect(2, 0.5, Diversity("ill", 1.9, "entropy"))
    assert set(taken(ages, ill, entropy)[0][0]["age"].to_pylist()) == {25}
    distinct = Protect(2, 0.5, Diversity("ill", 2))
    assert taken(ages, ill, distinct)[0][0].num_rows == 8
    assert effective([2, 2], "entropy") == pytest.approx(2)


def test_a_sample_keeps_persons_with_all_of_their_rows():
    n = 4000
    (persons, visits), twin = taken([1] * n, ["a"] * n, sample=Fraction(1, 4))
    assert set(visits["person"].to_pylist()) == set(persons["id"].to_pylist())
    assert visits.num_rows == 2 * persons.num_rows
    assert 800 < persons.num_rows < 1200  # 7 standard deviations: false alarms below 1e-11
    notes = " ".join(twin.statement("persons").notes)
    assert "sampling alone is no differential privacy" in notes


def test_the_epsilon_of_a_row_is_the_sum_over_its_columns_and_none_where_one_has_none():
    contract = Contract("c", "real", (Table("t", (ILL, Column("b", "boolean")), rows="public"),))
    batch = pa.record_batch([["a"], [True]], schema=arrow_schema(contract.only))
    for second, total in ((Randomise(0.5), 1.5), (Keep(), None)):
        twin = RowTwin(
            contract,
            {"t": RowPlan({"ill": Randomise(1.0), "b": second})},
            lambda name: iter([batch]),
            CONTEXT,
        )
        list(twin.rows("t"))
        assert twin.statement("t").row_epsilon == total
    assert "nearly useless" in twin.statement("t").columns[0].not_protected[0]


def test_children_are_not_released_before_their_parents():
    plans = {
        "persons": RowPlan({"id": Pseudonym("k"), "age": Keep(), "ill": Suppress()}),
        "visits": RowPlan({"person": Pseudonym("k")}),
    }
    twin = RowTwin(CONTRACT, plans, source([1] * 4, ["a"] * 4), CONTEXT)
    with pytest.raises(ProvisioningError, match="before"):
        list(twin.rows("visits"))


class Narrow(ProjectKey):
    """A key under which the identifiers 2 and 5 share a pseudonym, and no others."""

    def digest(self, message):
        return super().digest(message.replace(b"i5", b"i2"))


@pytest.mark.parametrize("n", [5, 6])
def test_a_twin_stops_where_two_people_would_share_a_pseudonym(n):
    plans = {"persons": RowPlan({"id": Pseudonym("k"), "age": Keep(), "ill": Keep()})}
    context = Context({"k": Narrow("k", b"s" * 32)})
    twin = RowTwin(CONTRACT, plans, source([50] * n, ["a"] * n), context)  # in two batches
    if n == 5:  # 0 to 4
        assert sum(batch.num_rows for batch in twin.rows("persons")) == 5
        return
    with pytest.raises(ProvisioningError, match="share a pseudonym"):
        list(twin.rows("persons"))
    with pytest.raises(KeyError):
        twin.statement("persons")


def test_a_column_that_repeats_people_is_not_mistaken_for_a_collision():
    plans = {"visits": RowPlan({"person": Pseudonym("k")})}
    twin = RowTwin(CONTRACT, plans, source([50] * 4, ["a"] * 4), CONTEXT)
    assert sum(batch.num_rows for batch in twin.rows("visits")) == 8


def test_suppressed_values_keep_their_type_and_show_no_missing_ones():
    (persons, _), _ = taken([50] * 4, ["a", None, "b", "a"], ill_as=Suppress())
    assert persons["ill"].null_count == 4
    assert persons.schema.equals(arrow_schema(PERSONS))


@pytest.mark.parametrize("to", ["month", "year"])
def test_dates_are_told_by_a_day_inside_their_month_or_year(to):
    column = Column("d", "date", minimum=0, maximum=20_000)
    how = Generalise(to=to)
    how.check(column)
    days = pa.array([0, 30, 31, 364, 365], pa.int32()).cast(pa.date32())
    told = how.begin(column, CONTEXT).apply(days).to_pylist()
    for before, after in zip(days.to_pylist(), told, strict=True):
        assert before.year == after.year
        assert to == "year" or before.month == after.month


def test_dummy_rows_keep_constraints_references_and_bounds():
    made = dummy_tables(CONTRACT, {"persons": 50, "visits": 90}, sampler=np.random.default_rng(1))
    assert kept(PERSONS.constraints[0], PERSONS, made["persons"]).all()
    assert set(made["visits"]["person"].to_pylist()) <= set(made["persons"]["id"].to_pylist())


def test_dummy_rows_that_cannot_be_are_refused():
    never = Table("t", (AGE,), constraints=(Constraint("never", "age > 200"),))
    with pytest.raises(ProvisioningError, match="keep its key and constraints"):
        dummy_tables(Contract("c", "real", (never,)), {"t": 5}, sampler=np.random.default_rng(1))
