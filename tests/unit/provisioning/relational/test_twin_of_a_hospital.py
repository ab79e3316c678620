"""A twin of three tables: keys join, rules hold, shapes are kept, and the budget is spent."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from manatee.contracts import Contract, arrow_schema, kept
from manatee.errors import ProvisioningError
from manatee.provisioning.noise import Budget, rho_for
from manatee.provisioning.relational import (
    SynthesisPlan,
    TablePlan,
    generate,
    measure,
    wide_rows,
    wides,
)
from manatee.provisioning.tables import open_source

Twin = dict[str, pa.Table]
PLAN = SynthesisPlan({name: TablePlan() for name in ("patients", "stays", "drugs")})


def quiet(_step: str, _part: float) -> None:
    """Hear nothing."""


@pytest.fixture(scope="module")
def budget() -> Budget:
    return Budget(Fraction(rho_for(epsilon=20, delta=1e-9)))


@pytest.fixture(scope="module")
def twin(
    hospital: Contract,
    files: dict[str, Path],
    budget: Budget,
    tmp_path_factory: pytest.TempPathFactory,
) -> Twin:
    with open_source(files, hospital) as source:
        models = measure(source, hospital, PLAN, budget=budget, progress=quiet)
    made = generate(
        models,
        hospital,
        PLAN,
        tmp_path_factory.mktemp("twin"),
        sampler=np.random.default_rng(1),
        progress=quiet,
    )
    return {name: pq.read_table(path) for name, path in made.items()}


def test_the_twin_has_the_schema_of_the_private_tables(twin: Twin, hospital: Contract) -> None:
    for name, table in twin.items():
        assert table.schema.equals(arrow_schema(hospital.table(name)), check_metadata=True)


def test_the_budget_is_spent_exactly_and_every_charge_names_its_table(
    twin: Twin, budget: Budget
) -> None:
    assert budget.spent == budget.rho
    assert {charge.what.split(":")[0] for charge in budget.charges} == set(twin)
    bounds = {"patients": 1, "stays": 4, "drugs": 12}
    assert all(charge.sensitivity == bounds[charge.what.split(":")[0]] for charge in budget.charges)


def test_keys_are_fresh_unique_and_join(twin: Twin) -> None:
    keys = twin["patients"]["patient"].to_pylist()
    assert keys == list(range(1, len(keys) + 1))  # the real ones begin at 500
    stays = twin["stays"]["stay"].to_pylist()
    assert len(set(stays)) == len(stays)
    assert set(twin["stays"]["patient"].to_pylist()) <= set(keys)
    assert set(twin["drugs"]["stay"].to_pylist()) <= set(stays)


def test_every_row_keeps_every_constraint(twin: Twin, hospital: Contract) -> None:
    for name, table in twin.items():
        for constraint in hospital.table(name).constraints:
            assert kept(constraint, hospital.table(name), table).all(), constraint.name
    total = pc.add(twin["stays"]["room"], twin["stays"]["care"])
    assert twin["stays"]["total"].to_pylist() == total.to_pylist()
    assert twin["stays"]["urgent"].to_pylist().count(True) > 100


def test_nulls_numbers_of_children_and_what_depends_on_a_parent_are_kept(twin: Twin) -> None:
    patients, stays = twin["patients"], twin["stays"]
    assert patients.num_rows == pytest.approx(3000, rel=0.1)
    assert patients["died"].null_count / patients.num_rows == pytest.approx(0.6, abs=0.1)
    assert patients["remark"].null_count == patients.num_rows
    per_patient = stays.num_rows / patients.num_rows
    assert per_patient == pytest.approx(2.0, abs=0.3)
    most = max(pc.value_counts(stays["patient"]).field("counts").to_pylist())
    assert most <= 4
    joined = twin["drugs"].join(stays.select(["stay", "urgent"]), "stay")
    doses = joined.group_by("urgent").aggregate([("dose", "mean")]).to_pylist()
    mean = {row["urgent"]: row["dose_mean"] for row in doses}
    assert mean[True] > mean[False] + 30


def test_rows_are_counted_with_their_children_and_parent(
    hospital: Contract, files: dict[str, Path]
) -> None:
    tables = wides(hospital, PLAN)
    with open_source(files, hospital) as source:
        found = [pa.Table.from_batches(wide_rows(source, wide, tables)) for wide in tables]
    patients, stays, drugs = found
    assert patients["#stays"].to_pylist().count(3) == 1500
    assert patients["#stays"].to_pylist().count(1) == 1500
    assert pc.sum(patients["#stays"]).as_py() == stays.num_rows == 6000
    assert pc.sum(stays["#drugs"]).as_py() == drugs.num_rows
    north = stays.filter(pc.equal(stays["parent:region"], "north"))
    assert pc.max(north["parent:born"]).as_py().year < 1971
    for row in drugs.slice(0, 200).to_pylist():
        assert row["dose"] is None or (row["dose"] >= 80) == row["parent:urgent"]


def test_a_twin_of_a_stated_size_has_it(
    hospital: Contract, files: dict[str, Path], tmp_path: Path
) -> None:
    plan = SynthesisPlan({"patients": TablePlan(rows=70_001)})  # more than one chunk
    whole = Budget(Fraction(1))
    with open_source({"patients": files["patients"]}, hospital) as source:
        models = measure(source, hospital, plan, budget=whole, progress=quiet)
    made = generate(
        models, hospital, plan, tmp_path, sampler=np.random.default_rng(1), progress=quiet
    )
    keys = pq.read_table(made["patients"])["patient"].to_pylist()
    assert keys == list(range(1, 70_002))


def test_identifiers_too_short_for_the_twin_are_refused_not_cut(
    hospital: Contract, files: dict[str, Path], tmp_path: Path
) -> None:
    stays = hospital.table("stays")
    short = replace(stays, columns=(replace(stays.columns[0], max_length=2), *stays.columns[1:]))
    contract = replace(hospital, tables=(hospital.tables[0], short))
    plan = SynthesisPlan({"patients": TablePlan(), "stays": TablePlan()})
    with open_source({name: files[name] for name in plan.tables}, hospital) as source:
        models = measure(source, hospital, plan, budget=Budget(Fraction(1)), progress=quiet)
    with pytest.raises(ProvisioningError, match="too short"):
        generate(models, contract, plan, tmp_path, sampler=np.random.default_rng(1), progress=quiet)
