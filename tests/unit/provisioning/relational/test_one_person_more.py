"""One person with all of their rows, more or less: nothing moves by more than is stated.

Without chance: a run is recorded, its neighbour is asked the same and given the same answers. The
questions must be the same, and what is brought to the budget may differ by the stated sensitivity.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from manatee.contracts import Contract
from manatee.provisioning.audits import RecordingBudget, ReplayingBudget
from manatee.provisioning.relational import SynthesisPlan, TablePlan, measure
from manatee.provisioning.synthesis import Mechanism, Task
from manatee.provisioning.tables import open_source

KEY = bytes(range(32))
TASK = Task("total", ("urgent", "ward", "parent:region"))
BUSY, QUIET, NORTHERN = 500, 501, 502
"""A patient far beyond the bound of stays and drugs, one with a single stay, one with three."""


def quiet(_step: str, _part: float) -> None:
    """Hear nothing."""


@pytest.fixture(scope="module")
def small(files: dict[str, Path]) -> dict[str, pa.Table]:
    """Two hundred patients; one of them stays forty times, with drugs each time."""
    every = {name: pq.read_table(path) for name, path in files.items()}
    patients = every["patients"].filter(pc.less(every["patients"]["patient"], 700))
    stays = every["stays"].filter(pc.less(every["stays"]["patient"], 700))
    more = every["stays"].filter(pc.greater(every["stays"]["patient"], 3000)).slice(0, 40)
    place = more.schema.get_field_index("patient")
    busy = pa.array([BUSY] * more.num_rows, pa.int64())
    stays = pa.concat_tables([stays, more.set_column(place, more.schema.field(place), busy)])
    drugs = every["drugs"].filter(pc.is_in(every["drugs"]["stay"], stays["stay"].combine_chunks()))
    return {"patients": patients, "stays": stays, "drugs": drugs}


def without(tables: dict[str, pa.Table], patient: int) -> dict[str, pa.Table]:
    patients, stays, drugs = tables["patients"], tables["stays"], tables["drugs"]
    left = stays.filter(pc.not_equal(stays["patient"], patient))
    return {
        "patients": patients.filter(pc.not_equal(patients["patient"], patient)),
        "stays": left,
        "drugs": drugs.filter(pc.is_in(drugs["stay"], left["stay"].combine_chunks())),
    }


def play(
    tables: dict[str, pa.Table],
    contract: Contract,
    plan: SynthesisPlan,
    budget: RecordingBudget | ReplayingBudget,
    folder: Path,
) -> None:
    folder.mkdir()
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    where = {name: folder / f"{name}.parquet" for name in tables}
    with open_source(where, contract, folder=folder, truncation_key=KEY) as source:
        measure(source, contract, plan, budget=budget, progress=quiet, folder=folder)


@pytest.mark.parametrize("patient", [BUSY, QUIET, NORTHERN])
@pytest.mark.parametrize("mechanism", ["mst", "aim", "task"])
def test_removing_a_person_moves_nothing_by_more_than_is_stated(
    hospital: Contract,
    small: dict[str, pa.Table],
    tmp_path: Path,
    mechanism: Mechanism,
    patient: int,
) -> None:
    plans = {name: TablePlan() for name in ("patients", "stays", "drugs")}
    plans["stays"] = TablePlan(mechanism, TASK if mechanism == "task" else None)
    plan = SynthesisPlan(plans)
    whole = RecordingBudget(Fraction(1))
    play(small, hospital, plan, whole, tmp_path / "with")
    less = ReplayingBudget(Fraction(1), tape=whole.calls)
    play(without(small, patient), hospital, plan, less, tmp_path / "without")
    assert len(less.asked) == len(whole.calls) > 20
    moved = 0.0
    for before, after in zip(whole.calls, less.asked, strict=True):
        change = (before.private - after.private).ravel()
        size = np.linalg.norm(change) if before.kind == "measure" else np.abs(change).max()
        assert size <= before.sensitivity * (1 + 1e-9), before.what
        moved = max(moved, float(size))
    assert moved >= 1  # the person was in there


def test_a_bound_that_is_not_kept_would_be_found(
    hospital: Contract, small: dict[str, pa.Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check above can fail: without truncation the busy patient moves forty rows."""
    monkeypatch.setattr(
        "manatee.provisioning.tables._source.check_across",
        lambda _contract, files, _folder, **_key: files,
    )
    plan = SynthesisPlan({name: TablePlan() for name in ("patients", "stays")})
    tables = {name: small[name] for name in plan.tables}
    whole = RecordingBudget(Fraction(1))
    play(tables, hospital, plan, whole, tmp_path / "with")
    less = ReplayingBudget(Fraction(1), tape=whole.calls)
    neighbour = {name: t for name, t in without(small, BUSY).items() if name in plan.tables}
    play(neighbour, hospital, plan, less, tmp_path / "without")
    sizes = [
        np.linalg.norm(before.private - after.private) / before.sensitivity
        for before, after in zip(whole.calls, less.asked, strict=True)
        if before.kind == "measure"
    ]
    assert max(sizes) > 1
