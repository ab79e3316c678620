"""Which keys a run's pseudonyms are made with, and that a resumed run keeps them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from manatee.budgets import BudgetLedger
from manatee.errors import ConflictError, SettingsError
from manatee.provisioning.pets import SharedKey
from manatee.provisioning.runs import Desk, Order, make_order, provision
from manatee.provisioning.runs._pseudonym_keys import pseudonym_keys

CONTRACT = b"""
format: manatee-data-contract/2
name: clinic
label: synthetic
privacy_unit: row
tables:
  - name: persons
    rows: public
    key: [person]
    columns:
      - {name: person, type: identifier, holds: integer}
      - {name: ward, type: category, categories: [north, south]}
"""
SPEC = b"""
format: manatee-provisioning-spec/1
contract: clinic
purpose: stroke-study
tables:
  persons:
    columns: {person: {pseudonym: {key: person}}, ward: {keep: {}}}
"""
DUMMY = b"""
format: manatee-provisioning-spec/1
contract: clinic
purpose: stroke-study
tables: {persons: {dummy: {rows: 3}}}
"""
SECRET = b"o" * 32
SHARED = SharedKey("stroke-study", b"s" * 32)


@pytest.fixture
def order() -> Order:
    return make_order(CONTRACT, SPEC)


def test_a_shared_key_takes_the_place_of_the_providers_own(order: Order) -> None:
    own = pseudonym_keys(order, SECRET, None)
    shared = pseudonym_keys(order, SECRET, SHARED)
    assert own["person"].key != shared["person"].key
    assert pseudonym_keys(order, b"another provider's secret, 32 b.", SHARED) == shared


def test_a_key_of_another_project_is_refused(order: Order) -> None:
    with pytest.raises(SettingsError, match="of project 'heart-study'"):
        pseudonym_keys(order, SECRET, SharedKey("heart-study", b"s" * 32))


def test_a_key_that_nothing_is_made_with_is_refused() -> None:
    with pytest.raises(SettingsError, match="treats no column with pseudonym"):
        pseudonym_keys(make_order(CONTRACT, DUMMY), SECRET, SHARED)


def test_a_run_is_not_resumed_with_another_shared_key(order: Order, tmp_path: Path) -> None:
    table = tmp_path / "persons.csv"
    table.write_text("person,ward\n" + "".join(f"{n},north\n" for n in range(20)))

    def stop(step: str) -> None:
        if step == "commit":
            raise KeyboardInterrupt

    ledger = BudgetLedger(tmp_path / "budget.sqlite")
    ledger.set_limit("clinic", epsilon=1, delta=1e-9)
    desk = Desk(ledger, SECRET, shared=SHARED)
    out, where = tmp_path / "out", {"persons": table}
    with pytest.raises(KeyboardInterrupt):
        provision(order, where, out, desk=replace(desk, checkpoint=stop))
    other = replace(desk, shared=SharedKey("stroke-study", b"t" * 32))
    with pytest.raises(ConflictError):
        provision(order, where, out, desk=other, resume=True)
    assert provision(order, where, out, desk=desk, resume=True).folder == out


def test_a_desk_shows_neither_its_secret_nor_the_shared_key(tmp_path: Path) -> None:
    shown = repr(Desk(BudgetLedger(tmp_path / "budget.sqlite"), SECRET, shared=SHARED))
    assert "ooooo" not in shown
    assert "sssss" not in shown
