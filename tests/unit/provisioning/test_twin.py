"""A twin looks like its table, promises what its statement says, and learns only through noise."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from manatee.errors import ProvisioningError, SchemaMismatchError, TableError
from manatee.provisioning import (
    arrow_schema,
    check_table,
    contract_digest,
    in_words,
    insurance_contract,
    insured_persons,
    make_twin,
    parse_contract,
)
from manatee.provisioning._bins import decode, edges, encode, n_cells
from manatee.provisioning._estimate import draw, on_simplex
from manatee.provisioning._mst import MERGED_CELLS, measure
from manatee.provisioning._noise import Budget, rho_for
from manatee.records import canonical_json

CONTRACT = insurance_contract()


def quiet(_step, _part):
    """Hear nothing."""


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
    assert made.table.schema == arrow_schema(CONTRACT) == insured_persons(5, seed=1).schema
    check_table(made.table, CONTRACT)


def test_the_statement_names_the_promise_and_everything_that_was_spent(twin):
    statement = twin[0].statement
    assert (statement.epsilon, statement.delta) == (10, 1e-6)
    assert statement.rho == rho_for(10, 1e-6)
    assert statement.contract_digest == contract_digest(CONTRACT)
    assert len(statement.measurements) == 7 + 6 + 6
    assert all(item.sensitivity == 1 for item in statement.measurements)
    assert {"manatee", "mbi", "opendp"} == set(statement.versions)
    assert canonical_json(statement)
    words = in_words(statement)
    for part in ("epsilon = 10", "delta = 1e-06", "one row", "Not protected", "added or removed"):
        assert part in words


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
    table = insured_persons(400, seed=3)
    rho = Fraction(1, 100)
    totals = {measure(table, CONTRACT, Budget(rho), quiet).total for _ in range(3)}
    assert len(totals) == 3
    assert 400.0 not in totals


def test_the_whole_budget_is_spent_and_not_a_bit_more():
    for columns in (1, 2, 3, 7):
        names = [column.name for column in CONTRACT.columns[:columns]]
        contract = type(CONTRACT)(
            name="part", label="synthetic", columns=CONTRACT.columns[:columns]
        )
        budget = Budget(Fraction(1, 3))
        measure(insured_persons(200, seed=1).select(names), contract, budget, quiet)
        assert budget.spent == budget.rho


def test_measured_pairs_form_a_spanning_tree_on_few_cells():
    budget = Budget(Fraction(1))
    measured = measure(insured_persons(seed=1), CONTRACT, budget, quiet)
    reached = {CONTRACT.columns[0].name}
    for _ in CONTRACT.columns:
        for item in measured.pairs:
            if reached & set(item.columns):
                reached |= set(item.columns)
    assert reached == {column.name for column in CONTRACT.columns}
    assert len(measured.pairs) == len(CONTRACT.columns) - 1
    assert all(item.counts.size <= MERGED_CELLS**2 for item in measured.pairs)


def test_cells_come_from_the_contract_and_never_from_the_data():
    """Two tables with nothing in common are measured on the same cells."""
    for column in CONTRACT.columns:
        sizes = []
        for seed, rows in ((1, 3), (2, 900)):
            table = insured_persons(rows, seed=seed)
            budget = Budget(Fraction(1))
            histogram = measure(table, CONTRACT, budget, quiet).histograms[column.name]
            sizes.append(len(histogram.noisy))
        assert sizes == [n_cells(column)] * 2


def test_a_value_keeps_its_cell_whatever_else_is_in_the_table():
    for column in CONTRACT.columns:
        table = insured_persons(300, seed=5)[column.name]
        together = encode(table, column)
        alone = [int(encode(table.slice(row, 1), column)[0]) for row in range(20)]
        assert together[:20].tolist() == alone
        assert together.min() >= 0
        assert together.max() < n_cells(column)


def test_the_limits_of_a_range_lie_in_the_first_and_last_cell():
    for column in CONTRACT.columns:
        if column.numeric:
            kind = arrow_schema(CONTRACT).field(column.name).type
            limits = pa.chunked_array([pa.array([column.minimum, column.maximum]).cast(kind)])
            assert encode(limits, column).tolist() == [0, n_cells(column) - 1]
            assert len(edges(column)) == n_cells(column) + 1


def test_decoded_values_lie_in_the_cell_they_were_drawn_for():
    sampler = np.random.default_rng(0)
    for column in CONTRACT.columns:
        codes = np.repeat(np.arange(n_cells(column)), 50)
        values = pa.chunked_array([decode(codes, column, sampler)])
        # Rounding to the column's decimals may carry a value onto its cell's upper edge.
        assert np.mean(encode(values, column) == codes) > 0.99


def test_nullable_columns_and_booleans_make_the_round_trip():
    contract = parse_contract(
        b"format: manatee-data-contract/1\nname: n\nlabel: synthetic\nprivacy_unit: row\n"
        b"columns:\n- {name: a, type: integer, range: [0, 9], nullable: true}\n"
        b"- {name: b, type: boolean}\n"
        b"- {name: c, type: category, categories: [x, z], nullable: true}\n"
    )
    table = pa.table(
        [pa.array([1, None] * 500), pa.array([True, False] * 500), pa.array(["x", None] * 500)],
        schema=arrow_schema(contract),
    )
    made = make_twin(table, contract, epsilon=20, delta=1e-6).table
    check_table(made, contract)
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


def test_projection_on_the_simplex_keeps_the_total_and_the_order():
    counts = np.array([-5.0, 1.0, 50.0, 70.0])
    found = on_simplex(counts, 100)
    assert found.sum() == pytest.approx(100)
    assert found.min() >= 0
    assert found.tolist() == sorted(found.tolist())


def test_drawing_rounds_at_random_and_keeps_the_number():
    sampler = np.random.default_rng(0)
    codes = draw(np.array([1.0, 2.0, 0.0]), 100, sampler)
    counts = np.bincount(codes, minlength=3)
    assert counts.sum() == 100
    assert counts[2] == 0
    assert counts[0] in {33, 34}
    assert len(draw(np.zeros(3), 7, sampler)) == 7


def test_importing_the_package_loads_no_heavy_library():
    code = (
        "import sys, manatee.provisioning as p; "
        "print(sorted({'jax', 'mbi', 'opendp', 'numpy', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
