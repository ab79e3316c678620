"""A twin looks like its table, promises what its statement says, and learns only through noise."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from manatee.contracts import arrow_schema, contract_digest, parse_contract
from manatee.errors import ProvisioningError, SchemaMismatchError, TableError
from manatee.provisioning import in_words, insurance_contract, insured_persons, make_twin
from manatee.provisioning.noise import rho_for
from manatee.records import canonical_json

CONTRACT = insurance_contract()


@pytest.fixture(scope="module")
def twin():
    steps = []
    made = make_twin(
        insured_persons(seed=3),
        CONTRACT,
        epsilon=10,
        delta=1e-6,
        progress=lambda step, part: steps.append((step, part)),
    )
    return made, steps


def test_twin_and_table_share_one_schema_and_one_contract(twin):
    made, _ = twin
    assert made.table.schema == arrow_schema(CONTRACT.only) == insured_persons(5, seed=1).schema


def test_the_statement_names_the_promise_and_everything_that_was_spent(twin):
    statement = twin[0].statement
    assert (statement.epsilon, statement.delta) == (10, 1e-6)
    assert statement.rho == pytest.approx(rho_for(epsilon=10, delta=1e-6), rel=1e-12)
    assert statement.contract_digest == contract_digest(CONTRACT)
    assert len(statement.measurements) == 7 + 6 + 6
    assert all(item.sensitivity == 1 for item in statement.measurements)
    assert {"manatee", "opendp"} <= set(statement.versions)
    assert canonical_json(statement)
    words = in_words(statement)
    for part in ("epsilon = 10", "delta = 1e-06", "one row", "Not protected", "added or removed"):
        assert part in words


def test_the_whole_budget_is_spent_and_not_a_bit_more(twin):
    spent = sum(item.rho for item in twin[0].statement.measurements)
    assert spent == pytest.approx(rho_for(epsilon=10, delta=1e-6), rel=1e-9)


def test_progress_runs_from_nothing_to_all(twin):
    parts = [part for _, part in twin[1]]
    assert parts == sorted(parts)
    assert (parts[0], parts[-1]) == (0, 1)


def test_the_main_dependency_survives(twin):
    """At epsilon 10 the built-in factor of about 3.5 cannot come out below 2 by noise."""
    table = twin[0].table
    charges = np.array(table["charges"])
    smokes = np.array(table["smoker"]) == "yes"
    assert charges[smokes].mean() > 2 * charges[~smokes].mean()


def test_no_value_of_a_fine_column_is_copied(twin):
    """Charges have 5 decimals: a shared value by chance has odds of about 1 in 5,000 here."""
    private = set(insured_persons(seed=3)["charges"].to_pylist())
    assert len(private & set(twin[0].table["charges"].to_pylist())) <= 1


def test_the_record_count_is_noisy():
    table = insured_persons(400, seed=3).select(["age"])
    contract = parse_contract(
        b"format: manatee-data-contract/1\nname: n\nlabel: synthetic\nprivacy_unit: row\n"
        b"columns:\n- {name: age, type: integer, range: [18, 64]}\n"
    )
    found = {make_twin(table, contract, epsilon=0.1, delta=1e-6).table.num_rows for _ in range(4)}
    assert len(found) > 1


def test_nullable_columns_and_booleans_make_the_round_trip():
    contract = parse_contract(
        b"format: manatee-data-contract/1\nname: n\nlabel: synthetic\nprivacy_unit: row\n"
        b"columns:\n- {name: a, type: integer, range: [0, 9], nullable: true}\n"
        b"- {name: b, type: boolean}\n"
        b"- {name: c, type: category, categories: [x, z], nullable: true}\n"
    )
    table = pa.table(
        [pa.array([1, None] * 500), pa.array([True, False] * 500), pa.array(["x", None] * 500)],
        schema=arrow_schema(contract.only),
    )
    made = make_twin(table, contract, epsilon=20, delta=1e-6).table
    assert 300 < made["a"].null_count < 700
    follows = sum(row["b"] == (row["c"] == "x") for row in made.to_pylist())
    assert follows > 0.8 * made.num_rows


@pytest.mark.parametrize(("epsilon", "delta"), [(0, 1e-6), (1, 0), (1, 1), (float("nan"), 1e-6)])
def test_a_twin_without_a_meaningful_budget_is_refused(epsilon, delta):
    with pytest.raises(ProvisioningError):
        make_twin(insured_persons(9, seed=1), CONTRACT, epsilon=epsilon, delta=delta)


def test_epsilon_and_delta_cannot_be_mixed_up_by_place():
    with pytest.raises(TypeError):
        make_twin(insured_persons(9, seed=1), CONTRACT, 1.0, 1e-6)


def test_a_table_that_breaks_its_contract_gets_no_twin():
    table = insured_persons(9, seed=1)
    with pytest.raises(SchemaMismatchError):
        make_twin(table.drop(["age"]), CONTRACT, epsilon=1, delta=1e-6)
    with pytest.raises(TableError):
        make_twin(table.slice(0, 0), CONTRACT, epsilon=1, delta=1e-6)


def test_the_heavy_libraries_load_only_when_asked_for():
    code = "import sys, manatee.provisioning; print({'opendp', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
