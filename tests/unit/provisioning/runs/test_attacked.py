"""Attacks on a run's mechanism: played on a bounded sample, and only where the game is defined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from manatee.contracts import PrivacyUnit, Table
from manatee.provisioning import insurance_contract_text, insured_persons
from manatee.provisioning.runs import _attacked
from manatee.provisioning.runs._attacked import attack, some_rows
from manatee.provisioning.runs._order import Order, make_order
from manatee.provisioning.tables import Source, open_source

SPEC = b"""
format: manatee-provisioning-spec/1
contract: insurance
budget: {epsilon: 1, delta: 0.000001}
tables: {insurance: {synthesis: {mechanism: mst}}}
"""
ORDER = make_order(insurance_contract_text().encode(), SPEC)


def quiet(_step: str, _part: float) -> None:
    """Hear nothing."""


def source_of(n_records: int, folder: Path) -> Source:
    pq.write_table(insured_persons(n_records, seed=3), folder / "t.parquet")
    return open_source({"insurance": folder / "t.parquet"}, ORDER.contract, folder=folder)


def attacked(order: Order, source: Source, *, n_twins: int = 4) -> int:
    sampler = np.random.default_rng(1)
    return len(attack(order, source, n_twins=n_twins, sampler=sampler, progress=quiet))


def test_a_twin_for_which_the_promise_holds_stays_within_it(tmp_path: Path) -> None:
    with source_of(300, tmp_path) as source:
        results = attack(ORDER, source, n_twins=4, sampler=np.random.default_rng(1), progress=quiet)
    assert len(results) == 6
    assert all(result.within for result in results)


def test_there_is_no_game_without_twins_with_few_persons_or_for_persons_with_rows(
    tmp_path: Path,
) -> None:
    with source_of(300, tmp_path) as source:
        assert attacked(ORDER, source, n_twins=0) == 0
        unit = replace(ORDER.contract, privacy_unit=PrivacyUnit("person", "insurance"))
        assert attacked(replace(ORDER, contract=unit), source) == 0
        two = replace(ORDER.contract, tables=(*ORDER.contract.tables, Table("other", ())))
        assert attacked(replace(ORDER, contract=two), source) == 0
        without = replace(ORDER, spec=replace(ORDER.spec, tables={}))
        assert attacked(without, source) == 0
    with source_of(39, tmp_path) as source:
        assert attacked(ORDER, source) == 0


def test_the_game_is_played_with_a_bounded_uniform_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_attacked, "MOST_PERSONS", 100)
    columns = list(ORDER.contract.only.columns)
    with source_of(1000, tmp_path) as source:
        table = source.table("insurance")
        found = some_rows(table, columns, np.random.default_rng(1))
        charges = table.read()["charges"].to_pylist()
    assert found.num_rows == 100
    places = [charges.index(value) for value in found["charges"].to_pylist()]
    assert len(set(places)) == 100
    assert 350 < np.mean(places) < 650
