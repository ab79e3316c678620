"""A fit spends its budget to the last bit, and what it draws resembles the table."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from manatee.errors import ProvisioningError
from manatee.provisioning.counting import Attribute, MemoryCounter
from manatee.provisioning.noise import Budget
from manatee.provisioning.synthesis import Mechanism, Task, fit
from manatee.provisioning.synthesis._task import ANCHOR_SHARE

from .conftest import ATTRIBUTES, TASK, Fitted, people

MECHANISMS: tuple[Mechanism, ...] = ("mst", "aim", "task")


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("rho", [0.003, 1.0])
def test_the_whole_budget_is_spent_and_not_a_bit_more(
    fitted: Fitted, mechanism: Mechanism, rho: float
) -> None:
    _, budget = fitted(mechanism, rho=rho, n_records=500)
    assert budget.spent == budget.rho


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_charge_states_the_rows_that_one_person_may_have(
    fitted: Fitted, mechanism: Mechanism
) -> None:
    _, budget = fitted(mechanism, n_records=500, contribution=7)
    assert {charge.sensitivity for charge in budget.charges} <= {7, 7000}
    for charge in budget.charges:
        if charge.mechanism == "discrete-gaussian":
            assert charge.sensitivity == 7
            assert Fraction(49) / (2 * Fraction(charge.scale) ** 2) <= charge.rho


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_what_is_drawn_has_the_tables_dependencies(fitted: Fitted, mechanism: Mechanism) -> None:
    """Seeded sampling, noise from the operating system: bounds are ten times what was seen."""
    model, _ = fitted(mechanism)
    assert model.total == pytest.approx(4000, abs=60)
    rows = model.draw(4000, np.random.default_rng(1))
    assert all(((rows[a.name] >= 0) & (rows[a.name] < a.n_cells)).all() for a in ATTRIBUTES)
    there = rows["cost"] < 30
    assert there.mean() == pytest.approx(0.9, abs=0.05)
    smokers = rows["smoker"] == 1
    assert smokers.mean() == pytest.approx(0.25, abs=0.05)
    jump = rows["cost"][there & smokers].mean() - rows["cost"][there & ~smokers].mean()
    assert jump == pytest.approx(18, abs=4)


def test_rows_are_drawn_given_what_is_known_of_them(fitted: Fitted) -> None:
    model, _ = fitted("mst")
    sampler = np.random.default_rng(2)
    smoker = np.repeat([0, 1], 2000)
    rows = model.draw_given({"smoker": smoker}, sampler)
    assert set(rows) == {"age", "town", "cost"}
    there = rows["cost"] < 30
    jump = rows["cost"][there & (smoker == 1)].mean() - rows["cost"][there & (smoker == 0)].mean()
    assert jump == pytest.approx(18, abs=4)


def test_a_task_measures_its_target_with_the_feature_that_tells_most(fitted: Fitted) -> None:
    model, budget = fitted("task")
    triples = [columns for columns in model.measured if len(columns) == 3]
    assert {columns[:2] for columns in triples} == {("cost", "smoker")}
    assert {columns[2] for columns in triples} == {"age", "town"}
    assert sum(charge.what == "choice of the anchor" for charge in budget.charges) == 1


def test_mst_measures_a_tree_over_all_columns(fitted: Fitted) -> None:
    model, _ = fitted("mst")
    assert len(model.measured) == 3
    assert {name for pair in model.measured for name in pair} == {a.name for a in ATTRIBUTES}


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("n_records", [0, 1])
def test_a_table_of_hardly_any_row_makes_a_twin_all_the_same(
    fitted: Fitted, mechanism: Mechanism, n_records: int
) -> None:
    """That it has no row is private: an error would tell."""
    model, budget = fitted(mechanism, n_records=n_records, rho=0.01)
    assert model.total >= 1.0
    assert budget.spent == budget.rho
    assert len(model.draw(10, np.random.default_rng(1))["age"]) == 10


def test_one_column_takes_the_whole_budget() -> None:
    budget = Budget(Fraction(1, 10))
    counter = MemoryCounter(ATTRIBUTES[:1], {"age": np.arange(2000) % 20})
    model = fit(counter, mechanism="mst", budget=budget)
    assert [charge.rho for charge in budget.charges] == [Fraction(1, 10)]
    found = np.bincount(model.draw(2000, np.random.default_rng(1))["age"], minlength=20)
    assert (np.abs(found - 100) < 60).all()


def test_constant_columns_are_no_obstacle() -> None:
    constant = Attribute("same", 1, ordered=False, n_values=1)
    counter = MemoryCounter(
        (constant, ATTRIBUTES[1]), {"same": np.zeros(50, int), "smoker": np.ones(50, int)}
    )
    for mechanism in ("mst", "aim"):
        model = fit(counter, mechanism=mechanism, budget=Budget(Fraction(1)))
        assert set(model.draw(50, np.random.default_rng(1))["same"]) == {0}


@pytest.mark.parametrize(
    "task",
    [
        None,
        Task("income", ("age",)),
        Task("cost", ("income",)),
        Task("cost", ()),
        Task("cost", ("age", "age")),
        Task("cost", ("cost",)),
    ],
    ids=["none", "target", "feature", "nothing", "twice", "itself"],
)
def test_a_task_that_is_none_is_refused_before_anything_is_spent(task: Task | None) -> None:
    budget = Budget(Fraction(1))
    with pytest.raises(ProvisioningError, match="task"):
        fit(people(10), mechanism="task", budget=budget, task=task)
    assert not budget.charges


def test_a_table_without_columns_is_refused() -> None:
    with pytest.raises(ProvisioningError, match="without columns"):
        fit(MemoryCounter((), {}), mechanism="mst", budget=Budget(Fraction(1)))


def test_a_regression_learns_more_from_a_twin_for_the_task(fitted: Fitted) -> None:
    """What the mechanism is for: squared error of cell means, on average over eight twins each."""
    real = people(4000)
    table = real.count([("smoker", "age", "cost")])[0][:, :, :30]
    truth = table @ np.arange(30) / np.maximum(table.sum(axis=2), 1)

    def error(mechanism: Mechanism) -> float:
        found = []
        for seed in range(8):
            model, _ = fitted(mechanism, rho=0.015)
            rows = model.draw(4000, np.random.default_rng(seed))
            there = rows["cost"] < 30
            sums, counts = np.zeros((2, 20)), np.zeros((2, 20))
            np.add.at(sums, (rows["smoker"][there], rows["age"][there]), rows["cost"][there])
            np.add.at(counts, (rows["smoker"][there], rows["age"][there]), 1)
            means = np.where(counts > 0, sums / np.maximum(counts, 1), 15)
            found.append(float(((means - truth) ** 2).mean()))
        return float(np.mean(found))

    assert error("task") < error("mst")
    assert TASK.target == "cost"


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_of_a_budget_that_was_used_before_only_what_is_left_is_spent(mechanism: Mechanism) -> None:
    budget = Budget(Fraction(10))
    budget.measure([1], Fraction(9), what="something earlier")
    task = Task("cost", ("age", "smoker")) if mechanism == "task" else None
    fit(people(500), mechanism=mechanism, budget=budget, task=task)
    assert budget.spent == budget.rho
    shares = {charge.what: charge.rho for charge in budget.charges[1:]}
    if mechanism == "task":
        assert shares["choice of the anchor"] == ANCHOR_SHARE  # of the one that was left
