"""The mechanisms that twins are made by, audited whole, and attacked.

Statistical false-alarm rates: 1e-6 per audit and attack. Tables are generated.
"""

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from manatee.contracts import Column
from manatee.provisioning import insurance_contract, insured_persons, make_twin
from manatee.provisioning.attacks import check_verbatim, membership_attacks
from manatee.provisioning.audits import audit_fit, check_sensitivities
from manatee.provisioning.counting import Attribute, MemoryCounter
from manatee.provisioning.synthesis import Task, fit

ATTRIBUTES = (
    Attribute("illness", 3, False, 3),
    Attribute("age", 8, True, 8),
    Attribute("rare", 2, False, 2),
)
RHO = Fraction(1, 20)
"""A small claim, so that few runs refute what breaks it."""


def neighbours():
    """A worst case: the one row more is alone in its cell of every column."""
    sampler = np.random.default_rng(0)
    codes = {
        "illness": sampler.integers(0, 2, 60),
        "age": sampler.integers(0, 6, 60),
        "rare": np.zeros(60, dtype=int),
    }
    canary = {"illness": 2, "age": 7, "rare": 1}
    return codes, {name: np.append(values, canary[name]) for name, values in codes.items()}


def fitted(codes, mechanism, contribution=1):
    counter = MemoryCounter(ATTRIBUTES, {k: v.astype(np.uint8) for k, v in codes.items()})
    task = Task("rare", ("illness", "age")) if mechanism == "task" else None

    def run(budget):
        found = fit(
            counter, mechanism=mechanism, budget=budget, task=task, contribution=contribution
        )
        return {"total": found.total}

    return run


def test_mst_passes_every_audit():
    without, with_canary = neighbours()
    found = audit_fit(fitted(without, "mst"), fitted(with_canary, "mst"), rho=RHO, trials=60)
    assert all(finding.passed for finding in found), found


def test_a_twin_with_the_exact_number_of_rows_is_caught():
    without, with_canary = neighbours()

    def leaky(codes):
        run = fitted(codes, "mst")
        return lambda budget: {**run(budget), "rows": float(len(codes["age"]))}

    found = audit_fit(leaky(without), leaky(with_canary), rho=RHO, trials=60)
    assert "distinguisher" in {finding.audit for finding in found if not finding.passed}


@pytest.mark.parametrize("mechanism", ["mst", "aim", "task"])
def test_no_row_moves_a_question_by_more_than_its_sensitivity(mechanism):
    without, with_canary = neighbours()
    for _ in range(5):
        finding = check_sensitivities(
            fitted(without, mechanism), fitted(with_canary, mechanism), RHO
        )
        assert finding.passed, finding
        assert finding.numbers["questions"] > len(ATTRIBUTES)


@pytest.mark.parametrize("mechanism", ["mst", "aim", "task"])
def test_no_person_of_three_rows_moves_a_question_by_more_than_three(mechanism):
    without, _ = neighbours()
    person = {"illness": [2, 2, 2], "age": [7, 7, 7], "rare": [1, 1, 1]}
    more = {name: np.append(values, person[name]) for name, values in without.items()}
    finding = check_sensitivities(fitted(without, mechanism, 3), fitted(more, mechanism, 3), RHO)
    assert finding.passed, finding
    assert not check_sensitivities(fitted(without, mechanism), fitted(more, mechanism), RHO).passed


def columns_of_insurance():
    """The contract's columns, whichever form the contract has."""
    contract = insurance_contract()
    columns = contract.only.columns if hasattr(contract, "only") else contract.columns
    names = ("minimum", "maximum", "bins", "decimals", "categories", "nullable")
    return [
        Column(column.name, column.type, **{name: getattr(column, name) for name in names})
        for column in columns
    ]


def test_a_twin_of_generated_persons_stays_within_its_promise_and_copies_nothing():
    persons = insured_persons(400, seed=8)
    twins = []

    def make(table):
        made = make_twin(table, insurance_contract(), epsilon=2, delta=1e-9).table
        twins.append((table, made))
        return made

    found = membership_attacks(
        persons,
        columns_of_insurance(),
        make,
        epsilon=2,
        delta=1e-9,
        sampler=np.random.default_rng(0),
        n_twins=4,
    )
    for result in found:
        assert result.within, result
        assert result.auc.low < result.auc.bound
        assert result.tpr_at_low_fpr.low < result.tpr_at_low_fpr.bound
    for table, twin in twins:
        assert isinstance(twin, pa.Table)
        found = check_verbatim(lambda name, table=table: table[name], twin, columns_of_insurance())
        assert found.passed, found
